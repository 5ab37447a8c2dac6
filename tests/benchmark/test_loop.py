"""mmccd.benchmark.loop: the plain loop is the cycle, and the ratios are those of the rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tests.conftest import TINY

import mmccd.benchmark.loop as loop
from mmccd.benchmark.loop import PAPER_CONFIG, Networks, measure_loops, measure_networks, plain_loop
from mmccd.bundle import BACKWARD, FORWARD, ModelSet, load_models
from mmccd.methods.mmccd.cycle import MaskedCycleInferer
from mmccd.methods.mmccd.settings import CycleSettings
from mmccd.models.networks import TranslationUNet
from mmccd.models.schedule import MaskedDiffusionScheduler

CPU = torch.device("cpu")


@pytest.fixture
def models(tiny_bundles: Path) -> ModelSet:
    """Tiny networks, those of the paper's size included."""
    for name in (FORWARD, BACKWARD):
        (tiny_bundles / name / PAPER_CONFIG).write_text(
            json.dumps({f"network_def#{key}": value for key, value in TINY.items()})
        )
    return load_models(tiny_bundles)


@pytest.mark.parametrize(("steps", "stride"), [(1, 16), (3, 8)])
def test_plain_loop_is_the_cycle(
    tiny_networks: dict[str, TranslationUNet], steps: int, stride: int
) -> None:
    image = torch.randn(2, 1, 48, 48, generator=torch.Generator().manual_seed(0))
    inferer = MaskedCycleInferer(
        MaskedDiffusionScheduler(), CycleSettings(steps=steps, stride=stride), batch_size=5
    )
    forward, backward = tiny_networks[FORWARD], tiny_networks[BACKWARD]
    plain = plain_loop(image, forward, backward, inferer.scheduler, stride)
    cycle = inferer(image, forward, backward).anomaly
    assert plain.shape == image.shape
    assert plain.std() > 0.1
    assert (plain - cycle).abs().max() < 1e-5 * plain.max()


@pytest.mark.parametrize("precisions", [("fp32",), ("fp32", "bf16")])
def test_loops(
    models: ModelSet, precisions: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "has_fast_bf16", lambda device: len(precisions) == 2)
    image = torch.randn(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    found = measure_loops(image, models, CycleSettings(steps=2, stride=16), CPU, repeats=2)
    rows = {(row["network"], row["loop"], row["precision"]): row for row in found["rows"]}
    expected = {("shipped", "cycle", name) for name in precisions}
    assert set(rows) == expected | {
        ("shipped", "one at a time", "fp32"),
        ("paper", "one at a time", "fp32"),
    }
    assert rows["shipped", "cycle", "fp32"]["passes"] == 2 * 4 * 3, (
        "slices x strips x (steps of f, and g)"
    )
    assert rows["paper", "one at a time", "fp32"]["passes"] == 1 * 4 * 3
    assert found["largest_difference"] < 1e-5
    speed = {name: row["passes"] / row["seconds"] for name, row in rows.items()}
    plain = speed["shipped", "one at a time", "fp32"]
    assert found["ratios"]["cycle_fp32_to_loop"] == pytest.approx(
        speed["shipped", "cycle", "fp32"] / plain, rel=0.01
    )
    best = max(speed["shipped", "cycle", name] for name in precisions)
    assert found["ratios"]["cycle_to_paper_loop"] == pytest.approx(
        best / speed["paper", "one at a time", "fp32"], rel=0.01
    )


def test_the_papers_network(project: Path) -> None:
    """6.3 million parameters, as in the paper's public code; at 32 x 32 pixels a pass is quick."""
    networks = Networks.of_the_paper(load_models(project / "bundles"), CPU)
    assert sum(parameter.numel() for parameter in networks.forward.parameters()) == pytest.approx(
        6.27e6, rel=0.01
    )
    with torch.inference_mode():
        assert networks.forward(torch.zeros(1, 2, 32, 32), torch.tensor([999])).shape == (
            1,
            1,
            32,
            32,
        )


def test_networks(models: ModelSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "matmul_gflops", lambda device, precision, repeats: 10.0)
    found = measure_networks(models, CPU, repeats=2, size=32)
    assert found["peak_gflops"] == dict.fromkeys([row["precision"] for row in found["rows"]], 10.0)
    assert [row["network"] for row in found["rows"][:2]] == ["f", "g"]
    for row in found["rows"]:
        assert row["gflop_per_pass"] > 0
        assert row["share_of_peak"] == pytest.approx(row["gflops"] / 10, abs=0.006)


def test_flop_are_those_of_the_convolutions(
    models: ModelSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A convolution alone: 2 x 9 x channels in x channels out x pixels."""

    class One(torch.nn.Conv2d):
        def forward(self, x: torch.Tensor, timesteps: torch.Tensor | None = None) -> torch.Tensor:
            return super().forward(x[:, :1])

    monkeypatch.setattr(
        Networks,
        "shipped",
        lambda *_: Networks(One(1, 50, 3, padding=1), One(1, 50, 3, padding=1), None, CPU),
    )  # type: ignore[arg-type]
    found = measure_networks(models, CPU, repeats=1, size=64)
    assert found["rows"][0]["gflop_per_pass"] == pytest.approx(2 * 9 * 50 * 64 * 64 / 1e9, abs=6e-4)
