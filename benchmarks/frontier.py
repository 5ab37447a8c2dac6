"""Draw what the cycle finds against what it costs, from runs of ``mmccd evaluate --grid``
(docs/benchmarks.md).

python benchmarks/frontier.py --output docs/images/frontier.png
    [--postprocessing median] NAME=metrics.json [NAME=metrics.json ...]

Cost is passes of f a slice (steps times strips, before strips without brain are skipped): time
grows with it in a straight line on every machine.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt

from mmccd.methods import CycleSettings

SIZE = (128, 128)
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")
"""Okabe and Ito's, which the colour-blind can tell apart."""


@dataclass(frozen=True)
class Point:
    """One setting of a grid.

    Attributes:
        steps: sampling steps.
        strips: strips of a slice.
        auprc: pooled.
        interval: 95 %, over patients.
        difference: gain over the first setting of the run with its interval; None for that setting
            itself.
    """

    steps: int
    strips: int
    auprc: float
    interval: tuple[float, float]
    difference: dict[str, Any] | None

    @property
    def passes(self) -> int:
        """Passes of f a slice."""
        return self.steps * self.strips


def read_points(path: Path, postprocessing: str) -> list[Point]:
    """The settings of one metrics.json, by cost."""
    rows = [
        row
        for row in json.loads(path.read_text())["rows"]
        if row["postprocessing"]["name"] == postprocessing
    ]
    return sorted(map(_point, rows), key=lambda point: (point.steps, point.passes))


def _point(row: dict[str, Any]) -> Point:
    cycle = row["key"]["cycle"]
    strips = CycleSettings(stride=cycle["stride"], width=cycle["width"]).masks(SIZE).shape[0]
    low, high = row["intervals_95"]["auprc"]
    difference = row["difference_to_reference"].get("auprc")
    return Point(cycle["steps"], strips, row["figures"]["auprc"], (low, high), difference)


def markdown(name: str, points: list[Point]) -> str:
    """A table of the points, with the difference to the run's first setting."""
    lines = [
        f"{name}:",
        "",
        "| steps | strips | passes of f a slice | AUPRC | difference to the finest setting |",
        "|---|---|---|---|---|",
    ]
    for point in points:
        low, high = point.interval
        gain = "-"
        if point.difference:
            gain = (
                f"{point.difference['mean']:+.3f} [{point.difference['interval'][0]:+.3f},"
                f" {point.difference['interval'][1]:+.3f}]"
            )
        lines.append(
            f"| {point.steps} | {point.strips} | {point.passes} | {point.auprc:.3f} [{low:.3f},"
            f" {high:.3f}] | {gain} |"
        )
    return "\n".join(lines) + "\n"


def draw(runs: dict[str, list[Point]], path: Path) -> None:
    """AUPRC against passes, a panel for each run, a line for each number of steps."""
    figure, axes = plt.subplots(1, len(runs), figsize=(5.2 * len(runs), 3.8), squeeze=False)
    for axis, (name, points) in zip(axes[0], runs.items(), strict=True):
        for colour, steps in zip(COLOURS, sorted({point.steps for point in points}), strict=False):
            line = [point for point in points if point.steps == steps]
            axis.plot(
                [point.passes for point in line],
                [point.auprc for point in line],
                "o-",
                color=colour,
                ms=5,
                label=f"{steps} steps",
            )
        axis.set_xscale("log")
        axis.set_xlabel("passes of f a slice (steps x strips)")
        axis.set_ylabel("AUPRC")
        axis.set_title(name, fontsize=10)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main() -> None:
    """Read, draw, print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", help="NAME=metrics.json")
    parser.add_argument("--output", required=True, type=Path)
    parser.add_argument("--postprocessing", default="median")
    arguments = parser.parse_args()
    named = dict(run.split("=", 1) for run in arguments.runs)
    runs = {name: read_points(Path(path), arguments.postprocessing) for name, path in named.items()}
    draw(runs, arguments.output)
    print("\n".join(markdown(name, points) for name, points in runs.items()))


if __name__ == "__main__":
    main()
