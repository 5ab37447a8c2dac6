"""mmccd.bundle.copy, and ``mmccd bundles copy``."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmccd.apps.cli import cli
from mmccd.bundle import load_models


@pytest.fixture
def bundles(tiny_bundles: Path) -> Path:
    """With what a checkout and a wheel have beside them."""
    for place in ("__init__.py", "decision/configs/x.json", "backward_translator/runs/a/best.pt"):
        path = tiny_bundles / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    return tiny_bundles


def copy(bundles: Path, folder: Path) -> int:
    return cli.run(["bundles", "copy", str(folder), "--bundles", str(bundles)])


def test_copy(bundles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "new" / "mine"
    assert copy(bundles, folder) == 0
    assert "decision" in capsys.readouterr().out
    assert sorted(path.name for path in folder.iterdir()) == [
        "backward_translator",
        "decision",
        "forward_masked_diffusion",
    ]
    assert not (folder / "backward_translator" / "runs").exists()
    assert load_models(folder).hashes == load_models(bundles).hashes
    assert [path.name for path in folder.parent.iterdir()] == ["mine"]


def test_what_is_there_stays(
    bundles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    assert copy(bundles, folder) == 0, "an empty folder is taken"
    (folder / "decision" / "note.txt").touch()
    assert copy(bundles, folder) == 5
    assert "is there already" in capsys.readouterr().err
    assert (folder / "decision" / "note.txt").exists()


def test_where_nothing_can_be_made(bundles: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert copy(bundles, tmp_path / "file" / "mine") == 5


def test_other_words(bundles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["bundles", "move", str(tmp_path / "mine")]) == 2
    assert "mmccd bundles copy DIR" in capsys.readouterr().err
