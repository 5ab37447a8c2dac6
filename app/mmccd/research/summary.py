"""One table over all presets and seeds of a study."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from mmccd.core import write_text
from mmccd.evaluation import BOOKTABS, Grid

FIGURES = {
    "auprc": "AUPRC",
    "dice": "Dice",
    "marked_ml": "mL marked, lesion",
    "healthy_ml": "mL marked, healthy",
    "lesion_recall": "Lesion recall",
    "lesion_precision": "Lesion precision",
}
"""Of a summary in ``sets.json``, with the names of their columns."""
CAPTION = "Means by data set; of several seeds the mean of their means ± standard deviation."


def write_summary(output: Path, tables: dict[str, list[Path]]) -> None:
    """Write ``summary.md`` and ``summary.tex``.

    Args:
        output: folder of the study.
        tables: ``sets.json`` of each seed, by preset.

    Raises:
        OutputError: they cannot be written.
    """
    rows = [row for preset, files in tables.items() for row in _rows(preset, files)]
    grid = Grid(["Preset", "Set", "Method", *FIGURES.values()], rows, CAPTION, texts=3)
    write_text(output / "summary.md", f"{CAPTION}\n\n{grid.markdown()}")
    write_text(output / "summary.tex", f"{BOOKTABS}\n{grid.latex('tab:mmccd-study')}")


def _rows(preset: str, files: list[Path]) -> list[list[str]]:
    found = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    titles = {one["method"]: one["title"] for one in found[0]["methods"]}
    by_place: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for content in found:
        for one in content["summaries"]:
            by_place.setdefault((one["set"] or "all", one["method"]), []).append(one)
    return [
        [preset, place, titles[method], *(_cell(seeds, figure) for figure in FIGURES)]
        for (place, method), seeds in by_place.items()
    ]


def _cell(seeds: list[dict[str, Any]], figure: str) -> str:
    values = [one[figure]["value"] for one in seeds if one[figure]["value"] is not None]
    if not values:
        return "-"
    spread = f" ± {stdev(values):.3f}" if len(values) > 1 else ""
    return f"{mean(values):.3f}{spread}"
