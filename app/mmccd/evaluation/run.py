"""``mmccd evaluate``: score the cases under every method, judge them by each protocol, write tables
and figures.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmccd.core import InputError, UnsuitableInputError, make_folder, write_text
from mmccd.data import Case, say_doubtful_labels, say_grouping, split_cases
from mmccd.evaluation.bootstrap import Floats, differences, intervals, patient_draws
from mmccd.evaluation.candidates import Candidate, Setup
from mmccd.evaluation.pictures import Shot, choose_shown, write_curves, write_cycle, write_maps
from mmccd.evaluation.plain_rows import CONSTANT, with_plain_rows
from mmccd.evaluation.protocols import Judgement, Protocol
from mmccd.evaluation.returned import returned_images
from mmccd.evaluation.scoring import MapStore, StoredMaps
from mmccd.evaluation.selection import choose_polarity
from mmccd.evaluation.subjects import Subject, load_with_neighbours, normalised_slices, with_image
from mmccd.evaluation.tables import (
    TableRow,
    difference_markdown,
    gain_markdown,
    grid_markdown,
    latex,
    markdown,
    per_case_csv,
    returned_json,
    returned_markdown,
    row_json,
)
from mmccd.evaluation.variants import LOWEST, Scored, Variant, apply_variant
from mmccd.imaging import Normalisation
from mmccd.methods import Progress, Scorer
from mmccd.pipeline import versions

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EvaluationPlan:
    """What is to be evaluated.

    Attributes:
        data: data folder or datalist.
        split_file: cases of each split, see :func:`~mmccd.data.cases.split_cases`.
        subset: the split that is reported, ``"test"`` or ``"val"``; thresholds are always chosen on
            ``"val"``.
        setup: what all methods share.
        candidates: the methods that are compared; differences are to the first. The plain rows
            that are not among them come behind.
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
    candidates: Sequence[Candidate]
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


def evaluate(
    plan: EvaluationPlan, output: Path, progress: Progress | None = None
) -> dict[str, str]:
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
    say_grouping(cases[plan.subset])
    say_doubtful_labels(
        [case for split in dict.fromkeys(("val", plan.subset)) for case in cases[split]]
    )
    plan = replace(plan, candidates=with_plain_rows(plan.candidates, plan.setup))
    make_folder(output)
    tables = {}
    for number, protocol in enumerate(plan.protocols):
        group = _group(plan, protocol, cases)

        def report(done: int, total: int, before: int = number) -> None:
            if progress is not None:
                progress(before * total + done, len(plan.protocols) * total)

        tables[protocol.name] = _run_protocol(plan, protocol, group, output, report)
    return tables


def _group(plan: EvaluationPlan, protocol: Protocol, cases: dict[str, list[Case]]) -> Group:
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
    plan: EvaluationPlan, protocol: Protocol, group: Group, output: Path, report: Progress
) -> str:
    store = MapStore(output / "maps")
    weights = patient_draws([subject.case.patient for subject in group.reported], plan.draws)
    rows: list[TableRow] = []
    shots: dict[str, list[Shot]] = {}
    subjects = list(group.contexts.values())
    images: dict[tuple[str, Normalisation], NDArray[np.float32]] = {}

    def image_of(normalisation: Normalisation, one: Subject) -> NDArray[np.float32]:
        """What a method sees of a reported case; most of them see the same."""
        key = one.name, normalisation
        if key not in images:
            slices = normalised_slices(one.case, plan.setup.source, normalisation)
            images[key] = slices.image[list(one.slices), 0].numpy()
        return images[key]

    total = len(plan.candidates) * len(subjects)
    for number, candidate in enumerate(plan.candidates):
        maps = _score_all(store, candidate, subjects, number * len(subjects), total, report)
        seen = partial(image_of, candidate.normalisation)
        returned = returned_images(group.reported, maps, weights, seen)
        seconds = _seconds_per_slice(group, maps)
        for variant in (chosen.of(candidate.method) for chosen in plan.variants):
            polarity, found, shown = _judge(plan, protocol, group, candidate, maps, variant)
            rows.append(TableRow(candidate, variant, polarity, found, seconds, returned))
            shots.setdefault(rows[-1].title, shown)
        logger.info("protocol %s: %s done", protocol.name, candidate.name)
    rows = _compared(rows, weights)
    return _write(plan, protocol, group, rows, shots, output / protocol.name)


def _compared(rows: Sequence[TableRow], weights: Floats) -> list[TableRow]:
    """The rows with their intervals, and with what they have over the first method and over the
    constant under the same post-processing.
    """
    statistics = [row.judgement.samples.statistics(weights) for row in rows]
    first: dict[str, int] = {}
    constant: dict[str, int] = {}
    for number, row in enumerate(rows):
        first.setdefault(row.variant.name, number)
        if row.candidate.name == CONSTANT:
            constant[row.variant.name] = number

    def gain(number: int, reference: int | None) -> dict[str, dict[str, Any]]:
        if reference is None or reference == number:
            return {}
        return differences(statistics[number], statistics[reference])

    return [
        replace(
            row,
            intervals=intervals(statistics[number]),
            differences=gain(number, first[row.variant.name]),
            gains=gain(number, constant.get(row.variant.name)),
        )
        for number, row in enumerate(rows)
    ]


def _seconds_per_slice(group: Group, maps: dict[str, StoredMaps]) -> float:
    return float(
        np.mean([maps[one.name].take(one.slices).seconds.mean() for one in group.reported])
    )


def _score_all(
    store: MapStore,
    candidate: Candidate,
    subjects: Sequence[Subject],
    before: int,
    total: int,
    report: Progress,
) -> dict[str, StoredMaps]:
    """Maps of all subjects by their names; the scorer is made once, and only where something is
    missing on disk.
    """

    @cache
    def scorer() -> Scorer:
        return candidate.build()

    maps = {}
    for number, subject in enumerate(subjects):
        maps[subject.name] = store.score(candidate, subject, scorer)
        report(before + number + 1, total)
    return maps


def _judge(
    plan: EvaluationPlan,
    protocol: Protocol,
    group: Group,
    candidate: Candidate,
    maps: dict[str, StoredMaps],
    variant: Variant,
) -> tuple[int, Judgement, list[Shot]]:
    """Choose on validation, then judge what is reported; with the shots for the figures."""

    def scored(subjects: Sequence[Subject], polarity: int) -> list[Scored]:
        return [
            apply_variant(
                maps[one.name], group.contexts[one.name], variant, candidate, polarity
            ).take(one)
            for one in subjects
        ]

    choices = candidate.polarities(variant.postprocessing.units)
    polarity = choose_polarity(choices, lambda sign: scored(group.validation, sign))
    reported = scored(group.reported, polarity)
    own = candidate.threshold if variant.is_preset else None
    found = protocol.judge(scored(group.validation, polarity), reported, plan.rate, own)
    shown = [reported[index] for index in choose_shown(len(reported))]
    return polarity, found, [_shot(one, maps[one.subject.name]) for one in shown]


def _shot(scored: Scored, maps: StoredMaps) -> Shot:
    """The slice that figures show."""
    subject = scored.subject
    scores = maps.take([subject.slices[subject.picture]]).scores
    translated, reconstructed = (
        layer[0, 0].numpy() for layer in (scores.translated, scores.reconstructed)
    )
    score = scored.score[subject.picture]
    lowest = score.min(initial=0.0, where=score > LOWEST)
    return Shot(subject, score.clip(lowest), translated, reconstructed)


def _write(
    plan: EvaluationPlan,
    protocol: Protocol,
    group: Group,
    rows: Sequence[TableRow],
    shots: dict[str, list[Shot]],
    folder: Path,
) -> str:
    make_folder(folder)
    content = {
        **_about(plan, protocol, group),
        "rows": [row_json(row) for row in rows],
        "returned_images": returned_json(rows),
    }
    text = _tables(plan, protocol, rows)
    write_text(folder / "table.md", text)
    write_text(folder / "cases.csv", per_case_csv(rows))
    if not plan.is_grid:
        write_text(folder / "table.tex", latex(protocol.name, rows))
        write_maps(folder / "maps.png", shots)
        _write_cycle(plan, rows, shots, folder)
    for variant in plan.variants:
        chosen = [row for row in rows if row.variant.name == variant.name]
        curves = {
            row.title: (row.judgement.samples.ranks, row.judgement.figures["auprc"])
            for row in chosen
        }
        write_curves(
            folder / f"precision_recall_{variant.name}.png",
            curves,
            chosen[0].judgement.figures["prevalence"],
        )
    write_text(folder / "metrics.json", json.dumps(content, indent=2, allow_nan=False) + "\n")
    return text


def _tables(plan: EvaluationPlan, protocol: Protocol, rows: Sequence[TableRow]) -> str:
    """All tables of a protocol that have something to say."""
    parts = (
        [grid_markdown(rows)]
        if plan.is_grid
        else [markdown(protocol.name, rows), difference_markdown(rows), gain_markdown(rows)]
    )
    return "\n".join(part for part in [*parts, returned_markdown(rows)] if part)


def _write_cycle(
    plan: EvaluationPlan, rows: Sequence[TableRow], shots: dict[str, list[Shot]], folder: Path
) -> None:
    """The way through the cycle for the first method that goes through another contrast: MMCCD
    where it is there.
    """
    candidates = {row.title: row.candidate for row in rows if row.candidate.key.get("target")}
    title = next(
        (title for title, candidate in candidates.items() if candidate.method.name == "mmccd"),
        next(iter(candidates), None),
    )
    if title is None:
        return
    target = str(candidates[title].key["target"])
    real = [with_image(shot.subject, target) for shot in shots[title]]
    write_cycle(folder / "cycle.png", shots[title], target, real)


def _about(plan: EvaluationPlan, protocol: Protocol, group: Group) -> dict[str, Any]:
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
        "reference": plan.candidates[0].name,
        "command": plan.command,
        "versions": versions(),
    }
