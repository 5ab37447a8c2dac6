"""``index.html``: all cases of a cohort in one table that can be sorted, the unusual ones first."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmccd import NOTICE
from mmccd.core import STATUSES, write_text
from mmccd.outputs.index.cases import IndexCase
from mmccd.outputs.index.curves import HEIGHT, WIDTH, curves
from mmccd.outputs.index.outliers import LEAST_CASES, outliers_first
from mmccd.outputs.templates import part, templates

INDEX = "index.html"
INDEX_FILES = "index_files"
"""Folder for reports and pictures of cases whose folders the page must not name."""
_PACKAGE = "mmccd.outputs.index"
QUALITY = (
    ("flair_probability", "FLAIR", "How sure the check of the contrast is that it is a FLAIR"),
    ("ood_score", "OOD", "Out-of-distribution score: about 1 for what is usual"),
    ("unevenness", "Uneven", "How much the brightness varies over the brain"),
    ("jump", "Jump", "How much slices differ in brightness, as after motion"),
    ("detail", "Detail", "How sharp the image is"),
    ("correlation", "Corr.", "How well the reconstructed image follows the input"),
)
"""Figure, its column's title, and what it means."""


def write_index(cases: Sequence[IndexCase], folder: Path, title: str = "MMCCD cohort") -> None:
    """Write the page; it needs no network, and loads the small pictures as they come into view.

    Args:
        cases: in any order.
        folder: of the page; the links of the cases are relative to it.
        title: heading.

    Raises:
        OutputError: it cannot be written.
    """
    write_text(folder / INDEX, render_index(cases, title))


def render_index(cases: Sequence[IndexCase], title: str = "MMCCD cohort") -> str:
    """The page as text."""
    script, style = part(_PACKAGE, "index.js"), part(_PACKAGE, "index.css")
    volumes = [one.volume_ml for one in cases if one.volume_ml is not None]
    page: dict[str, Any] = {
        "title": title,
        "notice": NOTICE,
        "rows": outliers_first(cases),
        "counts": _counts(cases),
        "volumes": _spread(volumes),
        "judged": len(volumes),
        "least": LEAST_CASES,
        "quality": QUALITY,
        "curves": curves(cases),
        "width": WIDTH,
        "height": HEIGHT,
        "script": script,
        "style": style,
        "script_hash": _hash(script),
        "style_hash": _hash(style),
    }
    return templates(_PACKAGE).get_template("index.html").render(page)


def _counts(cases: Sequence[IndexCase]) -> list[tuple[str, int]]:
    counts = [(word, sum(one.status == word for one in cases)) for word in STATUSES]
    return [(word, count) for word, count in counts if count]


def _spread(volumes: Sequence[float]) -> tuple[float, float, float] | None:
    """Median, smallest and largest."""
    return (float(np.median(volumes)), min(volumes), max(volumes)) if volumes else None


def _hash(text: str) -> str:
    """By which the page's policy knows its own script and style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
