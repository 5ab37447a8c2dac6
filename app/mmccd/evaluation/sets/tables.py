"""The one table over all data sets as Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from mmccd.core import RATES
from mmccd.evaluation.grid import BOOKTABS, Grid
from mmccd.evaluation.sets.choice import HEALTHY as FROM_HEALTHY, OWN
from mmccd.evaluation.sets.figures import HEALTHY, ILL, CaseFigures
from mmccd.evaluation.sets.find import DataSet
from mmccd.evaluation.sets.result import MethodResult, SetsResult
from mmccd.evaluation.sets.summary import Difference, Estimate, Summary
from mmccd.evaluation.sets.worst import WorstShot
from mmccd.evaluation.tables import number
from mmccd.pipeline import versions

ALL = "all"
MEANS = "Means by data set, with 95 % intervals over patients in brackets."


def sets_markdown(result: SetsResult) -> str:
    """A row for each case, a column for each method; below each data set its means; then the means
    alone, a row for each method; then the difference of the first method to the rule.
    """
    titles = [one.title for one in result.methods]
    lines = [
        "A cell: AUPRC, Dice, mL marked; of a healthy case mL marked. Means over cases and lesions"
        " over all cases together, with 95 % intervals over patients in brackets.",
        "",
        *(_threshold_line(one, result) for one in result.methods),
        *_unlabelled_lines(result.plan.sets),
        "",
        "| Set | Case | true mL | " + " | ".join(titles) + " |",
        "|---" * (3 + len(titles)) + "|",
    ]
    for group in result.groups:
        if group is not None:
            lines += _case_lines(group, result.methods)
        lines += _summary_lines(result.summaries(group))
    lines += ["", MEANS, "", *means(result).markdown().splitlines()]
    return "\n".join([*lines, *_difference_lines(result)]) + "\n"


def sets_latex(result: SetsResult) -> str:
    """The means as a table for LaTeX."""
    return f"{BOOKTABS}\n{means(result).latex('tab:mmccd-sets')}"


def means(result: SetsResult) -> Grid:
    """A row for each data set and method at each of its thresholds."""
    titles = {one.name: one.title for one in result.methods}
    rows = [
        (
            found.data_set or ALL,
            titles[found.method],
            _cell(found.auprc),
            _cell(found.dice),
            _ml_cell(found.marked_ml, ""),
            _ml_cell(found.healthy_ml, ""),
            _cell(found.lesion_recall),
            _cell(found.lesion_precision),
        )
        for group in result.groups
        for found in result.summaries(group)
    ]
    header = (
        "Set",
        "Method",
        "AUPRC",
        "Dice",
        "mL marked, lesion",
        "mL marked, healthy",
        "Lesion recall",
        "Lesion precision",
    )
    return Grid(header, rows, MEANS, texts=2)


def sets_csv(result: SetsResult) -> str:
    """One line for each case and method."""
    lines = [case.as_dict() for one in result.methods for case in one.cases]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {key: "" if value is None else value for key, value in _plain(line).items()}
        for line in lines
    )
    return text.getvalue()


def sets_json(result: SetsResult) -> dict[str, Any]:
    """Everything, with null for figures that do not exist, without paths of this machine."""
    plan = result.plan
    differences = [result.difference(group) for group in result.groups]
    content = {
        "sets": [_set_json(one, result) for one in plan.sets],
        "methods": [_method_json(one) for one in result.methods],
        "summaries": [
            _group_json(one) for group in result.groups for one in result.summaries(group)
        ],
        "difference_to_rule": [_group_json(one) for one in differences if one],
        "cases": [case.as_dict() for one in result.methods for case in one.cases],
        "source": plan.setup.source,
        "target": plan.setup.target,
        "preset": plan.setup.preset,
        "postprocessing": plan.variant.as_dict(),
        "seed": plan.setup.seed,
        "validation": plan.validation.name if plan.validation else None,
        "healthy_rate": plan.rate,
        "operating_points": list(plan.points),
        "bootstrap_draws": plan.draws,
        "command": plan.command,
        "versions": versions(),
    }
    plain: dict[str, Any] = _plain(content)
    return plain


def _threshold_line(one: MethodResult, result: SetsResult) -> str:
    origin = {
        OWN: "its own",
        FROM_HEALTHY: (
            f"{100 * _rate(one, result):g} % of the healthy voxels of"
            f" {result.plan.validation.name if result.plan.validation else ''} are above"
        ),
    }
    if one.choice.threshold is None:
        return f"- {one.title}: no threshold of its own, and no validation set was named"
    return f"- {one.title}: threshold {one.choice.threshold:.4g}, {origin[one.choice.origin]}"


def _rate(one: MethodResult, result: SetsResult) -> float:
    return RATES[one.choice.point] if one.choice.point else result.plan.rate


def _unlabelled_lines(sets: Sequence[DataSet]) -> list[str]:
    names = [f"{one.name}/{case.name}" for one in sets for case in one.cases if not case.label]
    return [f"- taken as healthy, without a label file: {', '.join(names)}"] if names else []


def _case_lines(group: str, methods: Sequence[MethodResult]) -> list[str]:
    rows = zip(*(one.of(group) for one in methods), strict=True)
    return [
        f"| {group} | {cases[0].case} | {_true(cases[0])} | "
        + " | ".join(_case_cell(case) for case in cases)
        + " |"
        for cases in rows
    ]


def _true(case: CaseFigures) -> str:
    return _ml(case.true_ml) if case.kind == ILL else case.kind


def _case_cell(case: CaseFigures) -> str:
    marked = f"{_ml(case.marked_ml)} mL" if math.isfinite(case.marked_ml) else "-"
    if case.kind != ILL:
        return marked
    return f"{number(case.auprc)}, {number(case.dice)}, {marked}"


def _summary_lines(found: Sequence[Summary]) -> list[str]:
    """Means over ill cases, over healthy ones, and lesions, where there are such."""
    first = found[0]
    name = first.data_set or ALL
    lines = []
    if first.ill:
        cells = [
            f"{_cell(one.auprc)}, {_cell(one.dice)}, {_ml_cell(one.marked_ml)}" for one in found
        ]
        lines.append((f"mean of {first.ill} with a lesion", _ml(first.true_ml), cells))
    if first.healthy:
        cells = [_ml_cell(one.healthy_ml) for one in found]
        lines.append((f"mean of {first.healthy} {HEALTHY}", HEALTHY, cells))
    cells = [
        f"recall {_cell(one.lesion_recall)}, precision {_cell(one.lesion_precision)}"
        for one in found
    ]
    lines.append(("lesion by lesion", "", cells))
    return [
        f"| **{name}** | **{what}** | {true} | " + " | ".join(cells) + " |"
        for what, true, cells in lines
    ]


def _difference_lines(result: SetsResult) -> list[str]:
    found = [result.difference(group) for group in result.groups]
    there = [one for one in found if one and one.cases]
    if not there:
        return []
    titles = {one.name: one.title for one in result.methods}
    first = there[0]
    return [
        "",
        f"{titles[first.method]} minus {titles[first.other]}, case by case.",
        "",
        "| Set | mean difference of Dice | ahead in |",
        "|---|---|---|",
        *(_difference_line(one) for one in there),
    ]


def _difference_line(one: Difference) -> str:
    limits = ", ".join(f"{value:+.3f}" for value in one.dice.interval_95)
    limits = f" [{limits}]" if limits else ""
    return f"| {one.data_set or ALL} | {one.dice.value:+.3f}{limits} | {one.ahead} of {one.cases} |"


def _cell(one: Estimate) -> str:
    limits = ", ".join(number(value) for value in one.interval_95)
    return number(one.value) + (f" [{limits}]" if limits else "")


def _ml_cell(one: Estimate, unit: str = " mL") -> str:
    if not math.isfinite(one.value):
        return "-"
    limits = ", ".join(_ml(value) for value in one.interval_95)
    return _ml(one.value) + (f" [{limits}]" if limits else "") + unit


def _ml(value: float) -> str:
    return f"{value:.1f}"


def _group_json(one: Summary | Difference) -> dict[str, Any]:
    """Under ``set`` the name of the data set; null for all."""
    content = asdict(one)
    return {"set": content.pop("data_set"), **content}


def _set_json(one: DataSet, result: SetsResult) -> dict[str, Any]:
    kinds = [case.kind for case in result.methods[0].of(one.name)]
    return {
        "set": one.name,
        "cases": len(kinds),
        "with_lesion": kinds.count(ILL),
        "healthy": kinds.count(HEALTHY),
        "without_label": [case.name for case in one.cases if case.label is None],
        "left_out": result.left_out.get(one.name, []),
    }


def _method_json(one: MethodResult) -> dict[str, Any]:
    return {
        "method": one.name,
        "operating_point": one.choice.point,
        "title": one.title,
        "anomalous": "bright" if one.choice.polarity > 0 else "dark",
        "threshold": one.choice.threshold,
        "threshold_from": one.choice.origin,
        "worst_false_marks": _worst_json(one.worst.false_marks),
        "worst_misses": _worst_json(one.worst.misses),
        "key": one.candidate.key,
    }


def _worst_json(shots: Sequence[WorstShot]) -> list[dict[str, Any]]:
    return [
        {"set": one.data_set, "case": one.case, "slice": one.slice, "ml": one.ml} for one in shots
    ]


def _plain(content: Any) -> Any:
    """The same with None for what is not finite."""
    if isinstance(content, dict):
        return {key: _plain(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_plain(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
