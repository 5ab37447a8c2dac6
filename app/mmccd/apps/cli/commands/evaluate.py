"""``mmccd evaluate``."""

from __future__ import annotations

import inspect
import json as json_
import shlex
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from mmccd import core
from mmccd.apps.cli.say import say, say_json
from mmccd.apps.parser import Only
from mmccd.core import BALANCED, OPERATING_POINTS, Setting, UsageError, open_console

if TYPE_CHECKING:
    from mmccd.evaluation import SetsPlan, Setup, Variant
    from mmccd.jobs import Workers

CONTRASTS = ("flair", "t1", "t2")
ROWS = ("intensity", "rule", "constant", "mmccd")
"""Of a table, with the method of the preset behind them."""

SHARED = Only("preset", "device", "bundles", "seed", "workers", "scheduler", "threads")
Data = Annotated[
    str | None, Setting("data folder in BraTS layout, or a datalist JSON", is_path=True)
]
Sets = Annotated[
    str | None,
    Setting(
        "instead of --data: several data sets, each reported whole in one table; data folders and"
        " datalists joined by commas, or a folder of them",
        is_path=True,
    ),
]
Validation = Annotated[
    str | None,
    Setting(
        "with --sets: data set on which methods without a threshold of their own choose one (its"
        " validation split, all of it where it has none); without it they get no Dice",
        is_path=True,
    ),
]
Points = Annotated[
    str | None,
    Setting(
        "with --sets: report each method at some of specific, balanced and sensitive, joined by"
        " commas: its calibrated thresholds, or those that mark as much of the healthy voxels of"
        f" --validation (default: {BALANCED})"
    ),
]
Output = Annotated[
    str | None,
    Setting("folder for maps, tables and figures; made if it is not there", is_path=True),
]
SplitFile = Annotated[
    str | None,
    Setting(
        "JSON with the cases of each split (default: DATA/split.json, or the datalist's own lists)",
        is_path=True,
    ),
]
Methods = Annotated[
    str | None,
    Setting(
        "rows, joined by commas: ae, vae, dae, ddpm, cyclic_unet, masked_translation, mmccd,"
        " constant, intensity, histogram, rule; some with settings (mmccd:steps=1:stride=16);"
        " differences are to the first;"
        " constant, rule and intensity stand in every table"
        f" (default: {','.join(ROWS)} and the preset's method; with --sets that one first)"
    ),
]
Protocol = Annotated[str, Setting("slice, paper, strict, or some of them joined by commas")]
Subset = Annotated[
    str, Setting("the split that is reported; thresholds are chosen on val", ("test", "val"))
]
Source = Annotated[str, Setting("contrast that is scored", CONTRASTS)]
Target = Annotated[
    str | None,
    Setting(
        "contrast that it is translated to (default: t2 where its weights are there)", CONTRASTS
    ),
]
Variants = Annotated[
    str,
    Setting(
        "preset (that of predict), none, or some of slice_sd, median, across, erosion and"
        " components joined by + (median+erosion=4); several joined by commas"
    ),
]
Grid = Annotated[
    str | None,
    Setting(
        "settings of one method with their values ('steps=1,2,4 stride=16,8'), on --subset val only"
    ),
]
Slices = Annotated[str, Setting("for the protocol paper: central, or a range such as 70-89")]
Runs = Annotated[
    str | None,
    Setting(
        "folder of the baselines' training runs (default: runs in the forward bundle)",
        is_path=True,
    ),
]
Rate = Annotated[float, Setting("voxel false-positive rate of the healthy-only threshold")]
Draws = Annotated[int, Setting("resamples of the bootstrap over patients")]
Json = Annotated[
    bool, Setting("print the figures (metrics.json of each protocol, or sets.json) as JSON")
]


def evaluate(
    settings: Annotated[core.Settings, SHARED],
    data: Data = None,
    output: Output = None,
    sets: Sets = None,
    validation: Validation = None,
    operating_points: Points = None,
    split: SplitFile = None,
    methods: Methods = None,
    protocol: Protocol = "slice",
    subset: Subset = "test",
    source: Source = "flair",
    target: Target = None,
    postprocessing: Variants = "preset",
    grid: Grid = None,
    slices: Slices = "central",
    runs: Runs = None,
    rate: Rate = 0.02,
    draws: Draws = 1000,
    json: Json = False,
) -> None:
    """Compare methods on labelled cases: tables, intervals, figures (docs/evaluation.md). The same
    command goes on where it stopped.

    Examples:
        mmccd evaluate --data brats_folder --output evaluation
        mmccd evaluate --data brats --output table --methods intensity,mmccd --protocol slice,strict
        mmccd evaluate --data brats --output grid --subset val --methods mmccd --grid 'steps=1,4'
        mmccd evaluate --sets ms,tumours,healthy --validation brats --output all
        mmccd evaluate --sets ms,tumours --operating-points balanced,sensitive --output points
        mmccd evaluate --sets ms,tumours --output all --scheduler tcp://host:8786
    """
    if output is None or (data is None and sets is None):
        flag = "--output" if output is None else "--data (or --sets)"
        raise UsageError(f"evaluate: {flag} is missing; see 'mmccd evaluate --help'")
    _check_contrasts(source, target)
    _check_numbers(rate, draws)
    setup = _setup(settings, source, target, runs)
    if sets is not None:
        from mmccd.jobs import Workers

        _refuse_beside_sets(
            data=data,
            split=split,
            protocol=protocol,
            subset=subset,
            postprocessing=postprocessing,
            grid=grid,
            slices=slices,
        )
        points = _points(operating_points)
        sets_plan = _sets_plan(sets, validation, setup, _set_methods(methods, setup), rate, draws)
        workers = Workers.of(settings)
        _run_sets(replace(sets_plan, points=points), Path(output), workers, json)
        return
    if settings.workers != 1 or settings.scheduler is not None:
        raise UsageError(
            "--workers and --scheduler are for --sets; --data is evaluated by this process alone"
        )
    if operating_points is not None:
        raise UsageError(
            "--operating-points: is for --sets; the tables of --data have a column for each"
            " threshold"
        )
    if validation is not None:
        raise UsageError(
            "--validation: is for --sets; --data chooses on its validation split (--split)"
        )
    assert data is not None
    methods = methods or _joined((*ROWS, _preset_method(setup)))
    _check_grid(grid, subset, methods)
    from mmccd.evaluation import (
        EvaluationPlan,
        evaluate as run_plan,
        make_candidates,
        make_protocol,
    )

    protocols = [make_protocol(name, slices) for name in _words(protocol)]
    variants = _variants(setup, postprocessing)
    rows = make_candidates(_names(methods, grid), setup)
    is_grid = grid is not None
    plan = EvaluationPlan(
        data, split, subset, setup, rows, variants, protocols, rate, draws, is_grid, _command()
    )
    with open_console("evaluate") as console:
        tables = run_plan(plan, Path(output), console.progress)
    _tell(tables, Path(output), subset, json)


def _points(text: str | None) -> tuple[str, ...]:
    """Names of operating points from a list that is joined by commas."""
    names = tuple(_words(text)) if text is not None else (BALANCED,)
    unknown = [name for name in names if name not in OPERATING_POINTS]
    if unknown or not names:
        raise UsageError(
            f"--operating-points {text!r}: {unknown[0] if unknown else 'nothing'!r} is unknown;"
            f" expected some of {', '.join(OPERATING_POINTS)}"
        )
    return names


def _set_methods(methods: str | None, setup: Setup) -> list[str]:
    from mmccd.evaluation import default_set_methods

    return _words(methods) if methods else default_set_methods(setup)


def _refuse_beside_sets(**given: str | None) -> None:
    """Raise UsageError where something was asked for that is about one data set."""
    known = inspect.signature(evaluate).parameters
    for name, value in given.items():
        if value != known[name].default:
            raise UsageError(
                f"--{name}: does not go with --sets, which reports every case of each data set as"
                " predict would mark it; leave one of them out"
            )


def _sets_plan(
    sets: str,
    validation: str | None,
    setup: Setup,
    methods: Iterable[str],
    rate: float,
    draws: int,
) -> SetsPlan:
    from mmccd.evaluation import SetsPlan, find_sets, find_validation, make_candidates

    found = find_sets(_words(sets))
    chosen = find_validation(validation, found) if validation is not None else None
    candidates = make_candidates(methods, setup)
    (variant,) = _variants(setup, "preset")
    return SetsPlan(found, setup, candidates, variant, chosen, rate, draws, _command())


def _run_sets(plan: SetsPlan, output: Path, workers: Workers, as_json: bool) -> None:
    from mmccd.evaluation import evaluate_sets
    from mmccd.jobs import make_maps_ahead

    with open_console("evaluate") as console:
        make_maps_ahead(plan, output, workers, console.progress)
        table = evaluate_sets(plan, output, console.progress)
    if as_json:
        file = output / "sets.json"
        figures = {"file": str(file), **json_.loads(file.read_text())}
        say_json({"status": "done", "exit_code": 0, "sets": figures})
        return
    say(f"{len(plan.sets)} data sets ({output})\n\n{table}")


def _preset_method(setup: Setup) -> str:
    """The method whose map ``predict`` writes."""
    from mmccd.bundle import read_preset

    return read_preset(setup.bundles, setup.preset).method


def _joined(names: Iterable[str]) -> str:
    """Each name once."""
    return ",".join(dict.fromkeys(names))


def _check_contrasts(source: str, target: str | None) -> None:
    if target == source:
        raise UsageError(f"--target {target}: is the source itself; expected another contrast")


def _check_numbers(rate: float, draws: int) -> None:
    if not 0 < rate < 1 or draws < 1:
        raise UsageError(
            f"--rate {rate}, --draws {draws}: expected a share between 0 and 1, and at least one"
            " resample"
        )


def _check_grid(grid: str | None, subset: str, methods: str) -> None:
    if grid is not None and (subset != "val" or "," in methods):
        raise UsageError(
            "--grid: settings are compared on validation data, for one method; give --subset val"
            " and one of --methods"
        )


def _setup(settings: core.Settings, source: str, target: str | None, runs: str | None) -> Setup:
    from mmccd.bundle import FORWARD, find_bundles
    from mmccd.evaluation import Setup, resolve_target

    root = find_bundles(settings.bundles)
    folder = Path(runs) if runs else root / FORWARD / "runs"
    chosen = resolve_target(root, source, target)
    return Setup(root, folder, source, chosen, settings.preset, settings.device, settings.seed)


def _variants(setup: Setup, postprocessing: str) -> list[Variant]:
    from mmccd.bundle import read_preset
    from mmccd.evaluation import read_variant

    smoothing = read_preset(setup.bundles, setup.preset).postprocessing
    return [read_variant(text, smoothing) for text in _words(postprocessing)]


def _names(methods: str, grid: str | None) -> list[str]:
    from mmccd.evaluation import expand_grid

    return expand_grid(methods, grid) if grid is not None else _words(methods)


def _command() -> str:
    """How the run was started, without the folders of this machine."""
    return shlex.join(["mmccd", *map(_without_folders, sys.argv[1:])])


def _without_folders(word: str) -> str:
    """A word, or a list of them that is joined by commas, with the names of absolute paths only."""
    return ",".join(
        Path(part).name if Path(part).is_absolute() else part for part in word.split(",")
    )


def _tell(tables: Mapping[str, str], output: Path, subset: str, as_json: bool) -> None:
    if as_json:
        files = {name: output / name / "metrics.json" for name in tables}
        figures = {
            name: {"file": str(file), **json_.loads(file.read_text())}
            for name, file in files.items()
        }
        say_json({"status": "done", "exit_code": 0, "protocols": figures})
        return
    for name, table in tables.items():
        say(f"{name} ({subset}, {output / name})\n\n{table}")


def _words(text: str) -> list[str]:
    """Words of a list that is joined by commas, each once."""
    return list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
