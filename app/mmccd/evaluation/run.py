"""``mmccd evaluate``: score the cases under every method, judge them by each protocol, write tables
and figures.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from mmccd.core import InputError, OutputError, UnsuitableInputError, make_folder
from mmccd.data import Case, split_cases
from mmccd.evaluation.bootstrap import differences, intervals, patient_draws
from mmccd.evaluation.methods import Method, Setup
from mmccd.evaluation.pictures import Shot, choose_shown, write_curves, write_cycle, write_maps
from mmccd.evaluation.protocols import Protocol, Row
from mmccd.evaluation.scoring import Maps, MapStore
from mmccd.evaluation.selection import choose_polarity
from mmccd.evaluation.subjects import Subject, load_with_neighbours, with_image
from mmccd.evaluation.tables import (
    TableRow,
    difference_markdown,
    grid_markdown,
    markdown,
    per_case_csv,
    row_json,
)
from mmccd.evaluation.variants import Scored, Variant, apply_variant
from mmccd.methods import Progress, Scorer
from mmccd.pipeline import versions

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """What is to be evaluated.

    Attributes:
        data: data folder or datalist.
        split_file: cases of each split, see :func:`~mmccd.data.cases.split_cases`.
        subset: the split that is reported, ``"test"`` or ``"val"``; thresholds are always chosen on
            ``"val"``.
        setup: what all methods share.
        methods: the rows.
        variants: post-processing of each row.
        protocols: slices and figures.
        rate: false-positive rate of the healthy-only threshold.
        draws: resamples of the bootstrap.
        is_grid: the methods are one method with a grid of settings.
        command: how the run was started, for metrics.json.
    """

    data: str
    split_file: str | None
    subset: str
    setup: Setup
    methods: Sequence[Method]
    variants: Sequence[Variant]
    protocols: Sequence[Protocol]
    rate: float = 0.02
    draws: int = 1000
    is_grid: bool = False
    command: str = ""


@dataclass(frozen=True)
class Group:
    """The subjects of one protocol.

    Attributes:
        validation: where thresholds are chosen.
        reported: what the figures are about.
        contexts: by name, the same cases with the neighbouring slices that smoothing across slices
            needs.
        left_out: names of the cases without a usable slice.
    """

    validation: list[Subject]
    reported: list[Subject]
    contexts: dict[str, Subject]
    left_out: list[str] = field(default_factory=list)


def evaluate(plan: Plan, output: Path, progress: Progress | None = None) -> dict[str, str]:
    """Run a plan and write ``OUTPUT/PROTOCOL/`` for each of its protocols.

    Maps are kept under ``OUTPUT/maps``: a run that was ended goes on where it stopped, and another
    protocol takes what is there.

    Args:
        plan: what to do.
        output: folder to write into; made if it is not there.
        progress: called with (case and method done, in all).

    Returns:
        The Markdown table of each protocol.

    Raises:
        MmccdError: whatever makes the run fail; the maps that were made stay.
    """
    cases = split_cases(plan.data, plan.split_file)
    if not cases["val"] or not cases[plan.subset]:
        raise UnsuitableInputError(
            f"{plan.split_file or plan.data}: has {len(cases['val'])} validation and"
            f" {len(cases[plan.subset])} {plan.subset} cases; expected both: thresholds are chosen"
            " on validation cases"
        )
    make_folder(output)
    tables = {}
    for number, protocol in enumerate(plan.protocols):
        group = _group(plan, protocol, cases)

        def report(done: int, total: int, before: int = number) -> None:
            if progress is not None:
                progress(before * total + done, len(plan.protocols) * total)

        tables[protocol.name] = _run_protocol(plan, protocol, group, output, report)
    return tables


def _group(plan: Plan, protocol: Protocol, cases: dict[str, list[Case]]) -> Group:
    found: dict[str, list[Subject]] = {}
    contexts: dict[str, Subject] = {}
    left_out = []

    def reach(slice_mm: float) -> int:
        return max(variant.postprocessing.reach(slice_mm) for variant in plan.variants)

    for split in dict.fromkeys(("val", plan.subset)):
        found[split] = []
        for case in cases[split]:
            if plan.setup.source not in case.images:
                raise InputError(
                    f"case {case.name}: has no {plan.setup.source}, found {sorted(case.images)};"
                    " choose another --source"
                )
            chosen = protocol.rule, protocol.largest_only, protocol.lesion_needed
            loaded = load_with_neighbours(case, split, plan.setup.source, *chosen, reach)
            if loaded is None:
                left_out.append(case.name)
            else:
                found[split].append(loaded[0])
                contexts[case.name] = loaded[1]
        if not found[split]:
            raise UnsuitableInputError(
                f"{plan.data}: no {split} case has a slice with"
                f" {'a lesion' if protocol.lesion_needed else 'brain'} that protocol"
                f" {protocol.name} looks at; check labels, split file and --slices"
            )
    if left_out:
        logger.warning(
            "protocol %s leaves out %d cases without a usable slice: %s",
            protocol.name,
            len(left_out),
            ", ".join(left_out),
        )
    return Group(found["val"], found[plan.subset], contexts, left_out)


def _run_protocol(
    plan: Plan, protocol: Protocol, group: Group, output: Path, report: Progress
) -> str:
    store = MapStore(output / "maps")
    weights = patient_draws([subject.case.patient for subject in group.reported], plan.draws)
    rows: list[TableRow] = []
    shots: dict[str, list[Shot]] = {}
    reference: dict[str, Row] = {}
    subjects = list(group.contexts.values())
    total = len(plan.methods) * len(subjects)
    for number, method in enumerate(plan.methods):
        maps = _score_all(store, method, subjects, number * len(subjects), total, report)
        for variant in plan.variants:
            polarity, row, shown = _judge(plan, protocol, group, method, maps, variant)
            reference.setdefault(variant.name, row)
            gain = (
                differences(row.samples, reference[variant.name].samples, weights) if number else {}
            )
            seconds = float(
                np.mean([maps[subject.name].seconds.mean() for subject in group.reported])
            )
            rows.append(
                TableRow(
                    method, variant, polarity, row, intervals(row.samples, weights), gain, seconds
                )
            )
            if variant is plan.variants[0]:
                shots[rows[-1].title] = shown
        logger.info("protocol %s: %s done", protocol.name, method.name)
    return _write(plan, protocol, group, rows, shots, output / protocol.name)


def _score_all(
    store: MapStore,
    method: Method,
    subjects: Sequence[Subject],
    before: int,
    total: int,
    report: Progress,
) -> dict[str, Maps]:
    """Maps of all subjects by their names; the scorer is made once, and only where something is
    missing on disk.
    """

    @cache
    def scorer() -> Scorer:
        return method.build()

    maps = {}
    for number, subject in enumerate(subjects):
        maps[subject.name] = store.score(method, subject, scorer)
        report(before + number + 1, total)
    return maps


def _judge(
    plan: Plan,
    protocol: Protocol,
    group: Group,
    method: Method,
    maps: dict[str, Maps],
    variant: Variant,
) -> tuple[int, Row, list[Shot]]:
    """Choose on validation, then judge what is reported; with the shots for the figures."""

    def scored(subjects: Sequence[Subject], polarity: int) -> list[Scored]:
        contexts = [group.contexts[subject.name] for subject in subjects]
        whole = apply_variant(
            [maps[subject.name] for subject in subjects], contexts, variant, polarity
        )
        return [one.take(subject) for one, subject in zip(whole, subjects, strict=True)]

    polarity = choose_polarity(
        method.choices(variant.postprocessing.units), lambda sign: scored(group.validation, sign)
    )
    row = protocol.judge(
        scored(group.validation, polarity), scored(group.reported, polarity), plan.rate
    )
    shown = [group.reported[index] for index in choose_shown(len(group.reported))]
    return (
        polarity,
        row,
        [
            _shot(subject, group.contexts[subject.name], maps[subject.name], variant, polarity)
            for subject in shown
        ],
    )


def _shot(subject: Subject, context: Subject, maps: Maps, variant: Variant, polarity: int) -> Shot:
    """The slice that figures show; ``maps`` are those of the context."""
    at, slice_mm = context.picture, context.spacing[0]
    score = maps.signed if variant.postprocessing.units == "slice_sd" else maps.anomaly
    first = max(at - variant.postprocessing.reach(slice_mm), 0)
    near = slice(first, at + variant.postprocessing.reach(slice_mm) + 1)
    smoothed = (
        polarity
        * variant.postprocessing.smooth(score[near], context.brain[near], slice_mm)[at - first]
    )
    return Shot(
        subject,
        smoothed,
        maps.imagined[at].astype(np.float32),
        maps.returned[at].astype(np.float32),
    )


def _write(
    plan: Plan,
    protocol: Protocol,
    group: Group,
    rows: Sequence[TableRow],
    shots: dict[str, list[Shot]],
    folder: Path,
) -> str:
    make_folder(folder)
    text = (
        grid_markdown(rows)
        if plan.is_grid
        else "\n".join([markdown(protocol.name, rows), difference_markdown(rows)])
    )
    content = {**_about(plan, protocol, group), "rows": [row_json(row) for row in rows]}
    _write_text(folder / "table.md", text)
    _write_text(folder / "cases.csv", per_case_csv(rows))
    if not plan.is_grid:
        write_maps(folder / "maps.png", shots)
        _write_cycle(plan, rows, shots, folder)
    for variant in plan.variants:
        chosen = [row for row in rows if row.variant == variant]
        curves = {row.title: (row.row.samples.ranks, row.row.figures["auprc"]) for row in chosen}
        write_curves(
            folder / f"precision_recall_{variant.name}.png",
            curves,
            chosen[0].row.figures["prevalence"],
        )
    _write_text(folder / "metrics.json", json.dumps(content, indent=2, allow_nan=False) + "\n")
    return text


def _write_cycle(
    plan: Plan, rows: Sequence[TableRow], shots: dict[str, list[Shot]], folder: Path
) -> None:
    """The way through the cycle for the first method that goes through another contrast: MMCCD
    where it is there.
    """
    candidates = {row.title: row.method for row in rows if row.method.key.get("target")}
    title = next(
        (title for title, method in candidates.items() if method.key["method"] == "mmccd"),
        next(iter(candidates), None),
    )
    if title is None:
        return
    target = str(candidates[title].key["target"])
    real = [with_image(shot.subject, target) for shot in shots[title]]
    write_cycle(folder / "cycle.png", shots[title], target, real)


def _about(plan: Plan, protocol: Protocol, group: Group) -> dict[str, Any]:
    """What the figures are about, without paths of this machine."""
    return {
        "protocol": protocol.name,
        "data": Path(plan.data).name,
        "reported_split": plan.subset,
        "thresholds_from": "val",
        "in_sample": plan.subset == "val",
        "cases": {
            "validation": len(group.validation),
            "reported": len(group.reported),
            "left_out": group.left_out,
        },
        "slices": {
            subject.name: list(subject.slices) if protocol.largest_only else len(subject.slices)
            for subject in (*group.validation, *(group.reported if plan.subset != "val" else ()))
        },
        "source": plan.setup.source,
        "target": plan.setup.target,
        "preset": plan.setup.preset,
        "seed": plan.setup.seed,
        "healthy_rate": plan.rate,
        "bootstrap_draws": plan.draws,
        "reference": plan.methods[0].name,
        "command": plan.command,
        "versions": versions(),
    }


def _write_text(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror or error}); choose another --output or"
            " free some space"
        ) from error
