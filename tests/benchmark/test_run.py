"""mmccd.benchmark: sweep, volume, tables, plot and comparison, with tiny networks."""

from __future__ import annotations

import copy
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import matplotlib.image
import nibabel as nib
import numpy as np
import pytest
import torch
from tests.conftest import TINY

import mmccd.benchmark.run as run_module
import mmccd.benchmark.volume as volume_module
from mmccd.apps.cli import cli
from mmccd.benchmark.loop import PAPER_CONFIG
from mmccd.benchmark.report import as_markdown, as_text, compare, plot_sweep
from mmccd.benchmark.run import KEYS, Scope, load_figures, run_benchmark, save_figures
from mmccd.benchmark.sweep import measure_sweep
from mmccd.benchmark.volume import brats_size_phantom, measure_volume
from mmccd.bundle import BACKWARD, FORWARD, load_models
from mmccd.core import PHASES
from mmccd.core.errors import InputError, OutputError, ResourceError
from mmccd.methods import CycleSettings, MaskedCycleInferer
from mmccd.models import MaskedDiffusionScheduler
from mmccd.phantom import Phantom

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
TINY_SCOPE = Scope(
    slices=1, repeats=1, presets=("fast",), shape=(60, 60, 20), voxel_mm=4.0, quick=True
)


@pytest.fixture(scope="module")
def figures(shared_bundles: Path, lesion_phantom: Phantom) -> dict[str, Any]:
    """A whole run, its volume in a process of its own."""
    for name in (FORWARD, BACKWARD):
        (shared_bundles / name / PAPER_CONFIG).write_text(
            json.dumps({f"network_def#{key}": value for key, value in TINY.items()})
        )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module, "make_phantom", lambda seed: lesion_phantom)
        return run_benchmark("cpu", TINY_SCOPE, str(shared_bundles))


@pytest.mark.parametrize(("hiding", "draws"), [("strips", 1), ("veil", 3), ("both", 2)])
def test_strips_of_a_run_are_counted_without_draws(hiding: str, draws: int) -> None:
    cycle = CycleSettings(steps=1, stride=8, width=8, hiding=hiding, draws=draws, rounds=2)
    brain = torch.ones(2, 1, 32, 32, dtype=torch.bool)
    inferer = MaskedCycleInferer(MaskedDiffusionScheduler(), cycle)
    maps = inferer(torch.zeros(2, 1, 32, 32), lambda x, t: x[:, :1], lambda y: y, brain)
    veil = 2 * draws if cycle.has_veil else 0
    assert volume_module._strips(maps.coverage, cycle) == inferer.count(brain) - veil


def test_figures(figures: dict[str, Any]) -> None:
    assert set(KEYS) <= set(figures)
    assert json.loads(json.dumps(figures)) == figures
    assert {row["varied"] for row in figures["sweep"]} == {
        "strips",
        "steps",
        "slices",
        "batch_size",
    }
    (volume,) = figures["volumes"]
    assert volume["shape"] == [60, 60, 20]
    assert 0 < volume["slices_with_brain"] <= 20
    assert volume["peak_memory_gib"] > 0.1
    stages = dict(volume["seconds"])
    total = stages.pop("total")
    assert list(stages) == list(PHASES)
    assert sum(stages.values()) == pytest.approx(total, abs=0.1)
    assert min(stages.values()) >= 0


def test_full_is_extrapolated_from_passes(figures: dict[str, Any]) -> None:
    full = figures["full"]
    slices = figures["volumes"][0]["slices_with_brain"]
    assert full["extrapolated"] is True
    assert full["strips"] == slices * 16, "the tiny presets have stride 16"
    ms = {
        row["network"]: row["ms_per_pass"]
        for row in figures["networks"]["rows"]
        if row["precision"] == "fp32"
    }
    assert full["hours"] == pytest.approx(slices * 16 * (ms["f"] + ms["g"]) / 3.6e6, abs=0.006)


def test_tables(figures: dict[str, Any]) -> None:
    text, markdown = as_text(figures), as_markdown(figures)
    ratio = f"{figures['loops']['ratios']['cycle_to_paper_loop']:.1f} times"
    assert ratio in text
    assert "extrapolated" in text
    assert "60 x 60 x 20" in markdown
    for block in markdown.split("\n\n")[1::2]:
        rows = [line.count("|") for line in block.splitlines()]
        assert len(rows) >= 3
        assert len(set(rows)) == 1, "every row has as many cells as the header"


def test_a_cohort_starts_and_loads_once(figures: dict[str, Any]) -> None:
    seconds = {"start": 9.0, "load": 1.0, "cycle": 50.0, "total": 60.0}
    one = {**figures["volumes"][0], "preset": "fast", "seconds": seconds}
    text = as_text({**figures, "volumes": [one]}, 144)
    assert "A cohort of 144 such volumes" in text
    assert re.search(r"fast +50\.0 s +2\.0 h", text), "10 s + 144 x 50 s"
    assert "A cohort" not in as_text(figures)


def test_plot(figures: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "new" / "plot.png"
    plot_sweep(figures, path)
    picture = matplotlib.image.imread(path)
    assert picture.shape[1] > 1000
    assert picture[..., :3].std() > 0.01
    with pytest.raises(OutputError, match="plot"):
        plot_sweep(figures, tmp_path)


def test_compare(figures: dict[str, Any]) -> None:
    text, worse = compare(figures, figures)
    assert not worse
    assert "+0%" in text
    slower = copy.deepcopy(figures)
    slower["loops"]["ratios"]["cycle_to_loop"] = figures["loops"]["ratios"]["cycle_to_loop"] * 0.7
    text, worse = compare(slower, figures)
    assert worse
    assert "-30%" in text
    assert text.count("WARNING") == 1
    assert not compare(figures, slower)[1], "quicker is no reason to warn"
    del slower["loops"]["ratios"]["cycle_to_loop"]
    assert "not in the other run" in compare(figures, slower)[0]


def test_saved_and_shown(
    figures: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "new" / "figures.json"
    save_figures(figures, path)
    assert load_figures(path) == figures
    again = tmp_path / "again.json"
    assert (
        cli.run(
            [
                "benchmark",
                "--show",
                str(path),
                "--output",
                str(again),
                "--markdown",
                "--compare",
                str(path),
            ]
        )
        == 0
    )
    assert load_figures(again) == figures
    printed = capsys.readouterr().out
    assert as_markdown(figures) in printed
    assert compare(figures, figures)[0] in printed
    with pytest.raises(OutputError, match="cannot be written"):
        save_figures(figures, tmp_path)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"benchmark_version": 0}'])
def test_refuses_other_files(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "other.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"other\.json"):
        load_figures(path)
    assert cli.run(["benchmark", "--compare", str(path)]) == 3, "before anything is measured"
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_sweep_counts_passes(shared_bundles: Path) -> None:
    image = torch.randn(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    rows = measure_sweep(image, load_models(shared_bundles), CPU, quick=True)
    points = {(row["varied"], row["value"]): row["passes"] for row in rows}
    assert points == {
        ("strips", 4): 8,
        ("strips", 6): 12,
        ("steps", 1): 8,
        ("steps", 2): 12,
        ("slices", 1): 8,
        ("slices", 2): 16,
        ("batch_size", 1): 16,
        ("batch_size", 4): 16,
    }
    assert all(row["seconds"] > 0 and row["peak_memory_gib"] > 0 for row in rows)


class TestVolume:
    """The phantom on a given grid, and the process that predicts it."""

    @pytest.mark.parametrize("shape", [(60, 70, 20), (120, 120, 12)])
    def test_phantom(
        self,
        shape: tuple[int, int, int],
        tmp_path: Path,
        lesion_phantom: Phantom,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(volume_module, "make_phantom", lambda *_: lesion_phantom)
        image = nib.load(brats_size_phantom(tmp_path / "flair.nii.gz", shape))
        old = lesion_phantom.images["flair"]
        assert image.shape == shape
        voxel = np.asarray(shape) // 2
        where = np.linalg.inv(old.affine) @ image.affine @ [*voxel, 1]
        assert (
            image.get_fdata()[tuple(voxel)] == old.data[tuple(np.round(where[:3]).astype(int))] > 0
        )

    def test_a_run_that_fails(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        failed = subprocess.CompletedProcess(
            [], 7, "", "Traceback\n  one\nResourceError: out of memory\n"
        )
        monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
        with pytest.raises(
            ResourceError, match=r"preset fast ended with 7 \(ResourceError: out of memory\)"
        ):
            measure_volume(tmp_path / "flair.nii.gz", tmp_path / "out", "fast", "cpu", tmp_path)
