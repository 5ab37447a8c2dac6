"""How long a study takes, and how much memory: a few iterations of each network are measured on
slices of one case.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import torch
from torch.utils.data import default_collate

from mmccd.benchmark import peak_memory_gib
from mmccd.bundle import read_preset
from mmccd.data import Case
from mmccd.methods import CycleSettings
from mmccd.models import choose_device
from mmccd.research.networks import NETWORKS, overrides, plan_of
from mmccd.research.plan import Study
from mmccd.research.run import Run

_TIMED = 2
"""Iterations that are timed, behind one that is not."""
_FORWARD = 0.3
"""Share of an iteration that a pass without gradients takes."""
_PAIR_BYTES = 3 * 128 * 128 * 4
"""A cached pair of slices with its brain, float32."""
_SIZE = (128, 128)


@dataclass(frozen=True)
class Line:
    """An estimate of one step.

    Attributes:
        step: its name.
        what: how much there is to do.
        seconds: how long it takes about.
    """

    step: str
    what: str
    seconds: float


@dataclass(frozen=True)
class Estimate:
    """An estimate of what is left of a study.

    Attributes:
        lines: one for each step.
        memory_gb: main memory of a process, about.
        gpu_gb: memory of the GPU; None where none is used.
        device: where it was measured.
    """

    lines: tuple[Line, ...]
    memory_gb: float
    gpu_gb: float | None
    device: str

    @property
    def seconds(self) -> float:
        """In all."""
        return sum(line.seconds for line in self.lines)

    def text(self) -> str:
        """For people."""
        width = max((len(line.step) for line in self.lines), default=0)
        rows = [
            f"{line.step:<{width}}  {_duration(line.seconds):>8}  {line.what}"
            for line in self.lines
        ]
        gpu = f", {self.gpu_gb:.1f} GB of the GPU" if self.gpu_gb is not None else ""
        total = f"about {_duration(self.seconds)} in all, {self.memory_gb:.1f} GB of memory{gpu}"
        how = f"estimated from a few iterations on {self.device}; a busy machine takes longer"
        return "\n".join([*rows, f"{total} ({how})"])


@dataclass(frozen=True)
class _Speed:
    """Of one network: seconds of an iteration, of reading a case, and the share of a case's slices
    that are used.
    """

    iteration: float
    batch: int
    reading: float
    share: float

    @property
    def forward(self) -> float:
        """Seconds of a slice without gradients."""
        return _FORWARD * self.iteration / self.batch


def estimate(run: Run, device: str = "auto") -> Estimate:
    """Measure, and count what is left.

    Args:
        run: the study; the bundles that it copies, or has copied, say which networks it trains.
        device: where networks run.

    Raises:
        MmccdError: a case that cannot be read, or settings that cannot be used.
    """
    study, place = run.checked.study, choose_device(device)
    splits = run.checked.splits
    left = [step.name for step in run.left]
    names = [name for name in NETWORKS if any(text.endswith(f"train {name}") for text in left)]
    first = splits["train"][0]
    speeds = {name: _measure(study, name, run.shipped, device, first) for name in names}
    share = next((speed.share for speed in speeds.values()), 0.8)
    counts = {name: int(share * _depth(splits[name])) for name in ("train", "val")}
    passes = _PassCost(run, speeds)
    lines = []
    for step in left:
        what, _, name = step.partition(": ")[2].partition(" ")
        if what == "train":
            lines.append(_training(study, step, name, speeds[name], splits, counts))
            continue
        cases = (
            splits["val"] if what == "calibrate" else [c for s in run.checked.sets for c in s.cases]
        )
        slices = int(share * _depth(cases))
        lines.append(
            Line(
                step,
                f"{len(cases)} cases, about {slices} slices",
                passes.of(name, slices, len(cases)),
            )
        )
    cached = sum(counts.values()) * _PAIR_BYTES
    gpu = _peak_gb(place) if place.type == "cuda" else None
    memory = _peak_gb(torch.device("cpu")) + cached / 1e9
    return Estimate(tuple(lines), memory, gpu, _described(place))


def _training(
    study: Study,
    step: str,
    name: str,
    speed: _Speed,
    splits: dict[str, list[Case]],
    counts: dict[str, int],
) -> Line:
    plan = plan_of(study, name)
    iterations = max(1, counts["train"] // (plan.batch_size * study.gpus))
    checking = counts["val"] / plan.batch_size * _FORWARD
    seconds = (iterations + checking) * speed.iteration * plan.max_epochs
    cases = len(splits["train"]) + len(splits["val"])
    what = (
        f"{plan.max_epochs} epochs of {iterations} iterations of {plan.batch_size} slices,"
        f" {speed.iteration:.2f} s each"
    )
    return Line(step, what, seconds + cases * speed.reading + 15)


class _PassCost:
    """Seconds that presets take of slices."""

    def __init__(self, run: Run, speeds: dict[str, _Speed]) -> None:
        self.run, self.speeds = run, speeds

    def of(self, preset: str, slices: int, cases: int) -> float:
        """About; 0.5 s a case go into reading and smoothing."""
        cycle = read_preset(self.run.shipped, preset).cycle
        costs = {name: speed.forward for name, speed in self.speeds.items()}
        both = costs.get("forward", 0.0) * cycle.steps + costs.get("backward", 0.0)
        each = passes_of(cycle) * both + costs.get("decision", 0.0)
        return each * slices + 2.0 * cases


def passes_of(cycle: CycleSettings) -> int:
    """How often a slice goes through g: masks and draws."""
    strips = len(cycle.masks(_SIZE)) if cycle.has_strips else 0
    return strips + (cycle.draws if cycle.hiding != "strips" else 0)


def _measure(study: Study, name: str, bundles: Path, device: str, first: Case) -> _Speed:
    """Iterations of a network on slices of the first training case."""
    parser = _parser(study, name, bundles, device)
    begin = time.monotonic()
    slices = parser.get_parsed_content("train#dataset")
    reading = time.monotonic() - begin
    depth = max(1, _depth([first]))
    prepare = _prepare(parser, name, study, bundles)
    network, optimizer, loss, inferer = (
        parser.get_parsed_content(key) for key in ("network", "optimizer", "loss", "train#inferer")
    )
    size, place = plan_of(study, name).batch_size, choose_device(device)
    times = []
    for _ in range(1 + _TIMED):
        begin = time.monotonic()
        batch = default_collate([slices[index % len(slices)] for index in range(size)])
        inputs, targets, *rest = prepare(batch, place, False)
        args, kwargs = rest if rest else ((), {})
        network.train()
        optimizer.zero_grad()
        loss(inferer(inputs, network, *args, **kwargs), targets).backward()
        optimizer.step()
        if place.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.monotonic() - begin)
    return _Speed(float(np.mean(times[1:])), size, reading, min(1.0, len(slices) / depth))


def _parser(study: Study, name: str, bundles: Path, device: str) -> Any:
    """The network's ``train.json`` with the study's settings, on one case."""
    import monai.data
    from monai.bundle import ConfigParser

    monai.data.set_track_meta(False)
    bundle = bundles / NETWORKS[name]
    chosen = overrides(study, name, 0, device)
    chosen |= {"max_cases": 1, "output_dir": tempfile.gettempdir(), "track": "none"}
    chosen |= {"bundle_root": str(bundle), "slices#progress": False}
    chosen.pop("backward_weights", None)
    parser = ConfigParser()
    parser.read_config(str(bundle / "configs" / "train.json"))
    for key, value in chosen.items():
        parser[key] = value
    return parser


def _prepare(parser: Any, name: str, study: Study, bundles: Path) -> Any:
    """What makes a batch; in front of d runs a cycle of networks that nobody trained."""
    if name == "backward":
        from monai.engines import default_prepare_batch

        return default_prepare_batch
    if name == "forward":
        return parser.get_parsed_content("train#prepare_batch")
    from mmccd.training import DecisionPrepareBatch, OneStepCycle

    networks = [
        _parser(study, other, bundles, "cpu").get_parsed_content("network_def").eval()
        for other in ("forward", "backward")
    ]
    device = parser.get_parsed_content("device")
    cycle = OneStepCycle(*(network.to(device) for network in networks))
    return DecisionPrepareBatch(cycle)


def _depth(cases: Sequence[Case]) -> int:
    """Axial slices of cases, by their headers."""
    total = 0
    for case in cases:
        image = nibabel.load(next(iter(case.images.values())))
        axes = nibabel.aff2axcodes(image.affine)
        total += next((n for n, axis in zip(image.shape, axes, strict=False) if axis in "SI"), 0)
    return total


def _peak_gb(device: torch.device) -> float:
    """Most memory of this process so far."""
    return peak_memory_gib(device) * 2**30 / 1e9


def _described(device: torch.device) -> str:
    threads = f" with {torch.get_num_threads()} threads" if device.type == "cpu" else ""
    return f"{device}{threads}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
