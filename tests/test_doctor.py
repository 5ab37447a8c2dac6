"""What the doctor finds, and its exit code."""

from __future__ import annotations

from pathlib import Path

from mmccd.doctor import examine


def test_usable_weights(tiny_bundles: Path) -> None:
    text, code = examine(str(tiny_bundles))
    assert code == 0
    assert str(tiny_bundles) in text
    assert "flair to t2" in text
    assert "no calibration" in text
    assert "not usable" in text, "there is no t1 pair"
    assert "Research use only" in text


def test_no_weights(tiny_bundles: Path) -> None:
    for path in tiny_bundles.glob("*/models/model.*"):
        path.unlink()
    text, code = examine(str(tiny_bundles))
    assert code == 6
    assert "no weights" in text


def test_damaged_weights(tiny_bundles: Path) -> None:
    path = next(tiny_bundles.glob("*/models/model.pt"))
    path.write_bytes(path.read_bytes()[:-10])
    text, code = examine(str(tiny_bundles))
    assert code == 6
    assert "damaged" in text


def test_no_bundles(tmp_path: Path) -> None:
    text, code = examine(str(tmp_path))
    assert code == 6
    assert "no such bundle" in text
