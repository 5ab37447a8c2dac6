"""The pictures and figures of docs/gallery.md: the weights that ship, on patients whose licence
allows to show them.

python benchmarks/gallery.py DATA [CASE ...]

DATA is the folder that MMCCD_DATA names; with names of cases only these are made anew. Pictures go
to docs/images, figures to docs/results/gallery.json and into the tables of docs/gallery.md; the
words there are a person's, who has to look at the new pictures.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from documentation_pictures import DPI, FOUND, TRUTH, overlap
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import label
from small_pictures import write_small

from mmccd.core import Result, Volume
from mmccd.io import read_volume
from mmccd.outputs import RadiologicalView
from mmccd.pipeline import AnomalyPipeline

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE, FIGURES = DOCS / "gallery.md", DOCS / "results" / "gallery.json"
PRESET = "balanced"
APART_MM = 12.0
"""Between the two slices of a picture."""
COLOURS = 80
"""Enough for greys that stay grey beside the map's colours."""
_BLOCK = re.compile(r"(<!-- gallery: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


@dataclass(frozen=True)
class Case:
    """One patient.

    Attributes:
        name: of the picture and of the block in the page.
        folder: below the data's; the files' names begin with its own.
        heading: in the page.
        scan: thickness of its slices, and whether the skull is there.
        labelled: whether there is a mask of the lesions.
    """

    name: str
    folder: str
    heading: str
    scan: str
    labelled: bool

    @property
    def anchor(self) -> str:
        """Of the heading."""
        return self.heading.lower().replace(":", "").replace(" ", "-")

    def file(self, part: str, data: Path) -> Path:
        """One of its images."""
        return data / self.folder / f"{Path(self.folder).name}_{part}.nii.gz"


CASES = (
    Case("glioma", "raw/FG6692", "Glioma", "5.5 mm, skull", False),
    Case("ms_one", "raw/OPENMS_L01", "MS: one large plaque", "3 mm, skull", False),
    Case("ms_many", "raw/OPENMS_L12", "MS: many small plaques", "3 mm, skull", False),
    Case("ms_test", "ms/OPENMS_26", "MS: the test patient", "1 mm, stripped", True),
    Case("ms_known", "ms/OPENMS_07", "MS: a patient of the training", "1 mm, stripped", True),
)


@dataclass(frozen=True)
class Seen:
    """A result as it is drawn, with the truth where there is one, ``(slices, rows, columns)``."""

    view: RadiologicalView
    truth: NDArray[np.bool_] | None

    @classmethod
    def of(cls, result: Result, truth: Volume | None) -> Seen:
        """Both in the view's order."""
        view = RadiologicalView.of(result)
        if truth is None:
            return cls(view, None)
        grid = result.segmentation.with_data(np.asarray(truth.data > 0, np.uint8))
        return cls(view, RadiologicalView.of(replace(result, segmentation=grid)).segmentation > 0)

    @property
    def marked(self) -> NDArray[np.bool_]:
        """What lies above the threshold."""
        return self.view.segmentation > 0

    def slices(self) -> list[int]:
        """The slice with most lesion (without a truth: most marked), and some way off that with
        most wrongly marked (most marked).
        """
        wrong = self.marked if self.truth is None else apart_from(self.marked, self.truth)
        first = int((self.marked if self.truth is None else self.truth).sum((1, 2)).argmax())
        extent = wrong.sum((1, 2))
        distance = np.abs(np.arange(extent.size) - first) * self.view.spacing[2]
        second = np.where(distance >= APART_MM, extent, -1)
        return [first, int(second.argmax())] if second.max() > 0 else [first]


def apart_from(marked: NDArray[np.bool_], truth: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The marks that touch no lesion."""
    marks, _ = label(marked, np.ones((3, 3, 3)))
    touching = np.unique(marks[truth])
    return marked & ~np.isin(marks, touching)


def measure(result: Result, truth: Volume | None, trusted: Path) -> dict[str, float]:
    """Volumes in mL, and how many separate places are marked.

    Args:
        result: of the run.
        truth: mask of the lesions.
        trusted: HD-BET's mask of the brain, where there is such a file.
    """
    lesion = truth if truth is not None else result.segmentation
    figures = overlap(lesion, result.segmentation)
    if truth is None:
        figures = {"marked_ml": figures["marked_ml"]}
    if trusted.exists():
        inside = overlap(read_volume(trusted, "mask"), result.segmentation)["right_ml"]
        figures["outside_ml"] = round(figures["marked_ml"] - inside, 1)
    return figures | {"places": int(label(result.segmentation.data, np.ones((3, 3, 3)))[1])}


def draw(seen: Seen, path: Path) -> None:
    """Two slices (or one): input (with the truth in green), map, and what is marked in blue."""
    slices = seen.slices()
    size = (8.4, 3.3 * len(slices))
    figure, axes = plt.subplots(len(slices), 3, figsize=size, facecolor="black", squeeze=False)
    first = "FLAIR" if seen.truth is None else "FLAIR, lesions in green"
    for axis, title in zip(axes[0], (first, "anomaly map", "marked, in blue"), strict=True):
        axis.set_title(title, color="white", fontsize=10)
    for row, index in zip(axes, slices, strict=True):
        draw_slice(seen, row, index)
    figure.subplots_adjust(0.01, 0.01, 0.99, 1 - 0.1 / len(slices), 0.02, 0.03)
    buffer = BytesIO()
    figure.savefig(buffer, dpi=DPI, facecolor=figure.get_facecolor())
    plt.close(figure)
    write_small(Image.open(buffer), path, COLOURS, (TRUTH, FOUND))


def draw_slice(seen: Seen, row: NDArray[Any], index: int) -> None:
    """One row of the picture."""
    for axis in row:
        seen.view.draw_input(axis, index)
    seen.view.draw_map(row[1], index)
    box = (index, *seen.view.box)
    if seen.truth is not None:
        outline(row[0], seen.truth[box], TRUTH)
    outline(row[2], seen.marked[box], FOUND)


def outline(axis: Axes, mask: NDArray[np.bool_], colour: str) -> None:
    """Of one slice of a mask."""
    if mask.any():
        axis.contour(mask, levels=[0.5], colors=colour, linewidths=1.0)


def table(figures: dict[str, Any]) -> str:
    """All cases, a row each."""
    head = ["case", "slices", "lesions, mL", "marked, mL", "of it lesion, mL", "places"]
    rows = [head, ["---"] * len(head)]
    for case in CASES:
        row = figures["cases"][case.name]
        link = f"[{case.heading}](#{case.anchor})"
        lesion, right = (
            f"{row[key]:.1f}" if key in row else "?" for key in ("lesion_ml", "right_ml")
        )
        rows.append([link, case.scan, lesion, f"{row['marked_ml']:.1f}", right, str(row["places"])])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def sentences(row: dict[str, float]) -> str:
    """One case, in words that follow from its figures, one sentence a line."""
    marked = (
        f"{row['marked_ml']:.1f} mL in {row['places']} place{'' if row['places'] == 1 else 's'}"
    )
    if "lesion_ml" not in row:
        outside = (
            f", {row['outside_ml']:.1f} mL of it outside the brain that HD-BET finds"
            if "outside_ml" in row
            else ""
        )
        return f"Marked: {marked}{outside}.\n"
    missed, wrong = (row[key] - row["right_ml"] for key in ("lesion_ml", "marked_ml"))
    return (
        f"Lesions: {row['lesion_ml']:.1f} mL, {missed:.1f} mL of it missed.\n"
        f"Marked: {marked}, {wrong:.1f} mL of it wrongly.\n"
    )


def renew(text: str, figures: dict[str, Any]) -> str:
    """The page with the blocks that hold figures made anew."""

    def block(match: re.Match[str]) -> str:
        name = match[2]
        body = table(figures) if name == "table" else sentences(figures["cases"][name])
        return f"{match[1]}\n{body}\n{match[3]}"

    return _BLOCK.sub(block, text)


def main() -> None:
    """Run, draw and write everything, or what is named."""
    data, names = Path(sys.argv[1]), sys.argv[2:] or [case.name for case in CASES]
    pipeline = AnomalyPipeline.from_bundles(preset=PRESET, device="cpu")
    figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {"cases": {}}
    figures |= {"preset": PRESET, "threshold": pipeline.threshold}
    for case in CASES:
        if case.name not in names:
            continue
        truth = read_volume(case.file("seg", data), "mask") if case.labelled else None
        result = pipeline.run(read_volume(case.file("flair", data), "flair"))
        draw(Seen.of(result, truth), DOCS / "images" / f"gallery_{case.name}.png")
        trusted = case.file("flair_brainmask", data)
        figures["cases"][case.name] = measure(result, truth, trusted)
        print(case.name, figures["cases"][case.name], result.report.warnings, flush=True)
        FIGURES.write_text(json.dumps(figures, indent=1) + "\n")
    PAGE.write_text(renew(PAGE.read_text(), figures))


if __name__ == "__main__":
    main()
