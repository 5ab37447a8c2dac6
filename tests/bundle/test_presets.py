"""mmccd.bundle.presets: one JSON file each, read without PyTorch where only names are wanted."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from monai.bundle import ConfigParser
from tests.bundle.bundles import assert_one_line
from tests.conftest import change_preset

from mmccd.bundle.find import FORWARD
from mmccd.bundle.presets import FOLDER, preset_names, read_preset, read_presets
from mmccd.core.errors import ModelError, UsageError


def test_settings(tiny_bundles: Path) -> None:
    presets = read_presets(tiny_bundles)
    assert tuple(presets) == preset_names(tiny_bundles) == ("balanced", "cycle", "fast", "full")
    fast = presets["fast"]
    assert (fast.cycle.steps, fast.cycle.stride, fast.cycle.reading, fast.cycle.width) == (
        1,
        16,
        "paper",
        16,
    )
    assert (fast.method, fast.weights) == ("mmccd", ("forward", "backward"))
    assert fast.settings() == {
        "cycle": fast.cycle.as_dict(),
        "postprocessing": fast.postprocessing.as_dict(),
    }
    assert json.loads(json.dumps(fast.settings())) == fast.settings(), "a key has to survive JSON"


def test_a_file_is_a_preset(tiny_bundles: Path) -> None:
    folder = tiny_bundles / FORWARD / FOLDER
    shutil.copy(folder / "fast.json", folder / "mine.json")
    (folder / "notes.txt").touch()
    assert preset_names(tiny_bundles) == ("balanced", "cycle", "fast", "full", "mine")
    assert read_preset(tiny_bundles, "mine").cycle == read_preset(tiny_bundles, "fast").cycle


def test_a_preset_says_what_is_hidden(tiny_bundles: Path) -> None:
    hidden = {"hiding": "both", "veil_sd": 0.5, "draws": 2, "level": True}
    plain = read_preset(tiny_bundles, "fast")
    change_preset(tiny_bundles, "fast", settings=hidden)
    changed = read_preset(tiny_bundles, "fast")
    assert changed.settings()["cycle"] == {**plain.settings()["cycle"], **hidden}
    change_preset(tiny_bundles, "fast", settings={"draws": "many"})
    with pytest.raises(ModelError) as error:
        read_preset(tiny_bundles, "fast")
    assert_one_line(error.value, "fast.json", "draws must be a whole number")


def test_unknown(tiny_bundles: Path) -> None:
    with pytest.raises(UsageError) as error:
        read_preset(tiny_bundles, "slow")
    assert_one_line(error.value, "--preset slow", "balanced, cycle, fast, full")


def test_no_presets(tiny_bundles: Path) -> None:
    shutil.rmtree(tiny_bundles / FORWARD / FOLDER)
    with pytest.raises(ModelError) as error:
        preset_names(tiny_bundles)
    assert_one_line(error.value, tiny_bundles / FORWARD / FOLDER)


def test_names_need_no_pytorch() -> None:
    code = (
        "import sys; from mmccd.bundle import preset_names; names = preset_names();"
        " heavy = {'torch', 'monai', 'scipy', 'numpy'} & set(sys.modules);"
        " print(','.join(names)); sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "fast" in done.stdout.strip().split(",")


class TestShipped:
    def test_cost(self, project: Path) -> None:
        presets = read_presets(project / "bundles")
        assert {"full", "balanced", "fast"} <= set(presets)
        full = presets["full"].cycle
        assert (full.reading, full.steps, full.stride, full.width, full.sampler) == (
            "paper",
            100,
            2,
            16,
            "ddim",
        )
        assert len(full.masks((128, 128))) == 114
        passes = {
            name: preset.cycle.steps * len(preset.cycle.masks((128, 128)))
            for name, preset in presets.items()
        }
        assert passes["fast"] <= passes["balanced"] < passes["full"] == 11400

    def test_cycle_config_is_a_bundle_config(self, project: Path) -> None:
        parser = ConfigParser()
        parser.read_config(str(project / "bundles" / FORWARD / "configs" / "cycle.json"))
        parser.parse()
        assert parser.get_parsed_content("bundles") == "./.."
        assert parser.get_parsed_content("preset") in preset_names(project / "bundles")
        assert set(parser["pipeline"]) - {"_target_"} <= set(parser.get())
