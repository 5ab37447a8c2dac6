"""``mmccd calibrate``."""

from __future__ import annotations

import json as json_
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from mmccd import core
from mmccd.apps.cli.say import say, say_json
from mmccd.apps.parser import Only
from mmccd.core import (
    BALANCED,
    RATES,
    Setting,
    UnsuitableInputError,
    UsageError,
    as_percent,
    open_console,
)

if TYPE_CHECKING:
    from mmccd.core import OperatingPoint
    from mmccd.pipeline import AnomalyPipeline

PRECISIONS = ("fp32", "bf16")


SHARED = Only("preset", "target", "device", "bundles", "seed")
Data = Annotated[
    str | None, Setting("data folder in BraTS layout, or a datalist JSON", is_path=True)
]
SplitFile = Annotated[
    str | None,
    Setting(
        "JSON with the cases of each split (default: DATA/split.json, or the datalist's own lists)",
        is_path=True,
    ),
]
Split = Annotated[str, Setting("which split; not the one that is tested on")]
Rate = Annotated[
    float | None,
    Setting(
        "largest share of healthy brain voxels that the operating point balanced may mark, in the"
        f" place of {RATES[BALANCED]}; specific and sensitive give way rather than cross it"
    ),
]
BestDice = Annotated[
    bool,
    Setting(
        "instead, one threshold without operating points: that with the best pooled Dice on the"
        " lesion labels of the split"
    ),
]
Slices = Annotated[
    int | None,
    Setting(
        "only so many (with a rate: healthy) slices of each case, evenly spread (default: all)"
    ),
]
Precision = Annotated[
    str,
    Setting(
        "predict computes in bf16 where the hardware has it and a threshold was chosen in it",
        PRECISIONS,
    ),
]
Json = Annotated[bool, Setting("print the thresholds and where they come from as JSON")]


def calibrate(
    settings: Annotated[core.Settings, SHARED],
    data: Data = None,
    split_file: SplitFile = None,
    split: Split = "val",
    rate: Rate = None,
    best_dice: BestDice = False,
    slices_per_case: Slices = None,
    precision: Precision = "fp32",
    json: Json = False,
) -> None:
    """Choose the thresholds of all operating points on healthy slices, or the one of the best Dice,
    and store them where predict finds them.

    Examples:
        mmccd calibrate --data phantoms/datalist.json
        mmccd calibrate --data brats_folder --split-file split.json --best-dice --preset fast
    """
    if data is None:
        raise UsageError("calibrate: --data is missing; give a data folder or a datalist")
    _check(split, rate, best_dice)
    wanted = None if best_dice else RATES[BALANCED] if rate is None else rate
    from mmccd.bundle import store_calibration
    from mmccd.data import split_cases
    from mmccd.evaluation import calibrate_on_cases

    groups = split_cases(data, split_file)
    cases = groups.get(split, [])
    if not cases:
        raise UnsuitableInputError(
            f"{data}: the split {split!r} has no cases; expected healthy or labelled validation"
            " cases"
        )
    pipeline = _pipeline(settings, precision)
    origin = {"data": _data_name(Path(data)), "split": split}
    tested = groups.get("test", [])
    with open_console("calibrate") as console:
        calibration = calibrate_on_cases(
            pipeline, cases, wanted, slices_per_case, origin, console.progress, tested
        )
    path = store_calibration(settings.preset, calibration, settings.bundles)
    if json:
        say_json({"status": "done", "exit_code": 0, "file": str(path), **calibration.summary()})
        return
    for name, point in calibration.points.items():
        say(_point_line(name, point))
    origin_text = json_.dumps(calibration.origin)
    say(f"threshold {calibration.threshold:.5g} ({origin_text}); written to {path}")


def _point_line(name: str, point: OperatingPoint) -> str:
    """An operating point for people."""
    volumes = (
        f"; {point.median_ml:.2g} mL (median) to {point.largest_ml:.2g} mL a case"
        if point.median_ml is not None and point.largest_ml is not None
        else ""
    )
    return (
        f"{name:<10} {point.threshold:.5g}: {point.meaning} (reached: pooled"
        f" {as_percent(point.pooled_rate)}, median {as_percent(point.median_share)}, worst case"
        f" {as_percent(point.largest_share)}{volumes})"
    )


def _pipeline(settings: core.Settings, precision: str) -> AnomalyPipeline:
    from mmccd.bundle import find_bundles, load_models
    from mmccd.pipeline import AnomalyPipeline

    name, seed = settings.preset, settings.seed
    models = load_models(find_bundles(settings.bundles), settings.target, preset=name)
    chosen = models.with_preset(replace(models.preset(name), precision=precision))
    return AnomalyPipeline(chosen, name, settings.device, seed=seed, require_threshold=False)


def _check(split: str, rate: float | None, best_dice: bool) -> None:
    if split == "test":
        raise UsageError(
            "calibrate: a threshold is never chosen on the test split; use --split val"
        )
    if rate is not None and best_dice:
        raise UsageError("calibrate: --rate and --best-dice exclude each other; give one")
    if rate is not None and not 0 < rate < 1:
        raise UsageError(f"calibrate: --rate {rate}: expected a share between 0 and 1, e.g. 0.001")


def _data_name(path: Path) -> str:
    """A data folder's name; of a datalist with the folder it lies in."""
    return f"{path.resolve().parent.name}/{path.name}" if path.is_file() else path.resolve().name
