"""mmccd.bundle.calibrations: where calibrations are written, and which one is found."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.bundle.bundles import assert_one_line

from mmccd.bundle import FORWARD, load_models
from mmccd.bundle.calibration import ALGORITHM, Calibration, CalibrationKey
from mmccd.bundle.calibrations import (
    VARIABLE,
    find_calibration,
    read_calibrations,
    store_calibration,
    user_folder,
)
from mmccd.bundle.presets import read_presets
from mmccd.core.errors import ModelError, OutputError
from mmccd.methods.mmccd.cycle import CycleSettings

KEY = CalibrationKey(
    "t2",
    "mmccd",
    {"cycle": CycleSettings(steps=1).as_dict()},
    "fp32",
    {"forward": "f" * 64, "backward": "0" * 64},
    ALGORITHM,
)
CALIBRATION = Calibration(KEY, 0.75, {"rate": 0.05}, {"mean": 0.2})


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder of this test."""
    folder = tmp_path / "home" / "calibrations"
    monkeypatch.setenv(VARIABLE, str(folder))
    return folder


def beside(bundles: Path) -> Path:
    return bundles / FORWARD / "calibrations"


class TestUserFolder:
    def test_the_variable_wins(self, home: Path) -> None:
        assert user_folder() == home

    @pytest.mark.skipif(sys.platform != "linux", reason="the place is Linux's")
    def test_then_the_systems_place(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv(VARIABLE)
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
        assert user_folder() == tmp_path / "data" / "mmccd" / "calibrations"
        monkeypatch.delenv("XDG_DATA_HOME")
        monkeypatch.setenv("HOME", str(tmp_path))
        assert user_folder() == tmp_path / ".local" / "share" / "mmccd" / "calibrations"


class TestStore:
    def test_beside_the_given_bundles(self, tiny_bundles: Path, home: Path) -> None:
        path = store_calibration("fast", CALIBRATION, tiny_bundles)
        assert path == beside(tiny_bundles) / "fast-fp32.json"
        assert read_calibrations(path) == [CALIBRATION]
        assert [file.name for file in path.parent.iterdir()] == ["fast-fp32.json"]
        assert not home.exists()

    def test_without_bundles_in_the_users_folder(self, home: Path) -> None:
        assert store_calibration("fast", CALIBRATION) == home / "fast-fp32.json"
        assert read_calibrations(home / "fast-fp32.json") == [CALIBRATION]

    def test_never_in_an_installed_package(self, tiny_bundles: Path, home: Path) -> None:
        (tiny_bundles.parent / "__init__.py").touch()
        before = sorted(tiny_bundles.rglob("*"))
        assert store_calibration("fast", CALIBRATION, tiny_bundles).parent == home
        assert sorted(tiny_bundles.rglob("*")) == before

    def test_not_where_nothing_can_be_written(
        self, tiny_bundles: Path, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Root may write everywhere, so the answer of the system is made."""
        monkeypatch.setattr(os, "access", lambda path, mode: tiny_bundles not in Path(path).parents)
        assert store_calibration("fast", CALIBRATION, tiny_bundles).parent == home
        assert not beside(tiny_bundles).exists()

    def test_the_same_key_is_replaced_others_stay(self, tiny_bundles: Path) -> None:
        other = replace(CALIBRATION, key=replace(KEY, target="t1"))
        for entry in (CALIBRATION, other, replace(CALIBRATION, threshold=0.5)):
            path = store_calibration("fast", entry, tiny_bundles)
        assert {(entry.key.target, entry.threshold) for entry in read_calibrations(path)} == {
            ("t1", 0.75),
            ("t2", 0.5),
        }

    def test_the_users_own_is_replaced_where_it_is(self, tiny_bundles: Path, home: Path) -> None:
        """It is read first, so that one beside the weights would never count."""
        store_calibration("fast", CALIBRATION)
        path = store_calibration("fast", replace(CALIBRATION, threshold=0.5), tiny_bundles)
        assert path.parent == home
        found = find_calibration(tiny_bundles, "fast", KEY)
        assert found is not None
        assert found[1].threshold == 0.5

    def test_one_file_a_precision(self, tiny_bundles: Path) -> None:
        for precision in ("fp32", "bf16"):
            key = replace(KEY, precision=precision)
            store_calibration("fast", replace(CALIBRATION, key=key), tiny_bundles)
        assert {path.name for path in beside(tiny_bundles).iterdir()} == {
            "fast-fp32.json",
            "fast-bf16.json",
        }

    def test_disk_full_keeps_the_old_file(
        self, tiny_bundles: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = store_calibration("fast", CALIBRATION, tiny_bundles)
        before = path.read_bytes()

        def full(self: Path, text: str, **how: str) -> int:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "write_text", full)
        with pytest.raises(OutputError) as error:
            store_calibration("fast", replace(CALIBRATION, threshold=0.5), tiny_bundles)
        assert_one_line(error.value, path, "No space left", VARIABLE)
        assert path.read_bytes() == before

    def test_a_folder_that_cannot_be_made(self, home: Path) -> None:
        home.parent.touch()
        with pytest.raises(OutputError) as error:
            store_calibration("fast", CALIBRATION)
        assert_one_line(error.value, home, VARIABLE)


class TestFind:
    def test_the_users_comes_first(self, tiny_bundles: Path, home: Path) -> None:
        assert find_calibration(tiny_bundles, "fast", KEY) is None
        store_calibration("fast", CALIBRATION, tiny_bundles)
        found = find_calibration(tiny_bundles, "fast", KEY)
        assert found == (beside(tiny_bundles) / "fast-fp32.json", CALIBRATION)
        own = replace(CALIBRATION, threshold=0.5)
        home.mkdir(parents=True)
        (home / "fast-fp32.json").write_text(json.dumps([own.as_dict()]))
        assert find_calibration(tiny_bundles, "fast", KEY) == (home / "fast-fp32.json", own)

    def test_by_its_key_only(self, tiny_bundles: Path) -> None:
        store_calibration("fast", CALIBRATION, tiny_bundles)
        models = load_models(tiny_bundles)
        fast = models.preset("fast")
        assert models.calibration(fast, "fp32") is None
        store_calibration("fast", Calibration(models.key(fast, "fp32"), 0.5, {}), tiny_bundles)
        found = models.calibration(fast, "fp32")
        assert found is not None
        assert found.threshold == 0.5
        assert models.calibration(fast, "bf16") is None


@pytest.mark.parametrize(
    "content",
    [
        b"[{",
        b"{}x",
        b"5",
        b"[5]",
        b"null",
        b"\xff\xfe\x00",
        b'[{"threshold": 1.0}]',
        b'[{"key": {"settings": 5}, "threshold": 1.0, "origin": {}}]',
        b'{"key": {}}',
    ],
)
@pytest.mark.parametrize("own", [False, True])
def test_damage_is_told_in_one_line(
    tiny_bundles: Path, home: Path, content: bytes, own: bool
) -> None:
    path = (home if own else beside(tiny_bundles)) / "fast-fp32.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(ModelError) as error:
        find_calibration(tiny_bundles, "fast", KEY)
    assert_one_line(error.value, path, "mmccd calibrate")
    with pytest.raises(ModelError):
        store_calibration("fast", CALIBRATION, tiny_bundles)
    assert path.read_bytes() == content, "nothing of a user's is thrown away"


def test_a_key_has_all_its_parts(tiny_bundles: Path) -> None:
    content = CALIBRATION.as_dict()
    del content["key"]["algorithm"]
    path = beside(tiny_bundles) / "fast-fp32.json"
    path.parent.mkdir()
    path.write_text(json.dumps([content]))
    with pytest.raises(ModelError, match="algorithm"):
        find_calibration(tiny_bundles, "fast", KEY)


def test_what_ships_fits_to_its_presets(project: Path) -> None:
    """Each file is named after the preset and precision of its keys, which the weights fit to."""
    root = project / "bundles"
    presets = read_presets(root)
    files = sorted(beside(root).glob("*.json"))
    assert files
    for path in files:
        preset, _, precision = path.stem.rpartition("-")
        for entry in read_calibrations(path):
            models = load_models(root, entry.key.target, preset=preset)
            assert models.key(presets[preset], precision) == entry.key
            assert entry.threshold > 0
            assert entry.normal_range is not None
