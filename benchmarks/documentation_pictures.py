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
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from PIL import Image
from small_pictures import scaled, write_small
from torch import Tensor

from mmccd.apps.cli import cli
from mmccd.core import Result, UnsuitableInputError
from mmccd.imaging import to_model_slices
from mmccd.methods import CycleScorer, MaskedCycleInferer, Slices, suspicious_region
from mmccd.models import CONDITION, INITIAL, NO_MASK, autocast, masked_condition, normal_noise
from mmccd.outputs import RadiologicalView
from mmccd.phantom import CAVITY, GLIOSIS, OEDEMA, Acquisition, Lesion, Phantom, make_phantom
from mmccd.pipeline import AnomalyPipeline, make_intake
from mmccd.postprocessing import smooth
from mmccd.quality import Intake

CALM = Acquisition(noise=0.015, bias=0.03, texture=0.03)
"""A scan with even brightness: what a picture shows is then the lesion's doing."""
MASS = Lesion((30.0, 18.0, 30.0), 13.0, OEDEMA)
TRUTH, FOUND = "#3ddc6a", "#00d5ff"
OUTLINES = (TRUTH, FOUND, "#9eecb4", "#80eaff")
"""What the palette holds for both, and for both where they run out into white."""
GREY, ERROR = "gray", "inferno"
DPI = 80
START_SCALE = 0.375


@dataclass(frozen=True)
class Case:
    """One row of the page on limits: a phantom, and how it is run."""

    name: str
    seed: int
    lesions: tuple[Lesion, ...] | str | None = None
    scan: Acquisition = CALM
    sign: str = "brighter"


OLD_STROKE = (Lesion((32.0, -10.0, 34.0), 15.0, GLIOSIS), Lesion((32.0, -10.0, 34.0), 11.0, CAVITY))
CASES = (
    Case("bright", 9001, (MASS,)),
    Case("healthy", 9002),
    Case("isointense", 9003, "isointense"),
    Case("plaques", 9004, "ms"),
    Case("cavity", 9005, OLD_STROKE),
    Case("uneven", 9002, None, replace(CALM, bias=0.2)),
    Case("fluid", 9002, None, CALM, "both"),
)


def run(case: Case, pipeline: AnomalyPipeline) -> tuple[Phantom, Result]:
    """Make the phantom and look at it as ``mmccd predict`` does."""
    phantom = make_phantom(case.seed, case.lesions, case.scan)
    with_sign = with_cycle(pipeline, sign=case.sign)
    return phantom, with_sign.run(phantom.images["flair"], phantom.brain)


def with_cycle(pipeline: AnomalyPipeline, **changes: Any) -> AnomalyPipeline:
    """The same pipeline and threshold with other settings of the cycle."""
    preset = replace(pipeline.preset, cycle=replace(pipeline.preset.cycle, **changes))
    other = AnomalyPipeline(
        pipeline.models, "balanced", "cpu", pipeline.threshold, intake=pipeline.intake
    )
    inferer = MaskedCycleInferer(
        pipeline.models.weights["forward"].load_scheduler(),
        preset.cycle,
        preset.batch_size,
        pipeline.precision,
        pipeline.seed,
    )
    assert isinstance(pipeline.scorer, CycleScorer)
    other.preset, other.scorer = preset, replace(pipeline.scorer, inferer=inferer)
    return other


def figures(phantom: Phantom, result: Result) -> dict[str, float]:
    """What was there, what was marked, and how much of it is right, in mL."""
    truth, found = phantom.lesion.data > 0, result.segmentation.data > 0
    millilitre = phantom.lesion.voxel_ml
    return {
        "lesion_ml": round(float(truth.sum() * millilitre), 1),
        "marked_ml": round(float(found.sum() * millilitre), 1),
        "right_ml": round(float((truth & found).sum() * millilitre), 1),
        "brain_ml": round(result.report.volumes_ml.brain, 0),
    }


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


def save(figure: plt.Figure, path: Path) -> None:
    """Write with few colours; outlines keep theirs."""
    buffer = BytesIO()
    figure.savefig(buffer, dpi=DPI, facecolor=figure.get_facecolor())
    plt.close(figure)
    write_small(Image.open(buffer), path, exact=OUTLINES)


def draw_start(images: Path) -> None:
    """The overview that the commands of docs/index.md end with, smaller."""
    name = "phantom_builtin_0011"
    with TemporaryDirectory() as folder:
        trial, output = Path(folder) / "trial", Path(folder) / "out"
        words = [
            "--subjects",
            "1",
            "--seed",
            "11",
            "--lesions",
            "glioma",
            "--slice-mm",
            "6",
            "--pixel-mm",
            "1.5",
        ]
        cli.run(["phantom", str(trial), *words])
        flair = trial / name / f"{name}_flair.nii.gz"
        cli.run(["predict", str(flair), "--output", str(output), "--preset", "fast"])
        overview = scaled(Image.open(output / "overview.png"), START_SCALE)
        write_small(overview, images / "start_overview.png")


@dataclass(frozen=True)
class OneSlice:
    """A slice with a lesion on the model grid, and everything the cycle makes of it."""

    image: Tensor
    target: Tensor
    brain: Tensor
    lesion: NDArray[np.bool_]
    pipeline: AnomalyPipeline

    @classmethod
    def of(cls, phantom: Phantom, pipeline: AnomalyPipeline) -> OneSlice:
        """The slice with most lesion."""
        inside = phantom.brain.data > 0
        flair = to_model_slices(phantom.images["flair"], inside, pipeline.normalisation)
        other = to_model_slices(
            phantom.images["t2"], inside, pipeline.models.normalisation("t2"), flair.transform
        )
        truth = torch.from_numpy(
            flair.transform.to_model(phantom.lesion.data.astype(np.float32), 0.0) >= 0.5
        )
        index = int(truth.flatten(1).sum(1).argmax())
        return cls(
            flair.image[index, 0],
            other.image[index, 0],
            flair.brain[index, 0],
            truth[index].numpy(),
            pipeline,
        )

    def strips(self) -> Tensor:
        """The preset's strips that touch the brain, bool ``(strips, size, size)``."""
        masks = self.pipeline.preset.cycle.masks(tuple(self.image.shape))
        return masks[(masks & self.brain).flatten(1).any(1)]

    def error(self, reconstructed: Tensor) -> Tensor:
        """What counts of x - x'."""
        signed = self.image - reconstructed
        bright, dark = self.pipeline.preset.cycle.sides.weights
        return (torch.where(signed > 0, bright, dark) * signed).abs()

    @torch.inference_mode()
    def under(self, strip: Tensor) -> dict[str, Tensor]:
        """Noise-covered input, first y_T, translated y and reconstructed x' under one strip."""
        scorer = self.pipeline.scorer
        assert isinstance(scorer, CycleScorer)
        size, number = tuple(self.image.shape), torch.zeros(1, dtype=torch.int64)
        source, mask = self.image[None, None], strip[None, None]
        condition = masked_condition(
            source, mask, normal_noise(0, number, number, 0, CONDITION, size)
        )
        start = normal_noise(0, number, torch.full_like(number, NO_MASK), 0, INITIAL, size)
        times = torch.full((1,), int(scorer.inferer.scheduler.timesteps[0]), dtype=torch.int64)
        with autocast(scorer.device, scorer.inferer.precision):
            translated = scorer.forward(torch.cat([start, condition], 1), times).float()
            reconstructed = scorer.backward(translated).float()
        return {
            name: value[0, 0]
            for name, value in (
                ("x_r", condition),
                ("y_T", start),
                ("y", translated),
                ("x'", reconstructed),
            )
        }


def draw_one_strip(one: OneSlice, path: Path) -> None:
    """The way of one strip through the cycle."""
    masks = one.strips()
    strip = masks[int(np.argmax([(mask.numpy() & one.lesion).sum() for mask in masks]))]
    seen = one.under(strip)
    error = one.error(seen["x'"]) * strip
    panels = [
        (one.image, "x: FLAIR, the strip framed"),
        (seen["x_r"], "x_r: noise under the strip"),
        (seen["y_T"], "y_T: noise to start from"),
        (seen["y"], "y: T2 as f translates it"),
        (one.target, "(the real T2, not used)"),
        (seen["x'"], "x': FLAIR as g reconstructs it"),
    ]
    figure, axes = plt.subplots(2, 4, figsize=(9.6, 5.2))
    for axis, (image, title) in zip(axes.flat, panels, strict=False):
        show(axis, image, title)
        outline(axis, strip.numpy())
    show(axes[1, 2], error, "x unlike x', under the strip", ERROR, 0, 3)
    show(axes[1, 3], one.image, "the lesion")
    axes[1, 3].contour(one.lesion, levels=[0.5], colors=TRUTH, linewidths=1.0)
    figure.subplots_adjust(0.01, 0.01, 0.99, 0.95, 0.03, 0.1)
    save(figure, path)


def draw_sum(one: OneSlice, path: Path) -> None:
    """How the map grows, strip by strip; then the median filter and the threshold."""
    masks = one.strips()
    maps = [one.error(one.under(mask)["x'"]) * mask for mask in masks]
    horizontal = int(sum(bool(mask.any(1).sum() < mask.any(0).sum()) for mask in masks))
    figure, axes = plt.subplots(1, 5, figsize=(11.0, 2.6))
    for axis, count in zip(axes, (1, horizontal - 1, horizontal, len(masks)), strict=False):
        covered = masks[:count].sum(0)
        mean = torch.stack(maps[:count]).sum(0) / covered.clamp_min(1)
        show(axis, torch.where(one.brain, mean, 0), f"{count} of {len(masks)} strips", ERROR, 0, 3)
        for mask in masks[:count] if count < len(masks) else ():
            outline(axis, mask.numpy(), "#777777")
    whole, inside = (
        np.where(one.brain, mean, 0)[None].astype(np.float32),
        np.asarray(one.brain)[None],
    )
    within = replace(one.pipeline.preset.postprocessing, across_mm=0.0)
    smoothed = smooth(whole, inside, 1.0, within)[0]
    show(axes[4], smoothed, "smoothed; above the threshold", ERROR, 0, 3)
    assert one.pipeline.threshold is not None
    axes[4].contour(smoothed > one.pipeline.threshold, levels=[0.5], colors=FOUND, linewidths=1.0)
    figure.subplots_adjust(0.005, 0.01, 0.995, 0.9, 0.03)
    save(figure, path)


def draw_rounds(one: OneSlice, path: Path) -> None:
    """What the first round finds suspicious is hidden in the second one."""
    image, brain = one.image[None, None], one.brain[None, None]
    results = [
        with_cycle(one.pipeline, rounds=rounds).scorer.score(Slices(image, brain, 1.0))
        for rounds in (1, 2)
    ]
    settings = one.pipeline.preset.cycle
    hidden = suspicious_region(results[0].signed, brain, settings.suspicious_sd, settings.sign)[
        0, 0
    ]
    first, second = (torch.nan_to_num(result.anomaly[0, 0]) * one.brain for result in results)
    figure, axes = plt.subplots(1, 4, figsize=(9.6, 2.8))
    show(axes[0], first, "map after one round", ERROR, 0, 3)
    show(axes[1], one.image, "orange: hidden in round two")
    axes[1].imshow(
        np.ma.masked_where(~hidden.numpy(), hidden.numpy()),
        cmap="Wistia",
        vmin=0,
        vmax=1,
        interpolation="nearest",
    )
    show(axes[2], second, "map after two rounds", ERROR, 0, 3)
    show(axes[3], second - first, "difference (red: more)", "RdBu_r", -1.5, 1.5)
    axes[3].contour(one.lesion, levels=[0.5], colors="black", linewidths=0.8)
    figure.subplots_adjust(0.005, 0.01, 0.995, 0.9, 0.03)
    save(figure, path)


def draw_how(pipeline: AnomalyPipeline, images: Path) -> None:
    """The three pictures of docs/how_it_works.md."""
    one = OneSlice.of(make_phantom(CASES[0].seed, CASES[0].lesions, CALM), pipeline)
    drawings: list[tuple[str, Callable[[OneSlice, Path], None]]] = [
        ("strip", draw_one_strip),
        ("sum", draw_sum),
        ("rounds", draw_rounds),
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
        draw_start(images)
    if not names or "how" in names:
        draw_how(pipeline, images)
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
