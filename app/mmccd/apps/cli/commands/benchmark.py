"""``mmccd benchmark``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from mmccd import core
from mmccd.apps.cli.say import say, say_fitted
from mmccd.apps.parser import Only
from mmccd.core import Setting, UsageError

SHARED = Only("device", "bundles")
Output = Annotated[str | None, Setting("JSON file for the figures", is_path=True)]
Quick = Annotated[
    bool, Setting("about a minute instead of a quarter of an hour; the figures are rougher")
]
Show = Annotated[
    str | None,
    Setting(
        "JSON file of an earlier run: nothing is measured, its figures are shown", is_path=True
    ),
]
Compare = Annotated[
    str | None,
    Setting(
        "JSON file of an earlier run: its ratios beside the new ones, with a warning where one fell"
        " by more than 20 %",
        is_path=True,
    ),
]
Cohort = Annotated[
    int | None, Setting("tell how long so many volumes would take, from what one takes")
]
Markdown = Annotated[bool, Setting("print tables in Markdown")]
Plot = Annotated[
    str | None,
    Setting(
        "PNG file for time and memory against strips, steps, slices and batch size", is_path=True
    ),
]


def benchmark(
    settings: Annotated[core.Settings, SHARED],
    output: Output = None,
    quick: Quick = False,
    show: Show = None,
    compare: Compare = None,
    cohort: Cohort = None,
    markdown: Markdown = False,
    plot: Plot = None,
) -> None:
    """Measure how fast this machine is: networks, cycle against a plain loop and against the
    paper's network, whole volumes, memory.

    Examples:
        mmccd benchmark --quick --cohort 200
        mmccd benchmark --output figures.json --plot growth.png
    """
    import mmccd.benchmark as room

    if cohort is not None and cohort < 1:
        raise UsageError(f"--cohort {cohort}: cannot be used; expected a whole number from 1 on")
    earlier = room.load_figures(Path(compare)) if compare else None
    if show:
        figures = room.load_figures(Path(show))
    else:
        extent = room.QUICK if quick else None
        figures = room.run_benchmark(settings.device, extent, settings.bundles)
    if output is not None:
        room.save_figures(figures, Path(output))
    if plot is not None:
        room.plot_sweep(figures, Path(plot))
    if markdown:
        say(room.as_markdown(figures, cohort))
    else:
        say_fitted(room.as_text(figures, cohort))
    if earlier is not None:
        say_fitted(room.compare(figures, earlier)[0])
