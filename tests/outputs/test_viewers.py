"""mmccd.outputs.viewers: the files, read as each viewer reads them."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest

from mmccd.apps.cli import cli
from mmccd.outputs.viewers import viewer_files

CYAN = (0, 213, 255)


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    return viewer_files()


def rows(text: str) -> list[list[str]]:
    return [shlex.split(line) for line in text.splitlines() if not line.startswith("#")]


def test_itksnap(files: dict[str, str]) -> None:
    """Eight fields; the first line says what the file is; 0 is the clear label."""
    text = files["mmccd_itksnap_labels.txt"]
    assert text.startswith("# ITK-SnAP Label Description File\n")
    clear, anomaly = rows(text)
    assert clear == ["0", "0", "0", "0", "0", "0", "0", "Clear Label"]
    assert (tuple(map(int, anomaly[1:4])), anomaly[4:]) == (CYAN, ["1", "1", "1", "Anomaly"])


def test_fsleyes_labels(files: dict[str, str]) -> None:
    """Value, red, green and blue from 0 to 1, and the name."""
    ((number, *colour, name),) = rows(files["mmccd_fsleyes.lut"])
    assert (number, name) == ("1", "Anomaly")
    assert np.array(colour, dtype=float) * 255 == pytest.approx(CYAN, abs=0.01)


def test_fsleyes_map_and_slicer_table_are_one_scale(files: dict[str, str]) -> None:
    shares = np.loadtxt(files["mmccd_anomaly_map.cmap"].splitlines())
    table = rows(files["mmccd_anomaly_map.ctbl"])
    assert shares.shape == (256, 3)
    assert 0 <= shares.min() < shares.max() <= 1
    assert shares[0].sum() < 0.1 < 2 < shares[-1].sum(), "from dark to bright"
    assert [len(row) for row in table] == [6] * 256
    assert [int(row[0]) for row in table] == list(range(256))
    assert np.array(table, dtype=float)[:, 2:5] == pytest.approx(shares * 255, abs=0.01)
    assert files["mmccd_anomaly_map.ctbl"].startswith("# Color table file ")


def test_names_are_those_that_fsleyes_takes(files: dict[str, str]) -> None:
    """Small letters, digits, hyphens and underscores."""
    for name in files:
        assert name == name.lower() and " " not in name


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["viewers", str(tmp_path / "new")]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert {Path(line).name for line in printed} == set(viewer_files())
    assert all(Path(line).is_file() for line in printed)
