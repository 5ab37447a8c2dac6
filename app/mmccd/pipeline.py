"""Volume in, Result out: the one Python API behind the command line, the application and the
evaluation.
"""

from __future__ import annotations

import contextlib
import logging
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import mmccd
from mmccd import NOTICE
from mmccd.brain import EXTRACTED, OWN, Brain, BrainUNet
from mmccd.bundle import (
    FORWARD,
    Calibration,
    ModelSet,
    Preset,
    find_bundles,
    find_part,
    load_brain_weights,
    load_models,
)
from mmccd.core import (
    BALANCED,
    SPECIFIC,
    ModelError,
    PhaseClock,
    ReportParts,
    ResourceError,
    Result,
    ReturnedImage,
    ScoreMaps,
    Settings,
    Volume,
    build_report,
    first_line,
)
from mmccd.imaging import ModelSlices, Normalisation, to_model_slices
from mmccd.methods import (
    Context,
    Progress,
    Scorer,
    Slices,
    find_method,
    on_several_devices,
)
from mmccd.models import choose_devices, describe_devices
from mmccd.postprocessing import (
    ConfidenceLevels,
    NormalRange,
    ScoreMap,
    make_map,
    measure_components,
    segment,
)
from mmccd.quality import (
    STATISTICS,
    InputStatistics,
    Intake,
    Prepared,
    ReturnedStatistics,
    check_returned,
    measure_returned,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class VolumeMaps:
    """The maps of one volume, before a threshold.

    Attributes:
        anomaly: a on the native grid, 0 outside the brain.
        smoothed: the same after the preset's smoothing (median filter, average across slices).
        brain: native brain mask, where the map holds.
        slices: what the scorer saw.
        scores: what it said, on the model grid.
        model: the map on the model grid.
    """

    anomaly: NDArray[np.float32]
    smoothed: NDArray[np.float32]
    brain: NDArray[np.bool_]
    slices: ModelSlices
    scores: ScoreMaps
    model: ScoreMap


class AnomalyPipeline:
    """Find anomalies in FLAIR volumes.

    Args:
        models: weights and presets.
        preset: name of a preset.
        device: name of one or several devices, see :func:`~mmccd.models.device.choose_devices`;
            several share the slices of a volume.
        threshold: h; None for the calibrated one.
        seed: seed of all noise.
        require_threshold: whether a missing calibration is an error (it is not where only maps are
            wanted).
        intake: how volumes are received: brain extraction, bias correction, checks.
        settings: what the others were taken from; None where they were given one by one.
        operating_point: which of the calibrated thresholds, see
            :data:`~mmccd.core.OPERATING_POINTS`.

    Raises:
        ModelError: weights that cannot be loaded; no calibration for these settings and no
            threshold, or one without that operating point.
        UsageError: unknown preset, device or operating point; another operating point than
            ``balanced`` beside a threshold.
    """

    def __init__(
        self,
        models: ModelSet,
        preset: str = "balanced",
        device: str = "auto",
        threshold: float | None = None,
        seed: int = 0,
        require_threshold: bool = True,
        intake: Intake | None = None,
        settings: Settings | None = None,
        operating_point: str = BALANCED,
    ) -> None:
        self.preset: Preset = models.preset(preset)
        self.models = models = models.for_preset(self.preset)
        self.devices = choose_devices(device)
        self.device = self.devices[0]
        self.precision = models.choose_precision(self.preset, *self.devices)
        self.seed = seed
        self.intake = replace(intake or make_intake(models.root), device=self.device)
        stored = (
            models.stored_calibration(self.preset, self.precision) if threshold is None else None
        )
        if threshold is None and stored is None and require_threshold:
            raise ModelError(
                f"{models.root}: no calibration for target {models.target}, preset {preset},"
                f" {self.precision} and these weights; give --threshold, or run 'mmccd calibrate'",
                code="calibration.missing",
            )
        self.calibration: Calibration | None = stored[1] if stored else None
        known = self.calibration or models.calibration(self.preset, self.precision)
        self.normal_range: NormalRange | None = known.normal_range if known else None
        self.threshold = _threshold_at(operating_point, *stored) if stored else threshold
        self.operating_point = (
            operating_point if self.calibration and self.calibration.points else None
        )
        self.source: str = models.source
        self.normalisation: Normalisation = models.normalisation(self.source)
        self.method = find_method(self.preset.method)()
        self.context = self._context()
        self.scorer: Scorer = self._scorer()
        self.settings = settings or Settings(
            bundles=str(models.root),
            preset=preset,
            device=device,
            threshold=threshold,
            operating_point=operating_point,
            seed=seed,
            extractor=self.intake.extractor,
            bias_correction=self.intake.bias_correction,
            unchecked=self.intake.unchecked,
        )

    @classmethod
    def from_settings(cls, settings: Settings, intake: Intake | None = None) -> AnomalyPipeline:
        """Load the models that settings ask for; raises as the class,
        :func:`~mmccd.bundle.find_bundles` and :func:`~mmccd.bundle.load_models`.

        Args:
            settings: of the run.
            intake: instead of the one that the settings describe.
        """
        root = find_bundles(settings.bundles)
        return cls(
            load_models(root, settings.target, preset=settings.preset),
            settings.preset,
            settings.device,
            settings.threshold,
            settings.seed,
            intake=intake
            or make_intake(
                settings.bundles, settings.extractor, settings.bias_correction, settings.unchecked
            ),
            settings=None if intake else settings,
            operating_point=settings.operating_point,
        )

    @classmethod
    def from_bundles(
        cls,
        bundles: str | Path | None = None,
        target: str | None = None,
        preset: str = "balanced",
        device: str = "auto",
        threshold: float | None = None,
        seed: int = 0,
        intake: Intake | None = None,
        operating_point: str = BALANCED,
    ) -> AnomalyPipeline:
        """From the folder that holds the bundles (see :func:`~mmccd.bundle.find_bundles`); raises
        as :class:`~mmccd.core.Settings`, the class and :func:`~mmccd.bundle.load_models`.
        """
        settings = Settings(
            bundles=str(bundles) if bundles else None,
            target=target,
            preset=preset,
            device=device,
            threshold=threshold,
            operating_point=operating_point,
            seed=seed,
        )
        return cls.from_settings(settings, intake)

    def maps(
        self,
        volume: Volume,
        brain: Brain,
        wanted: NDArray[np.bool_] | None = None,
        progress: Progress | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> VolumeMaps:
        """Run the scorer over a volume.

        Args:
            volume: FLAIR.
            brain: its brain.
            wanted: which model slices to run, bool ``(slices,)``; all where it is None.
            progress: called with (passes done, in all).
            cancelled: True ends the run.

        Raises:
            UnsuitableInputError: see :func:`~mmccd.imaging.slices.to_model_slices`; a slice
                too thin to hold a brain.
            ResourceError: out of memory.
        """
        slices = to_model_slices(volume, brain.mask, self.normalisation)
        if wanted is not None:
            kept = slices.brain & torch.from_numpy(wanted)[:, None, None, None]
            slices = replace(slices, brain=kept)
        slice_mm = slices.transform.spacing[2]
        given = Slices(slices.image, slices.brain, slice_mm)
        with _told_out_of_memory(describe_devices(self.devices)):
            scores = self.scorer.score(given, progress, cancelled)
        inside = slices.brain[:, 0].numpy()
        covered = brain.mask & slices.transform.slices_to_native(
            np.asarray(inside.any(axis=(1, 2)))
        )
        model = make_map(
            scores,
            inside,
            slice_mm,
            self.preset.postprocessing,
            self.method.sides(self.context),
            self.normal_range,
        )
        native, smoothed = (
            np.where(covered, slices.transform.to_native(layer, inside), 0.0).astype(np.float32)
            for layer in (model.raw, model.smoothed)
        )
        return VolumeMaps(native, smoothed, covered, slices, scores, model)

    def run(
        self,
        volume: Volume,
        brain_mask: Volume | None = None,
        progress: Progress | None = None,
        cancelled: Callable[[], bool] | None = None,
        stage: Callable[[str], None] | None = None,
    ) -> Result:
        """Find the brain, run the cycle, threshold the map.

        Args:
            volume: FLAIR on any grid.
            brain_mask: the brain's mask on the same grid, where it is known.
            progress: called with (passes done, in all).
            cancelled: asked between batches; True ends the run with a CancelledError.
            stage: called with ``brain``, ``check`` and ``score`` when they begin.

        Raises:
            UnsuitableInputError: see :meth:`~mmccd.quality.intake.Intake.prepare` and :meth:`maps`.
            ResourceError: out of memory.
        """
        if self.threshold is None:
            raise ModelError(
                "no threshold: give one, or calibrate these settings", code="calibration.missing"
            )
        tell = stage or _say_nothing
        clock = PhaseClock()

        def brain_is_found(begins: str) -> None:
            clock.lap("brain")
            tell(begins)

        tell("brain")
        prepared = self.intake.prepare(volume, brain_mask, brain_is_found)
        brain = prepared.brain
        clock.lap("check")
        tell("score")
        maps = self.maps(prepared.volume, brain, None, progress, cancelled)
        clock.lap("cycle")
        post = self.preset.postprocessing
        segmentation = segment(maps.smoothed, maps.brain, self.threshold, volume.voxel_ml, post)
        percentile = self._percentile(maps)
        clock.lap("segmentation")
        parts = self._parts(volume, prepared, maps, segmentation, percentile, clock.seconds)
        return Result(
            image=volume,
            anomaly_map=volume.with_data(maps.anomaly, "anomaly"),
            smoothed_map=volume.with_data(maps.smoothed, "anomaly"),
            segmentation=volume.with_data(segmentation, "mask"),
            percentile_map=None if percentile is None else volume.with_data(percentile, "anomaly"),
            brain_mask=volume.with_data(brain.mask.astype(np.uint8), "mask"),
            maps=maps.scores,
            report=build_report(parts),
        )

    def _scorer(self) -> Scorer:
        scorers = [
            self.method.build(replace(self.context, device=device)) for device in self.devices
        ]
        shared: Scorer = on_several_devices(scorers)
        return shared

    def _context(self) -> Context:
        return Context(
            source=self.source,
            target=self.models.target,
            weights=self.models.weights,
            device=self.device,
            cycle=self.preset.cycle,
            batch_size=self.preset.batch_size,
            seed=self.seed,
            combination=self.preset.combination,
            precision=lambda chosen: self.precision,
        )

    def _percentile(self, maps: VolumeMaps) -> NDArray[np.float32] | None:
        """The map in percent of healthy voxels of the same kind, on the native grid, where the
        calibration knows their range.
        """
        if maps.model.percentile is None:
            return None
        inside = maps.slices.brain[:, 0].numpy()
        native = maps.slices.transform.to_native(maps.model.percentile, inside)
        return np.where(maps.brain, native, 0.0).astype(np.float32)

    def _returned(self, maps: VolumeMaps) -> ReturnedStatistics | None:
        """Whether the reconstructed image follows the input where nothing is marked, on the model
        grid; None where there is none.
        """
        assert self.threshold is not None
        inside = maps.slices.brain[:, 0].numpy()
        return measure_returned(
            maps.slices.image[:, 0].numpy(),
            maps.scores.reconstructed[:, 0].numpy(),
            inside & (maps.model.smoothed <= self.threshold),
        )

    def _settings(self) -> dict[str, Any]:
        """What decided the numbers."""
        return {
            "preset": self.preset.name,
            **self.preset.settings(),
            "target": self.models.target,
            "precision": self.precision,
            "batch_size": self.preset.batch_size,
            "device": describe_devices(self.devices),
            "seed": self.seed,
        }

    def _parts(
        self,
        volume: Volume,
        prepared: Prepared,
        maps: VolumeMaps,
        segmentation: NDArray[np.uint8],
        percentile: NDArray[np.float32] | None,
        seconds: dict[str, float],
    ) -> ReportParts:
        """What the report is made of."""
        brain = prepared.brain
        returned = self._returned(maps)
        components, count = measure_components(
            volume.with_data(segmentation, "mask"),
            maps.smoothed,
            levels=_confidence_levels(self.calibration),
        )
        assert self.threshold is not None
        return ReportParts(
            notice=NOTICE,
            image=volume,
            brain=brain.mask,
            covered=maps.brain,
            anomaly=maps.anomaly,
            segmentation=segmentation,
            percentile=percentile,
            returned=_report_of_returned(returned),
            components=components,
            component_count=count,
            threshold=self.threshold,
            calibration=self.calibration.summary() if self.calibration else None,
            operating_point=self.operating_point,
            brain_notes={
                "brain_found_by": brain.method,
                "extractor": self.intake.extractor if brain.method == EXTRACTED else None,
                "bias_correction": self.intake.bias_correction,
                "checks": prepared.figures,
                "slices_with_brain": int(maps.slices.brain.flatten(1).any(1).sum()),
            },
            settings=self._settings(),
            weights={
                name: _weights_entry(weights.card) for name, weights in self.models.weights.items()
            },
            versions=versions(),
            seconds=seconds,
            findings=(
                *self.models.warnings,
                *prepared.findings,
                *check_returned(returned),
            ),
        )


def make_intake(
    bundles: str | Path | None = None,
    extractor: str = OWN,
    bias_correction: bool = False,
    unchecked: bool = False,
    device: torch.device | None = None,
) -> Intake:
    """How volumes are received, with the brain network and the statistics of the bundles (both are
    read when they are needed).

    Args:
        bundles: folder of the bundles; None for the installed ones (which also serve where that
            folder has no brain extraction).
        extractor: see :class:`~mmccd.quality.intake.Intake`, as the others.
        bias_correction: likewise.
        unchecked: likewise.
        device: where the brain network runs; None for the CPU.

    Raises:
        UsageError: an unknown extractor, or one that is not installed.
    """

    def network() -> BrainUNet:
        return load_brain_weights(bundles).load(BrainUNet)

    def statistics() -> InputStatistics:
        return InputStatistics.read(find_part(f"{FORWARD}/{STATISTICS}", bundles).parents[1])

    return Intake(
        network, statistics, extractor, bias_correction, unchecked, device or torch.device("cpu")
    )


def _threshold_at(point: str, file: Path, calibration: Calibration) -> float:
    """A calibrated threshold, or the error that says where it is missing."""
    threshold = calibration.threshold_at(point)
    if threshold is None:
        key = calibration.key
        raise ModelError(
            f"{file}: the calibration for target {key.target}, {key.precision} has one threshold"
            f" and no operating point {point}; run 'mmccd calibrate', or give --threshold",
            code="calibration.no_such_point",
        )
    return threshold


def _confidence_levels(calibration: Calibration | None) -> ConfidenceLevels | None:
    if calibration is None or not calibration.points:
        return None
    points = calibration.points
    return ConfidenceLevels(points[SPECIFIC].threshold, points[BALANCED].threshold)


@contextlib.contextmanager
def _told_out_of_memory(devices: str) -> Iterator[None]:
    """A failed allocation as a ResourceError."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        raise ResourceError(
            f"out of memory on {devices} ({first_line(error)}); use --device cpu or a machine with"
            " more memory",
            code="resource.memory",
        ) from error


def _is_out_of_memory(error: BaseException) -> bool:
    """PyTorch reports a failed allocation on a CPU as a plain RuntimeError."""
    return isinstance(
        error, MemoryError | torch.cuda.OutOfMemoryError
    ) or "can't allocate memory" in str(error)


def _say_nothing(stage: str) -> None:
    """Nobody wants to know."""


def versions() -> dict[str, str]:
    """Versions of what decides the numbers."""
    return {
        "mmccd": mmccd.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "monai": metadata.version("monai"),
        "numpy": np.__version__,
    }


def _weights_entry(card: dict[str, Any]) -> dict[str, Any]:
    names = ("source", "target", "sha256", "research_only", "licence", "data", "normalisation")
    return {name: card[name] for name in names if name in card}


def _report_of_returned(found: ReturnedStatistics | None) -> ReturnedImage | None:
    """What the report says of the reconstructed image."""
    if found is None:
        return None
    return ReturnedImage(
        correlation=round(found.correlation, 6),
        spread=round(found.spread, 6),
        error=round(found.error, 6),
    )
