"""Tables and files of a protocol's rows: Markdown in the paper's format, CSV per case, JSON with
everything.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mmccd.evaluation.candidates import Candidate, read_name
from mmccd.evaluation.grid import BOOKTABS, Grid
from mmccd.evaluation.plain_rows import CONSTANT
from mmccd.evaluation.protocols import Judgement
from mmccd.evaluation.returned import ReturnedFigure, ReturnedImages
from mmccd.evaluation.variants import Variant


@dataclass(frozen=True)
class TableRow:
    """A row with all that is told about it.

    Attributes:
        candidate: which method.
        variant: which post-processing.
        polarity: 1 where bright is anomalous, -1 where dark is (chosen on validation data).
        judgement: figures, thresholds, cases.
        seconds_per_slice: time of the scorer.
        returned: what the method's reconstructed image has of the image; None where a method has
            none.
        intervals: 95 % interval of each figure that is resampled.
        differences: gain over the reference row with the same post-processing, empty for the
            reference itself.
        gains: the same over the row ``constant``.
    """

    candidate: Candidate
    variant: Variant
    polarity: int
    judgement: Judgement
    seconds_per_slice: float
    returned: ReturnedImages | None = None
    intervals: dict[str, list[float]] = field(default_factory=dict)
    differences: dict[str, dict[str, Any]] = field(default_factory=dict)
    gains: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The method's title, with the side that was chosen where there was a choice."""
        side = (
            f", {'bright' if self.polarity > 0 else 'dark'}"
            if len(self.candidate.polarities(self.variant.postprocessing.units)) > 1
            else ""
        )
        return self.candidate.title + side


def _lesion_columns(threshold: str) -> tuple[tuple[str, str], ...]:
    """Lesion-wise recall and precision at a threshold, by the name that tables give it."""
    key = threshold.removesuffix("-only")
    return tuple(
        (f"lesion {figure} at {threshold} threshold", f"lesion_{figure}_at_{key}_threshold")
        for figure in ("recall", "precision")
    )


COLUMNS: dict[str, tuple[tuple[str, str], ...]] = {
    "slice": (
        ("AUPRC (pooled)", "auprc"),
        ("AUROC (pooled)", "auroc"),
        ("Dice at validation threshold (pooled)", "dice_at_validation_threshold"),
        ("Dice at validation threshold (mean)", "dice_at_validation_threshold_mean"),
        ("Dice at own threshold (pooled)", "dice_at_own_threshold"),
        ("best possible Dice (pooled)", "best_possible_dice"),
        ("best possible Dice (mean)", "best_possible_dice_mean"),
        *_lesion_columns("validation"),
        *_lesion_columns("own"),
    ),
    "strict": (
        ("AUPRC (pooled)", "auprc"),
        ("AUPRC (mean)", "auprc_mean"),
        ("AUROC (pooled)", "auroc"),
        ("Dice at validation threshold (pooled)", "dice_at_validation_threshold"),
        ("Dice at healthy-only threshold (pooled)", "dice_at_healthy_threshold"),
        ("Dice at own threshold (pooled)", "dice_at_own_threshold"),
        ("best possible Dice (pooled)", "best_possible_dice"),
        (
            "healthy voxels above validation threshold",
            "false_positive_rate_at_validation_threshold",
        ),
        ("healthy voxels above healthy-only threshold", "false_positive_rate_at_healthy_threshold"),
        ("healthy voxels above own threshold", "false_positive_rate_at_own_threshold"),
        *_lesion_columns("validation"),
        *_lesion_columns("healthy-only"),
        *_lesion_columns("own"),
    ),
}
DIFFERENCES = (
    ("AUPRC (pooled)", "auprc"),
    ("Dice at validation threshold (pooled)", "dice_at_validation_threshold"),
    ("Dice at validation threshold (mean)", "dice_at_validation_threshold_mean"),
)
PAPER_COLUMNS = (
    ("Dice", "dice_at_{}_threshold_mean"),
    ("AUC", "auroc_with_background"),
    ("Jaccard", "jaccard_at_{}_threshold_mean"),
    ("Precision", "precision_at_{}_threshold_mean"),
    ("Recall", "recall_at_{}_threshold_mean"),
    ("ASSD (mm)", "assd_mm_at_{}_threshold_mean"),
    ("Lesion recall", "lesion_recall_at_{}_threshold"),
    ("Lesion precision", "lesion_precision_at_{}_threshold"),
)
"""The paper's table, and what is found lesion by lesion; {} is the name of the threshold."""
PAPER_THRESHOLDS = {
    "best_of_100": (
        "best of 100 levels on the reported cases themselves, after min-max scaling (as the paper's"
        " public code)"
    ),
    "validation": "best pooled Dice on the validation cases",
    "own": "the method's own, for the methods that have one",
}


def markdown(protocol: str, rows: Sequence[TableRow]) -> str:
    """The table of a protocol (one for each threshold for ``paper``)."""
    if protocol != "paper":
        return _table(COLUMNS[protocol], rows)
    parts = []
    for name, text in PAPER_THRESHOLDS.items():
        there = [row for row in rows if name in row.judgement.thresholds]
        columns = [(title, key.format(name)) for title, key in PAPER_COLUMNS]
        if there:
            parts += [f"Threshold: {text}.\n", _table(columns, there)]
    return "\n".join(parts)


def latex(protocol: str, rows: Sequence[TableRow]) -> str:
    """The same for LaTeX."""
    if protocol != "paper":
        grid = _as_grid(COLUMNS[protocol], rows, f"Protocol {protocol}.")
        return f"{BOOKTABS}\n{grid.latex(f'tab:mmccd-{protocol}')}"
    parts = [BOOKTABS]
    for name, text in PAPER_THRESHOLDS.items():
        there = [row for row in rows if name in row.judgement.thresholds]
        columns = [(title, key.format(name)) for title, key in PAPER_COLUMNS]
        if there:
            grid = _as_grid(columns, there, f"Threshold: {text}.")
            parts.append(grid.latex(f"tab:mmccd-paper-{name.replace('_', '-')}"))
    return "\n".join(parts)


def difference_markdown(rows: Sequence[TableRow]) -> str:
    """By how much each row is above the first method with the same post-processing; empty where
    there is one method only.
    """
    return _compared(f"Difference to {rows[0].title}", [(row, row.differences) for row in rows])


def gain_markdown(rows: Sequence[TableRow]) -> str:
    """By how much each row is above the row ``constant`` with the same post-processing; empty where
    there is no such row, or where it is the first, which all rows are compared with anyway.
    """
    if rows[0].candidate.name == CONSTANT:
        return ""
    return _compared("Gain over the constant", [(row, row.gains) for row in rows])


def _compared(title: str, rows: Sequence[tuple[TableRow, dict[str, dict[str, Any]]]]) -> str:
    """A table of differences, without the rows that have none."""
    others = [(row, found) for row, found in rows if found]
    if not others:
        return ""
    lines = [
        (
            f"{title} with the same post-processing: mean over resamples of patients"
            " [95 % interval], share of resamples above."
        ),
        "",
        "| Method | post-processing | " + " | ".join(title for title, _ in DIFFERENCES) + " |",
        "|---" * (len(DIFFERENCES) + 2) + "|",
    ]
    for row, found in others:
        cells = [_difference_cell(found.get(key)) for _, key in DIFFERENCES]
        lines.append(f"| {row.title} | {row.variant.name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _difference_cell(found: dict[str, Any] | None) -> str:
    if found is None:
        return "-"
    low, high = found["interval"]
    return f"{found['mean']:+.3f} [{low:+.3f}, {high:+.3f}], {found['share_better']:.2f}"


def grid_markdown(rows: Sequence[TableRow], figure: str = "auprc") -> str:
    """Rows of a grid over two settings as a table of one figure, with the seconds of a slice; a
    plain list where there are more or fewer settings. The plain rows, which have none, stand below.
    """
    settings = [read_name(row.candidate.name)[1] for row in rows]
    keys = list(settings[0])
    if len(keys) != 2:
        return _table(((figure, figure),), rows)
    plain = [row for row, one in zip(rows, settings, strict=True) if not one]
    below = [_table(((figure, figure),), plain)] if plain else []
    return "\n".join([_grid(rows, settings, figure), *below])


def _grid(rows: Sequence[TableRow], settings: Sequence[dict[str, Any]], figure: str) -> str:
    """The rows that have two settings, one table for each post-processing."""
    down, across = settings[0]
    lines = []
    for variant in dict.fromkeys(row.variant.name for row in rows):
        found = {
            (one[down], one[across]): row
            for one, row in zip(settings, rows, strict=True)
            if one and row.variant.name == variant
        }
        firsts, seconds = (sorted({pair[side] for pair in found}) for side in (0, 1))
        lines += [f"{figure}, post-processing {variant} (s per slice in brackets)", ""]
        lines += [
            f"| {down} \\ {across} | " + " | ".join(str(value) for value in seconds) + " |",
            "|---" * (len(seconds) + 1) + "|",
        ]
        for first in firsts:
            cells = [_grid_cell(found[first, second], figure) for second in seconds]
            lines.append(f"| {first} | " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


RETURNED = ("correlation", "spread", "error", "removal")


def returned_markdown(rows: Sequence[TableRow]) -> str:
    """What each method's reconstructed image has of the image, a line for each method; empty where
    no method reconstructs one.
    """
    there = _returned(rows)
    if not there:
        return ""
    lines = [
        (
            "The returned image: correlation with the image, spread relative to it and mean error"
            " in healthy brain; removal, the share of a lesion's contrast that it does not show."
            " Means over the cases that have the figure [95 % interval over patients]."
        ),
        "",
        "| Method | " + " | ".join(RETURNED) + " |",
        "|---" * (len(RETURNED) + 1) + "|",
    ]
    for row, found in there:
        cells = " | ".join(_returned_cell(found.figures[key]) for key in RETURNED)
        lines.append(f"| {row.candidate.title} | {cells} |")
    return "\n".join(lines) + "\n"


def returned_json(rows: Sequence[TableRow]) -> dict[str, Any]:
    """The same by the method's name, each figure with mean, interval and number of cases."""
    return {row.candidate.name: found.as_dict() for row, found in _returned(rows)}


def _returned(rows: Sequence[TableRow]) -> list[tuple[TableRow, ReturnedImages]]:
    """The first row of each method that has a reconstructed image, which no post-processing
    touches.
    """
    first = {row.candidate.name: row for row in reversed(rows)}
    return [
        (first[name], found)
        for name in dict.fromkeys(row.candidate.name for row in rows)
        if (found := first[name].returned) is not None
    ]


def _returned_cell(found: ReturnedFigure) -> str:
    limits = found.interval
    return number(found.mean) + (f" [{number(limits[0])}, {number(limits[1])}]" if limits else "")


def per_case_csv(rows: Sequence[TableRow]) -> str:
    """One line per method, post-processing and case; what the reconstructed image has of the image
    stands in the columns ``returned_...``.
    """
    lines = [
        {
            "method": one.candidate.name,
            "postprocessing": one.variant.name,
            **case,
            **_returned_of(one, case["case"]),
        }
        for one in rows
        for case in one.judgement.cases
    ]
    text = io.StringIO()
    names = list(dict.fromkeys(name for line in lines for name in line))
    writer = csv.DictWriter(text, fieldnames=names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {key: "" if _is_nan(value) else value for key, value in line.items()} for line in lines
    )
    return text.getvalue()


def _returned_of(one: TableRow, case: str) -> dict[str, float]:
    found = one.returned.cases[case] if one.returned else {}
    return {f"returned_{name}": value for name, value in found.items()}


def row_json(one: TableRow) -> dict[str, Any]:
    """Everything about a row, with null for figures that do not exist."""
    return {
        "method": one.candidate.name,
        "title": one.title,
        "postprocessing": one.variant.as_dict(),
        "anomalous": "bright" if one.polarity > 0 else "dark",
        "figures": _plain(one.judgement.figures),
        "intervals_95": one.intervals,
        "difference_to_reference": one.differences,
        "gain_over_constant": one.gains,
        "thresholds": one.judgement.thresholds,
        "seconds_per_slice": round(one.seconds_per_slice, 4),
        "key": one.candidate.key,
    }


def _table(columns: Sequence[tuple[str, str]], rows: Sequence[TableRow]) -> str:
    return _as_grid(columns, rows).markdown()


def _as_grid(
    columns: Sequence[tuple[str, str]], rows: Sequence[TableRow], caption: str = ""
) -> Grid:
    """A column stands where some row has its figure."""
    there = [
        (title, key) for title, key in columns if any(key in row.judgement.figures for row in rows)
    ]
    header = ["Method", "post-processing", *(title for title, _ in there)]
    cells = [[row.title, row.variant.name, *(_cell(row, key) for _, key in there)] for row in rows]
    return Grid(header, cells, caption, texts=2)


def _cell(row: TableRow, key: str) -> str:
    text = number(row.judgement.figures.get(key, math.nan))
    sd = (
        row.judgement.figures.get(f"{key.removesuffix('_mean')}_sd", math.nan)
        if key.endswith("_mean")
        else math.nan
    )
    if math.isfinite(sd):
        text += f" ± {number(sd)}"
    limits = row.intervals.get(key)
    return text + (f" [{number(limits[0])}, {number(limits[1])}]" if limits else "")


def _grid_cell(row: TableRow, figure: str) -> str:
    return f"{number(row.judgement.figures[figure])} ({row.seconds_per_slice:.2g})"


def number(value: float) -> str:
    """Three decimals below 1, without the 0 before the point; ``-`` where there is no figure."""
    if not math.isfinite(value):
        return "-"
    return f"{value:.3f}".removeprefix("0") if 0 <= value < 1 else f"{value:.2f}"


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _plain(figures: dict[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in figures.items()}
