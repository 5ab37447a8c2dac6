"""The steps of a study: what each depends on, what it does, and what it leaves."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmccd.bundle import FORWARD, export_weights, text_sha256
from mmccd.core import Console
from mmccd.data import Case
from mmccd.jobs import ALONE, Workers
from mmccd.research.check import Checked
from mmccd.research.measure import calibrate_preset, evaluate_preset
from mmccd.research.networks import (
    NETWORKS,
    command,
    needed_networks,
    overrides,
    plan_of,
    run_name,
)
from mmccd.research.process import run_training

_OF_PLACE = ("track", "device", "progress")
"""Settings that do not change what is learned."""


@dataclass(frozen=True)
class Place:
    """Where one seed of a study is worked on.

    Attributes:
        folder: of the seed.
        device: where networks run.
        workers: who makes the maps of the evaluation.
    """

    folder: Path
    device: str
    workers: Workers = ALONE

    @property
    def bundles(self) -> Path:
        """The copy of the bundles."""
        return self.folder / "bundles"


@dataclass(frozen=True)
class Step:
    """One thing that is done once.

    Attributes:
        name: for the state and the log.
        inputs: everything that its result depends on, plain values.
        results: files that are there when it is done.
        act: does it; goes on where it was ended.
        forget: removes what it has left behind.
        is_training: whether starting anew loses hours.
    """

    name: str
    inputs: dict[str, Any]
    results: tuple[Path, ...]
    act: Callable[[Console], None]
    forget: Callable[[], None]
    is_training: bool = False


def steps_of_seed(checked: Checked, seed: int, place: Place, shipped: Path) -> Iterator[Step]:
    """The steps of one seed in their order.

    Args:
        checked: the study.
        seed: of everything random.
        place: where it is worked on.
        shipped: the bundles that were, or will be, copied; their presets say what is trained.
    """
    data = cases_key([*checked.splits["train"], *checked.splits["val"]])
    after: list[str] = []
    for network in needed_networks(checked.study, shipped):
        step = _training(checked, network, seed, place, data, list(after))
        after.append(key_of(step.inputs))
        yield step
    for preset in checked.study.presets:
        before = list(after)
        if checked.study.calibration is not None:
            step = _calibration(checked, preset, seed, place, data, before)
            before.append(key_of(step.inputs))
            yield step
        if checked.study.evaluation is not None:
            yield _evaluation(checked, preset, seed, place, before)


def table_of(folder: Path, preset: str) -> Path:
    """The figures of a preset in the folder of a seed."""
    return folder / "evaluation" / preset / "sets.json"


def cases_key(cases: Sequence[Case]) -> str:
    """Hash of names, sizes and times of the files of cases."""
    lines = []
    for case in cases:
        files = [*case.images.values(), *(file for file in (case.label, case.brain) if file)]
        for file in sorted(files):
            about = file.stat()
            lines.append(f"{case.name} {file.name} {about.st_size} {about.st_mtime_ns}")
    return text_sha256("\n".join(lines))[:16]


def key_of(inputs: dict[str, Any]) -> str:
    """Hash of what a step depends on."""
    return text_sha256(json.dumps(inputs, sort_keys=True))[:16]


def _training(
    checked: Checked, network: str, seed: int, place: Place, data: str, after: list[str]
) -> Step:
    study = checked.study
    bundle = place.bundles / NETWORKS[network]
    run = bundle / "runs" / run_name(study, network)
    chosen = overrides(study, network, seed, place.device)
    settings = {name: value for name, value in chosen.items() if name not in _OF_PLACE}
    del settings["dataset_dir"]
    inputs = {network: settings, "gpus": study.gpus, "data": data, "after": after}
    weights = bundle / "models" / "model.pt"

    def act(console: Console) -> None:
        log = place.folder / "logs" / f"{network}.txt"
        epochs = plan_of(study, network).max_epochs
        words = command(study, network, seed, place.device)
        run_training(words, bundle, log, run / "training.json", epochs, console)
        export_weights(run / "best.pt", bundle, force=True)

    def forget() -> None:
        shutil.rmtree(run, ignore_errors=True)
        for file in (weights, weights.with_suffix(".json")):
            file.unlink(missing_ok=True)

    name = f"seed {seed}: train {network}"
    return Step(name, inputs, (weights, run / "best.pt"), act, forget, is_training=True)


def _calibration(
    checked: Checked, preset: str, seed: int, place: Place, data: str, after: list[str]
) -> Step:
    plan = checked.study.calibration
    assert plan is not None
    inputs = {
        "calibration": plan.model_dump(mode="json"),
        "preset": preset,
        "data": data,
        "after": after,
    }
    file = place.bundles / FORWARD / "calibrations" / f"{preset}-{plan.precision}.json"

    def act(console: Console) -> None:
        calibrate_preset(checked, preset, seed, place.bundles, place.device, console)

    name = f"seed {seed}: calibrate {preset}"
    return Step(name, inputs, (file,), act, lambda: file.unlink(missing_ok=True))


def _evaluation(checked: Checked, preset: str, seed: int, place: Place, after: list[str]) -> Step:
    plan = checked.study.evaluation
    assert plan is not None
    asked = plan.model_dump(mode="json", exclude={"sets", "validation"})
    inputs = {
        "evaluation": asked,
        "preset": preset,
        "sets": {one.name: cases_key(one.cases) for one in checked.sets},
        "validation": cases_key(checked.validation.cases) if checked.validation else None,
        "after": after,
    }
    output = table_of(place.folder, preset).parent

    def act(console: Console) -> None:
        evaluate_preset(
            checked, preset, seed, place.bundles, place.device, output, console, place.workers
        )

    # Maps stay: each has a key of its own, and is made again where that has changed.
    def forget() -> None:
        (output / "sets.json").unlink(missing_ok=True)

    name = f"seed {seed}: evaluate {preset}"
    return Step(name, inputs, (output / "sets.json",), act, forget)
