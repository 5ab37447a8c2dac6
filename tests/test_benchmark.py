"""mmccd.benchmark: the plain loop is the cycle, and the figures are written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tests.conftest import TINY

import mmccd.benchmark as benchmark
from mmccd.bundle import BACKWARD, FORWARD
from mmccd.cycle import CycleSettings, MaskedCycleInferer
from mmccd.data.phantom import Phantom
from mmccd.diffusion import MaskedDiffusionScheduler
from mmccd.networks import TranslationUNet


@pytest.mark.parametrize(("steps", "stride"), [(1, 16), (3, 8)])
def test_plain_loop_is_the_cycle(tiny_networks: dict[str, TranslationUNet], steps: int, stride: int) -> None:
    image = torch.randn(2, 1, 48, 48, generator=torch.Generator().manual_seed(0))
    inferer = MaskedCycleInferer(MaskedDiffusionScheduler(), CycleSettings(steps=steps, stride=stride), batch_size=5)
    forward, backward = tiny_networks[FORWARD], tiny_networks[BACKWARD]
    plain = benchmark.plain_loop(image, forward, backward, inferer.scheduler, stride)
    cycle = inferer(image, forward, backward).anomaly
    assert plain.shape == image.shape
    assert plain.std() > 0.1
    assert (plain - cycle).abs().max() < 1e-5 * plain.max()


def test_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, healthy_phantom: Phantom) -> None:
    monkeypatch.setattr(benchmark, "make_phantom", lambda seed: healthy_phantom)
    monkeypatch.setattr(benchmark, "has_fast_bf16", lambda device: False)
    monkeypatch.setattr(benchmark, "NETWORK", TINY)
    path = tmp_path / "new" / "figures.json"
    text = benchmark.run_benchmark(path, "cpu", slices=1, stride=16, steps=2)
    figures = json.loads(path.read_text())
    (row,) = figures["rows"]
    assert row["precision"] == "fp32"
    assert row["largest_difference"] < 1e-5
    assert row["ratio"] > 0
    assert row["ratio"] == pytest.approx(row["cycle_passes_per_s"] / row["plain_passes_per_s"], rel=0.05)
    assert figures["settings"]["passes"] == 1 * 16 * 3, "slices x masks x (steps of f, and g)"
    assert "not measured" in figures["note"]
    assert figures["peak_memory_gib"] > 0
    assert "48 passes on cpu" in text
