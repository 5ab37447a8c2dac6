"""mmccd.jobs.record: whether a folder holds the results of a request."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmccd.jobs.record import KEY, NEEDED, is_complete


@pytest.mark.parametrize(
    ("outputs", "files", "expected"),
    [
        ("both", NEEDED, True),
        ("both", (), False),
        ("images", NEEDED[:1], False),
        ("dicom", (), True),
    ],
)
def test_what_has_to_be_there(
    tmp_path: Path, outputs: str, files: tuple[str, ...], expected: bool
) -> None:
    """Where DICOM objects alone are wanted the report tells that they are."""
    wanted = {"outputs": outputs}
    for name in files:
        (tmp_path / name).write_text("")
    (tmp_path / "report.json").write_text(json.dumps({KEY: wanted}))
    assert is_complete(tmp_path, wanted, force=False) is expected
    assert not is_complete(tmp_path, wanted, force=True)
