"""What commands say on stdout."""

from __future__ import annotations

import json
import logging
import re
import shutil
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmccd.core import Report

logger = logging.getLogger(__name__)

_NARROWEST = 30
_COLUMN = re.compile(r" *\S+(?: \S+)*  +(?=\S)")
"""A line up to its second column, which two blanks part from the first."""


def say(text: str) -> None:
    """One or more lines."""
    sys.stdout.write(text + "\n")


def say_fitted(text: str) -> None:
    """Lines for people: on a terminal no wider than it is."""
    say(fitted(text, shutil.get_terminal_size().columns) if sys.stdout.isatty() else text)


def fitted(text: str, width: int) -> str:
    """The text with lines of at most so many characters; what goes on in the next line stands below
    a line's second column, where it has one.
    """
    return "\n".join(_fitted_line(line, max(width, _NARROWEST)) for line in text.split("\n"))


def _fitted_line(line: str, width: int) -> str:
    if len(line) <= width:
        return line
    found = _COLUMN.match(line)
    indent = " " * (found.end() if found and found.end() < width // 2 else 2)
    return textwrap.fill(
        line,
        width,
        subsequent_indent=indent,
        break_on_hyphens=False,
        replace_whitespace=False,
        drop_whitespace=True,
    )


def say_json(content: Any) -> None:
    """One JSON document."""
    say(json.dumps(content, indent=2))


def say_result(report: Report, output: str) -> None:
    """A result for people: its warnings into the log, its volume on stdout."""
    for warning in report.warnings:
        logger.warning(warning)
    volumes, threshold = report.volumes_ml, report.threshold
    point = f" ({threshold.operating_point})" if threshold.operating_point else ""
    say(
        f"{volumes.anomalous:.1f} mL of {volumes.brain:.0f} mL above the threshold"
        f" {threshold.value:.4g}{point}; see {output}"
    )


def open_page(page: Path) -> None:
    """Open a page in the browser; where there is none, say where the page is."""
    import webbrowser

    address = page.resolve().as_uri()
    try:
        opened = webbrowser.open(address)
    except webbrowser.Error:
        opened = False
    if not opened:
        logger.warning("no browser can be started; open %s", address)
