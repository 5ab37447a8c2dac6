"""The report as a PDF: for systems that show documents and no pages of HTML."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mmccd import NOTICE
from mmccd.core import Report, Result
from mmccd.outputs.report.overview import draw_overview
from mmccd.outputs.report.risks import risks_of
from mmccd.outputs.report.wording import (
    confidence_sentence,
    input_sentence,
    map_sentence,
    map_unit,
    promise_sentence,
    returned_sentence,
    settings_rows,
    threshold_sentence,
    unusual_rows,
    warnings_without_names,
)

TITLE = "MMCCD: anomaly segmentation in brain MRI"
_WIDTH, _HEIGHT = 8.27, 11.69
"""A4 upright, in inches."""
_MARGIN, _LINE, _SIZE = 0.7, 0.175, 8.5
_HEADING_SIZE, _TITLE_SIZE = 11.0, 15.0
_COLUMNS, _TABLE_COLUMNS = 110, 92
"""Characters of a line, in proportional and in fixed width."""
_PICTURE_HEIGHT, _PICTURE_DPI = 4.8, 160
_WARNING_COLOUR = "#b34700"
_NOT_REPEATABLE = ("Device", "Time")
_ROW = "{:>4} {:>10} {:>9} {:>9} {:>9} {:>10} {:>10}  {}"


@dataclass(frozen=True)
class Section:
    """A heading and the lines below it.

    Attributes:
        heading: of the section.
        lines: its text; what is too long for the page is continued on the next line.
        is_table: whether the lines stand in columns.
    """

    heading: str
    lines: tuple[str, ...]
    is_table: bool = False


def sections_of(result: Result, more: Sequence[str] = ()) -> list[Section]:
    """All text of the document but title and notice: what the page says, without times, so that
    the same run gives the same text.

    Args:
        result: a finished run.
        more: further lines of the first section.
    """
    report = result.report
    volumes = report.volumes_ml
    found = (
        f"{volumes.anomalous:.1f} mL above the threshold, in {report.lesion_count} regions"
        if report.anomaly_found
        else "Nothing above the threshold"
    )
    lines = (
        f"Input: {input_sentence(report)}.",
        f"{found}. Brain: {volumes.brain:.0f} mL.",
        promise_sentence(report),
        threshold_sentence(report),
        map_sentence(report),
        returned_sentence(report),
        *more,
    )
    risks = tuple(f"- {one.line}" for one in risks_of(result)) or ("None that this run knows of.",)
    warnings = tuple(f"- {text}" for text in warnings_without_names(report)) or ("None.",)
    settings = tuple(
        f"{name}: {value}" for name, value in settings_rows(report) if name not in _NOT_REPEATABLE
    )
    return [
        Section("Result", tuple(line for line in lines if line)),
        Section("Marks that are probably wrong", risks),
        _lesions(report),
        Section("Warnings", warnings),
        *_unusual(report),
        Section("Settings", settings),
    ]


def write_pdf(result: Result, sections: Sequence[Section]) -> bytes:
    """The document: title, notice and picture on the first page, then the sections. The notice
    stands on every page; the patient on none.
    """
    buffer = io.BytesIO()
    metadata = {"Title": TITLE, "Subject": NOTICE, "Creator": "MMCCD", "CreationDate": None}
    with (
        matplotlib.rc_context({"pdf.fonttype": 42, "svg.hashsalt": "mmccd"}),
        PdfPages(buffer, metadata=metadata) as pages,
    ):
        for figure in _figures(result, sections):
            pages.savefig(figure)
    return buffer.getvalue()


def _lesions(report: Report) -> Section:
    listed, count = report.lesions, report.lesion_count
    if not listed:
        return Section("Connected regions above the threshold", ("None.",))
    head = _ROW.format("no", "mL", "R mm", "A mm", "S mm", "peak", "mean", "confidence")
    rows = [
        _ROW.format(
            number,
            f"{one.volume_ml:.2f}",
            *(f"{value:.1f}" for value in one.centre_mm),
            f"{one.peak:.3g}",
            "-" if one.mean is None else f"{one.mean:.3g}",
            one.confidence or "-",
        )
        for number, one in enumerate(listed, 1)
    ]
    more = [f"The {len(listed)} largest of {count} are listed."] if count > len(listed) else []
    note = (
        "Centre in mm of the scanner, positive towards right (R), anterior (A) and superior (S)."
        f" Peak and mean: {map_unit(report)}. {confidence_sentence(report)}"
    ).strip()
    lines = (head, *rows, *more, *textwrap.wrap(note, _TABLE_COLUMNS))
    return Section("Connected regions above the threshold", lines, is_table=True)


def _unusual(report: Report) -> list[Section]:
    rows = unusual_rows(report)
    if not rows:
        return []
    lines = (
        "Volume whose error is larger than that of so many percent of the healthy voxels of the"
        " same place and brightness:",
        *(
            f"{level} %: {found:.1f} mL, in a healthy brain {expected:.1f} mL"
            for level, found, expected in rows
        ),
    )
    return [Section("How unusual", lines)]


def _figures(result: Result, sections: Sequence[Section]) -> Iterator[Figure]:
    page = _Page(1)
    page.write(TITLE, _TITLE_SIZE, weight="bold")
    page.write(NOTICE, _HEADING_SIZE, colour=_WARNING_COLOUR, weight="bold")
    page.picture(_pixels(draw_overview(result)))
    for section in sections:
        if page.left < 4 * _LINE:
            yield page.figure
            page = _Page(page.number + 1)
        page.skip()
        page.write(section.heading, _HEADING_SIZE, weight="bold")
        for line in _wrapped(section):
            if page.left < _LINE:
                yield page.figure
                page = _Page(page.number + 1)
            page.write(line, family="monospace" if section.is_table else "sans-serif")
    yield page.figure


def _wrapped(section: Section) -> Iterator[str]:
    for line in section.lines:
        plain = line.encode("cp1252", "replace").decode("cp1252")
        yield from [plain] if section.is_table else textwrap.wrap(plain, _COLUMNS)


def _pixels(figure: Figure) -> NDArray[np.uint8]:
    """A figure as ``(rows, columns, 3)``."""
    figure.set_dpi(_PICTURE_DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])


class _Page:
    """A page that is filled from the top."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.figure = Figure(figsize=(_WIDTH, _HEIGHT), facecolor="white")
        self._y = _HEIGHT - _MARGIN
        foot = f"{NOTICE}   -   page {number}"
        x, y = 0.5, 0.55 * _MARGIN / _HEIGHT
        self.figure.text(x, y, foot, fontsize=_SIZE, color=_WARNING_COLOUR, ha="center")

    @property
    def left(self) -> float:
        """Height that is free, in inches."""
        return self._y - _MARGIN

    def skip(self) -> None:
        """Leave a line free."""
        self._y -= _LINE

    def write(
        self,
        text: str,
        size: float = _SIZE,
        colour: str = "black",
        weight: str = "normal",
        family: str = "sans-serif",
    ) -> None:
        """One line."""
        self._y -= _LINE * size / _SIZE
        style: dict[str, Any] = {
            "fontsize": size,
            "color": colour,
            "weight": weight,
            "family": family,
        }
        place = _MARGIN / _WIDTH, self._y / _HEIGHT
        self.figure.text(*place, text, parse_math=False, **style)

    def picture(self, pixels: NDArray[np.uint8]) -> None:
        """A picture as wide as the text, or as high as there is room for it."""
        width = _WIDTH - 2 * _MARGIN
        height = min(width * pixels.shape[0] / pixels.shape[1], _PICTURE_HEIGHT)
        self._y -= height + _LINE
        box = (_MARGIN / _WIDTH, self._y / _HEIGHT, width / _WIDTH, height / _HEIGHT)
        axes = self.figure.add_axes(box)
        axes.imshow(pixels, interpolation="none")
        axes.set_axis_off()
