"""``mmccd evaluate --sets``: every case of several data sets under every method, in one table."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

from mmccd.core import UnsuitableInputError, make_folder, write_text
from mmccd.data import say_doubtful_labels, say_grouping
from mmccd.evaluation.candidates import Candidate
from mmccd.evaluation.plain_rows import with_plain_rows
from mmccd.evaluation.sets.choice import Choice, choose_points, choosing, needs_validation
from mmccd.evaluation.sets.figures import case_figures, mark
from mmccd.evaluation.sets.pictures import write_worst
from mmccd.evaluation.sets.plan import SetsPlan
from mmccd.evaluation.sets.result import MethodResult, SetsResult
from mmccd.evaluation.sets.scoring import Loaded, SetScoring, maps_folder, validation_folder
from mmccd.evaluation.sets.tables import sets_csv, sets_json, sets_latex, sets_markdown
from mmccd.evaluation.variants import Scored
from mmccd.methods import Progress

logger = logging.getLogger(__name__)


def evaluate_sets(plan: SetsPlan, output: Path, progress: Progress | None = None) -> str:
    """Report data sets whole and write ``sets.md``, ``sets.tex``, ``sets.csv``, ``sets.json`` and
    the pictures of the worst false marks and misses.

    Maps are kept under ``OUTPUT/maps/SET``: a run that was ended goes on where it stopped.

    Args:
        plan: what to do.
        output: folder to write into; made if it is not there.
        progress: called with (case and method done, in all).

    Returns:
        The table as Markdown.

    Raises:
        MmccdError: whatever makes the run fail; the maps that were made stay.
    """
    reported = [case for one in plan.sets for case in one.cases]
    say_grouping(reported)
    say_doubtful_labels([*reported, *(plan.validation.cases if plan.validation else ())])
    plan = replace(plan, candidates=with_plain_rows(plan.candidates, plan.setup))
    make_folder(output)
    scoring = SetScoring(plan.setup, plan.variant, maps_folder(output))
    count = _Count(plan, progress)
    choices = _choices(plan, scoring, count)
    result = _score_sets(plan, scoring, choices, count)
    return _write(result, output)


class _Count:
    """Tells how far a run is."""

    def __init__(self, plan: SetsPlan, progress: Progress | None) -> None:
        cases = len(plan.validation.cases) if plan.validation else 0
        chosen = cases * len(choosing(plan.candidates, plan.variant))
        reported = len(plan.candidates) * sum(len(one.cases) for one in plan.sets)
        self._total, self._done, self._progress = chosen + reported, 0, progress

    def add(self, steps: int = 1) -> None:
        self._done += steps
        if self._progress is not None:
            self._progress(self._done, self._total)


def _choices(plan: SetsPlan, scoring: SetScoring, count: _Count) -> list[list[Choice]]:
    """Side and thresholds of each method, in their order."""
    loaded = _load_validation(plan, scoring)
    return [_choice(plan, scoring, candidate, loaded, count) for candidate in plan.candidates]


def _load_validation(plan: SetsPlan, scoring: SetScoring) -> list[Loaded]:
    """The validation cases; none where none were named, or where no method chooses."""
    if plan.validation is None or not choosing(plan.candidates, plan.variant):
        return []
    found = [scoring.load(case, "val") for case in plan.validation.cases]
    loaded = [one for one in found if one is not None]
    if not loaded:
        raise UnsuitableInputError(
            f"--validation {plan.validation.name}: no case has a slice with brain; expected some to"
            " choose thresholds on; name another data set"
        )
    return loaded


def _choice(
    plan: SetsPlan, scoring: SetScoring, candidate: Candidate, loaded: list[Loaded], count: _Count
) -> list[Choice]:
    if plan.validation is None or not needs_validation(candidate, plan.variant):
        return choose_points(candidate, plan.variant, None, plan.rate, plan.points)
    folder = validation_folder(plan.validation)

    def scored_as(polarity: int) -> list[Scored]:
        return [scoring.score(candidate, folder, one, polarity) for one in loaded]

    found = choose_points(candidate, plan.variant, scored_as, plan.rate, plan.points)
    count.add(len(plan.validation.cases))
    return found


def _score_sets(
    plan: SetsPlan, scoring: SetScoring, choices: list[list[Choice]], count: _Count
) -> SetsResult:
    """The figures of every case, each read once, and scored once under each method."""
    rows = [
        [MethodResult(candidate, choice) for choice in found]
        for candidate, found in zip(plan.candidates, choices, strict=True)
    ]
    methods = [one for row in rows for one in row]
    left_out: dict[str, list[str]] = {}
    for data_set in plan.sets:
        for case in data_set.cases:
            loaded = scoring.load(case, "test")
            if loaded is None:
                left_out.setdefault(data_set.name, []).append(case.name)
                count.add(len(rows))
                continue
            for row in rows:
                _add(row, data_set.name, scoring, loaded)
                count.add()
        logger.info("data set %s: done", data_set.name)
    _check(plan, methods, left_out)
    return SetsResult(plan, methods, left_out)


def _add(row: list[MethodResult], data_set: str, scoring: SetScoring, loaded: Loaded) -> None:
    """Score one case under a method, and keep what is told about it at each of its thresholds."""
    first = row[0]
    scored = scoring.score(first.candidate, data_set, loaded, first.choice.polarity)
    for method in row:
        marked = mark(scored, method.choice.threshold)
        method.cases.append(case_figures(data_set, method.name, scored, marked))
        if marked is not None:
            method.worst.add(data_set, marked)


def _check(plan: SetsPlan, methods: list[MethodResult], left_out: dict[str, list[str]]) -> None:
    """Say which cases are left out, and raise where all are."""
    for data_set, names in left_out.items():
        logger.warning(
            "data set %s: left out %d cases without a slice with brain: %s",
            data_set,
            len(names),
            ", ".join(names),
        )
    if not methods[0].cases:
        raise UnsuitableInputError(
            f"--sets {', '.join(one.name for one in plan.sets)}: no case has a slice with brain;"
            " check the images and brain masks"
        )


def _write(result: SetsResult, output: Path) -> str:
    """All files; sets.json comes last."""
    text = sets_markdown(result)
    write_text(output / "sets.md", text)
    write_text(output / "sets.csv", sets_csv(result))
    write_text(output / "sets.tex", sets_latex(result))
    there = [one for one in result.methods if one.choice.threshold is not None]
    if there:
        false_marks = {one.title: one.worst.false_marks for one in there}
        misses = {one.title: one.worst.misses for one in there}
        write_worst(output / "worst_false_marks.png", "false mark", false_marks)
        write_worst(output / "worst_misses.png", "missed lesion", misses)
    content = json.dumps(sets_json(result), indent=2, allow_nan=False)
    write_text(output / "sets.json", content + "\n")
    return text
