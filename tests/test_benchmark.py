"""The benchmark compares equal things."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from mmccd import benchmark
from mmccd.benchmark import plain_loop, run_benchmark
from mmccd.bundle import BACKWARD, FORWARD
from mmccd.cycle import CycleSettings, MaskedCycleInferer
from mmccd.diffusion import MaskedDiffusionScheduler
from mmccd.networks import TranslationUNet


@pytest.mark.parametrize("steps", [1, 3])
def test_the_plain_loop_equals_the_cycle(steps: int, tiny_networks: dict[str, TranslationUNet]) -> None:
    image = torch.randn(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    inferer = MaskedCycleInferer(MaskedDiffusionScheduler(), CycleSettings(steps=steps, stride=8), batch_size=5)
    f, g = tiny_networks[FORWARD], tiny_networks[BACKWARD]
    reference = plain_loop(image, f, g, inferer.scheduler, stride=8)
    anomaly = inferer(image, f, g).anomaly
    assert float((anomaly - reference).abs().max() / reference.max()) < 1e-5


def test_figures_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = {"factor": 8, "channels": [8, 8], "num_res_blocks": 1, "attention_levels": [False, False], "num_head_channels": [0, 8]}
    monkeypatch.setattr(benchmark, "NETWORK", {**tiny, "norm_num_groups": 4})
    text = run_benchmark(tmp_path / "figures.json", "cpu", slices=1, stride=16, steps=1)
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["settings"]["passes"] == 16 * 2
    row = figures["rows"][0]
    assert row["precision"] == "fp32"
    assert row["largest_difference"] < 1e-5
    assert row["ratio"] == pytest.approx(row["cycle_passes_per_s"] / row["plain_passes_per_s"], rel=0.02)
    assert "ratio" in text
