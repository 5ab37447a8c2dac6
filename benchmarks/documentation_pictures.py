"""The pictures and figures of docs/how_it_works.md and docs/limits.md: the weights that ship, on
phantoms of the built-in anatomy.

python benchmarks/documentation_pictures.py docs/images docs/results/limits.json [CASE ...]

With names of cases only these are made anew (``start``: the picture of the first page; ``how``:
those of how it works; ``refused``: the messages).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from PIL import Image
from small_pictures import scaled, write_small
from torch import Tensor

from mmccd.apps.cli import cli
from mmccd.core import Result, UnsuitableInputError, Volume
from mmccd.imaging import to_model_slices
from mmccd.io import read_volume
from mmccd.methods import CycleScorer, CycleSettings, MaskedCycleInferer
from mmccd.outputs import RadiologicalView
from mmccd.phantom import CAVITY, GLIOSIS, OEDEMA, Acquisition, Lesion, Phantom, make_phantom
from mmccd.pipeline import AnomalyPipeline, VolumeMaps, make_intake
from mmccd.quality import Intake

CALM = Acquisition(noise=0.015, bias=0.03, texture=0.03)
"""A scan with even brightness: what a picture shows is then the lesion's doing."""
MASS = Lesion((30.0, 18.0, 30.0), 13.0, OEDEMA)
TRUTH, FOUND = "#3ddc6a", "#00d5ff"
EXACT = (TRUTH, FOUND, "#9eecb4", "#80eaff", "#fcffa4")
"""What the palette holds: both outlines, both where they run out into white, the largest error."""
GREY = "gray"
ERRORS: tuple[Any, ...] = ("inferno", 0.0, 3.0)
"""Colours and range of errors."""
DPI = 80
START_SCALE = 0.375


@dataclass(frozen=True)
class Case:
    """One row of the page on limits: a phantom, and how it is run."""

    name: str
    seed: int
    lesions: tuple[Lesion, ...] | str | None = None
    scan: Acquisition = CALM

    def phantom(self) -> Phantom:
        """Make it."""
        return make_phantom(self.seed, self.lesions, self.scan)


OLD_STROKE = (Lesion((32.0, -10.0, 34.0), 15.0, GLIOSIS), Lesion((32.0, -10.0, 34.0), 11.0, CAVITY))
CASES = (
    Case("bright", 9001, (MASS,)),
    Case("healthy", 9002),
    Case("isointense", 9003, "isointense"),
    Case("plaques", 9004, "ms"),
    Case("cavity", 9005, OLD_STROKE),
    Case("uneven", 9002, None, replace(CALM, bias=0.2)),
)


def run(case: Case, pipeline: AnomalyPipeline) -> tuple[Phantom, Result]:
    """Make the phantom and look at it as ``mmccd predict`` does."""
    phantom = case.phantom()
    return phantom, pipeline.run(phantom.images["flair"], phantom.brain)


def with_cycle(pipeline: AnomalyPipeline, settings: CycleSettings) -> AnomalyPipeline:
    """The same pipeline and threshold with other settings of the cycle."""
    other = copy(pipeline)
    inferer = MaskedCycleInferer(
        pipeline.models.weights["forward"].load_scheduler(),
        settings,
        pipeline.preset.batch_size,
        pipeline.precision,
        pipeline.seed,
    )
    assert isinstance(pipeline.scorer, CycleScorer)
    other.preset = replace(pipeline.preset, cycle=settings)
    other.scorer = replace(pipeline.scorer, inferer=inferer)
    return other


def figures(phantom: Phantom, result: Result) -> dict[str, float]:
    """What was there, what was marked, and how much of it is right, in mL."""
    brain = round(result.report.volumes_ml.brain, 0)
    return overlap(phantom.lesion, result.segmentation) | {"brain_ml": brain}


def overlap(lesion: Volume, marked: Volume) -> dict[str, float]:
    """Volumes of two masks on one grid, and of what they share, in mL."""
    truth, found = lesion.data > 0, marked.data > 0
    parts = {"lesion_ml": truth, "marked_ml": found, "right_ml": truth & found}
    return {name: round(float(part.sum() * lesion.voxel_ml), 1) for name, part in parts.items()}


def draw_case(phantom: Phantom, result: Result, path: Path) -> None:
    """Input with the lesion's outline, map, and what was marked, in the slice with most lesion
    (else with most of the map).
    """
    view = RadiologicalView.of(result)
    truth = RadiologicalView.of(replace(result, segmentation=phantom.lesion))
    extent = truth.segmentation.sum((1, 2))
    index = (
        int(extent.argmax())
        if extent.any()
        else int(np.where(view.segmentation > 0, view.anomaly, 0).sum((1, 2)).argmax())
    )
    figure, axes = plt.subplots(1, 3, figsize=(8.4, 3.5), facecolor="black")
    first = "FLAIR, lesion in green" if extent.any() else "FLAIR, healthy"
    for axis, title in zip(axes, (first, "anomaly map", "marked, in blue"), strict=True):
        view.draw_input(axis, index)
        axis.set_title(title, color="white", fontsize=9)
    if extent.any():
        axes[0].contour(
            truth.segmentation[(index, *view.box)], levels=[0.5], colors=TRUTH, linewidths=1.0
        )
    colours = view.draw_map(axes[1], index)
    view.draw_outline(axes[2], index)
    figure.subplots_adjust(0.01, 0.02, 0.94, 0.91, 0.02)
    bar = figure.colorbar(colours, cax=figure.add_axes((0.95, 0.1, 0.012, 0.7)))
    bar.ax.tick_params(colors="white", labelsize=7)
    save(figure, path)


def refusals(intake: Intake) -> dict[str, str]:
    """What the checks say of a T1, of a FLAIR whose front half is gone, and of a stack that ends
    early.
    """
    head = make_phantom(9007, None, CALM)
    flair, brain = head.images["flair"], head.brain
    rows = np.flatnonzero((brain.data > 0).any((0, 2)))
    half = int(rows.mean())
    cut = np.where(np.arange(flair.shape[1])[None, :, None] < half, flair.data, 0)
    inputs = {"t1": head.images["t1"], "half": flair.with_data(cut)}
    return {name: refusal(intake, volume) for name, volume in inputs.items()}


def refusal(intake: Intake, volume: Any) -> str:
    """The message, or nothing where the volume is taken."""
    try:
        intake.prepare(volume)
    except UnsuitableInputError as error:
        return str(error)
    return ""


def show(
    axis: Axes,
    image: Tensor | NDArray[Any],
    title: str,
    colours: str = GREY,
    low: float = -3.0,
    high: float = 2.5,
) -> None:
    """One panel on the model grid: anterior up, the patient's right on the left."""
    axis.imshow(np.asarray(image), cmap=colours, vmin=low, vmax=high, interpolation="nearest")
    axis.set(xlim=(20, 107), ylim=(118, 10))
    axis.set_title(title, fontsize=8.5)
    axis.set_axis_off()


def outline(axis: Axes, strip: NDArray[np.bool_], colour: str = "#ff9d3c") -> None:
    """A frame round a strip."""
    rows, columns = np.flatnonzero(strip.any(1)), np.flatnonzero(strip.any(0))
    corner = (columns[0] - 0.5, rows[0] - 0.5)
    axis.add_patch(
        Rectangle(corner, len(columns), len(rows), fill=False, edgecolor=colour, linewidth=1.0)
    )


def save(figure: Figure, path: Path) -> None:
    """Write with few colours; outlines keep theirs."""
    buffer = BytesIO()
    figure.savefig(buffer, dpi=DPI, facecolor=figure.get_facecolor())
    plt.close(figure)
    write_small(Image.open(buffer), path, exact=EXACT)


def draw_start(images: Path) -> dict[str, float]:
    """The overview that the commands of docs/index.md end with, smaller.

    Returns:
        What was there, what was marked, and how much of it is right, in mL.
    """
    name = "phantom_builtin_0011"
    with TemporaryDirectory() as folder:
        trial, output = Path(folder) / "trial", Path(folder) / "out"
        words = "--subjects 1 --seed 11 --lesions glioma --slice-mm 6 --pixel-mm 1.5"
        cli.run(["phantom", str(trial), *words.split()])
        flair = trial / name / f"{name}_flair.nii.gz"
        cli.run(["predict", str(flair), "--output", str(output), "--preset", "fast"])
        overview = scaled(Image.open(output / "overview.png"), START_SCALE)
        write_small(overview, images / "start_overview.png")
        truth = read_volume(trial / name / f"{name}_seg.nii.gz", "mask")
        found = read_volume(output / "segmentation.nii.gz", "mask")
        return overlap(truth, found)


@dataclass(frozen=True)
class Passes:
    """What f and g were given and answered, ``(passes, size, size)`` each: one pass for each draw,
    or for each strip that touches the brain.

    Attributes:
        start: y_T.
        seen: what f sees of x.
        translated: y.
        reconstructed: x'.
    """

    start: Tensor
    seen: Tensor
    translated: Tensor
    reconstructed: Tensor


@dataclass(frozen=True)
class OneSlice:
    """The slice of a phantom with most lesion, on the model grid, and what becomes of it.

    Attributes:
        index: of the slice.
        target: the real T2, ``(size, size)``.
        lesion: the truth.
        maps: of the whole volume.
        pipeline: what made them.
    """

    index: int
    target: Tensor
    lesion: NDArray[np.bool_]
    maps: VolumeMaps
    pipeline: AnomalyPipeline

    @classmethod
    def of(cls, phantom: Phantom, pipeline: AnomalyPipeline) -> OneSlice:
        """Run the volume, and take the slice with most lesion."""
        brain = pipeline.intake.prepare(phantom.images["flair"], phantom.brain).brain
        maps = pipeline.maps(phantom.images["flair"], brain)
        grid = maps.slices.transform
        other = to_model_slices(
            phantom.images["t2"], brain.mask, pipeline.models.normalisation("t2"), grid
        )
        truth = grid.to_model(phantom.lesion.data.astype(np.float32), 0.0) >= 0.5
        index = int(truth.sum((1, 2)).argmax())
        return cls(index, other.image[index, 0], truth[index], maps, pipeline)

    @property
    def image(self) -> Tensor:
        """x."""
        return self.maps.slices.image[self.index, 0]

    @property
    def brain(self) -> Tensor:
        """Its brain."""
        return self.maps.slices.brain[self.index, 0]

    def layer(self, name: str) -> Tensor:
        """One of the score maps."""
        layer: Tensor = getattr(self.maps.scores, name)
        return torch.where(self.brain, layer[self.index, 0], 0)

    def passes(self, settings: CycleSettings) -> Passes:
        """Run the cycle over this slice alone, and listen at its networks."""
        scorer = with_cycle(self.pipeline, settings).scorer
        assert isinstance(scorer, CycleScorer)
        heard: list[list[Tensor]] = [[], [], [], []]

        def forward(inputs: Tensor, steps: Tensor) -> Tensor:
            heard[0].append(inputs[:, 0])
            heard[1].append(inputs[:, 1])
            answer: Tensor = scorer.forward(inputs, steps)
            return answer

        def backward(translated: Tensor) -> Tensor:
            answer: Tensor = scorer.backward(translated)
            heard[2].append(translated[:, 0])
            heard[3].append(answer[:, 0].float())
            return answer

        scorer.inferer(
            self.image[None, None], forward, backward, self.brain[None, None], [self.index]
        )
        return Passes(*(torch.cat(part) for part in heard))


def draw_cycle(one: OneSlice, path: Path) -> None:
    """The way of a slice behind the veil."""
    first = one.passes(one.pipeline.preset.cycle)
    panels = [
        (one.image, "x: FLAIR"),
        (first.seen[0], "what f sees of it: x behind the veil"),
        (first.start[0], "y_T: noise to start from"),
        (first.translated[0], "y: T2 as f translates it"),
        (one.layer("reconstructed"), "x': FLAIR as g reconstructs it"),
        (one.layer("anomaly"), "what counts of x - x'"),
        (one.image, "the lesion"),
        (one.target, "(the real T2, not used)"),
    ]
    figure, axes = plt.subplots(2, 4, figsize=(9.6, 5.2))
    for axis, (image, title) in zip(axes.flat, panels, strict=True):
        show(axis, image, title, *(ERRORS if "counts" in title else ()))
    axes[1, 2].contour(one.lesion, levels=[0.5], colors=TRUTH, linewidths=1.0)
    figure.subplots_adjust(0.01, 0.01, 0.99, 0.95, 0.03, 0.1)
    save(figure, path)


def draw_draws(one: OneSlice, path: Path) -> None:
    """One draw, the mean over the draws, the map of that mean, and what the threshold makes of it
    once it is smoothed.
    """
    settings = one.pipeline.preset.cycle
    single = torch.where(one.brain, one.passes(settings).reconstructed[0], 0)
    smoothed = one.maps.model.smoothed[one.index]
    figure, axes = plt.subplots(1, 4, figsize=(9.6, 2.75))
    show(axes[0], single, "x' of one draw")
    show(axes[1], one.layer("reconstructed"), f"x': mean of {settings.draws} draws")
    show(axes[2], one.layer("anomaly"), "map: what counts of x - x'", *ERRORS)
    show(axes[3], smoothed, "smoothed; above the threshold", *ERRORS)
    assert one.pipeline.threshold is not None
    axes[3].contour(smoothed > one.pipeline.threshold, levels=[0.5], colors=FOUND, linewidths=1.0)
    figure.subplots_adjust(0.01, 0.01, 0.99, 0.9, 0.03)
    save(figure, path)


def draw_strip(one: OneSlice, path: Path) -> None:
    """The way of one of the paper's strips, in one step."""
    paper = one.pipeline.models.preset("full").cycle
    settings = replace(paper, steps=1, stride=paper.width)
    strips = settings.masks((one.image.shape[0], one.image.shape[1]))
    touching = strips[(strips & one.brain).flatten(1).any(1)]
    chosen = int(np.argmax([(strip.numpy() & one.lesion).sum() for strip in touching]))
    strip, heard = touching[chosen], one.passes(settings)
    panels = [
        (one.image, "x: FLAIR, the strip framed"),
        (heard.seen[chosen], "x_r: noise under the strip"),
        (heard.start[chosen], "y_T: noise to start from"),
        (heard.translated[chosen], "y: T2 as f translates it"),
        (heard.reconstructed[chosen], "x': FLAIR as g reconstructs it"),
        (
            (one.image - heard.reconstructed[chosen]).abs() * (strip & one.brain),
            "|x - x'| under the strip",
        ),
        (one.image, "the lesion"),
        (one.target, "(the real T2, not used)"),
    ]
    figure, axes = plt.subplots(2, 4, figsize=(9.6, 5.2))
    for axis, (image, title) in zip(axes.flat, panels, strict=True):
        show(axis, image, title, *(ERRORS if "|" in title else ()))
        outline(axis, strip.numpy())
    axes[1, 2].contour(one.lesion, levels=[0.5], colors=TRUTH, linewidths=1.0)
    figure.subplots_adjust(0.01, 0.01, 0.99, 0.95, 0.03, 0.1)
    save(figure, path)


def draw_how(images: Path) -> None:
    """The three pictures of docs/how_it_works.md, of the cycle alone."""
    pipeline = AnomalyPipeline.from_bundles(
        preset="cycle", device="cpu", intake=make_intake(unchecked=True)
    )
    one = OneSlice.of(CASES[0].phantom(), pipeline)
    drawings: list[tuple[str, Callable[[OneSlice, Path], None]]] = [
        ("cycle", draw_cycle),
        ("draws", draw_draws),
        ("strip", draw_strip),
    ]
    for name, draw in drawings:
        draw(one, images / f"how_{name}.png")


def main() -> None:
    """Draw everything, or what is named, and write the figures."""
    images, output, names = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    pipeline = AnomalyPipeline.from_bundles(
        preset="balanced", device="cpu", intake=make_intake(unchecked=True)
    )
    table: dict[str, Any] = (
        json.loads(output.read_text()) if output.exists() else {"cases": {}, "refused": {}}
    )
    table |= {
        "preset": "balanced",
        "target": pipeline.models.target,
        "threshold": pipeline.threshold,
    }
    if not names or "start" in names:
        table["start"] = draw_start(images)
    if not names or "how" in names:
        draw_how(images)
    if not names or "refused" in names:
        table["refused"] = refusals(make_intake())
    for case in CASES:
        if names and case.name not in names:
            continue
        phantom, result = run(case, pipeline)
        draw_case(phantom, result, images / f"limits_{case.name}.png")
        table["cases"][case.name] = figures(phantom, result)
        print(case.name, table["cases"][case.name], result.report.warnings, flush=True)
        output.write_text(json.dumps(table, indent=1) + "\n")
    output.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
