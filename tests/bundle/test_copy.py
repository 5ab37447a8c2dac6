"""mmccd.bundle.copy: a copy to work in."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmccd.bundle import BACKWARD, FORWARD, copy_bundles
from mmccd.core import OutputError


def test_all_but_training_runs(tiny_bundles: Path, tmp_path: Path) -> None:
    (tiny_bundles / FORWARD / "runs" / "flair_t2").mkdir(parents=True)
    (tiny_bundles / "__init__.py").touch()
    found = copy_bundles(tmp_path / "new" / "mine", tiny_bundles)
    assert {path.name for path in found.iterdir()} == {FORWARD, BACKWARD}
    assert (found / FORWARD / "models" / "model.pt").is_file()
    assert not (found / FORWARD / "runs").exists()
    assert not list(found.rglob("*.py"))


def test_nothing_is_replaced(tiny_bundles: Path, tmp_path: Path) -> None:
    (tmp_path / "mine" / FORWARD).mkdir(parents=True)
    with pytest.raises(OutputError, match=f"has {FORWARD} already"):
        copy_bundles(tmp_path / "mine", tiny_bundles)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == [FORWARD]


def test_the_installed_ones_by_default(tmp_path: Path) -> None:
    found = copy_bundles(tmp_path / "mine")
    assert {path.name for path in found.iterdir()} >= {FORWARD, BACKWARD, "decision"}
