"""mmccd.core.files: what lies in a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mmccd.core import InputError, entries_of
from mmccd.data import cases_in
from mmccd.jobs import find_inputs


def test_entries_are_sorted(tmp_path: Path) -> None:
    for name in ("b", ".hidden", "a"):
        (tmp_path / name).mkdir()
    (tmp_path / "gone").symlink_to("nowhere")
    assert [entry.name for entry in entries_of(tmp_path)] == [".hidden", "a", "b", "gone"]


@pytest.mark.parametrize(
    "read",
    [entries_of, cases_in, lambda folder: find_inputs([str(folder)], "flair")],
    ids=["itself", "training", "predict"],
)
def test_an_unreadable_folder_has_one_code(
    read: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads the folder; permissions do not hold for root, so the refusal is made here."""

    def refuse(folder: Path) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(InputError, match=r"cannot be read \(Permission denied\)") as caught:
        read(tmp_path)
    assert caught.value.code == "input.not_readable"
