"""The settings that travel with a task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmccd.pipeline import AnomalyPipeline

AUTO = "auto"


@dataclass(frozen=True)
class TaskSettings:
    """What a user chooses for a prediction, as plain values; they travel to other processes.

    Attributes:
        bundles: folder with other bundles; None for those that are installed.
        target: contrast that is translated to; None: t2 where its weights are there.
        preset: full, balanced or fast.
        device: see :func:`~mmccd.models.device.choose_devices`.
        threshold: instead of the calibrated one.
        seed: seed of the noise.
        extractor: what finds the brain in a head.
        bias_correction: even out the brightness with N4.
        unchecked: go on where the checks refuse.
        series: which DICOM series: ``auto``, ``uid=UID``, ``number=N`` or ``description=REGULAR
            EXPRESSION``.
        force: replace the results of an earlier run.
        max_voxels: the largest volume that is taken; 0: any.
    """

    bundles: str | None = None
    target: str | None = None
    preset: str = "balanced"
    device: str = AUTO
    threshold: float | None = None
    seed: int = 0
    extractor: str = "mmccd"
    bias_correction: bool = False
    unchecked: bool = False
    series: str = AUTO
    force: bool = False
    max_voxels: int = 0

    @classmethod
    def of(cls, settings: Any, **others: Any) -> TaskSettings:
        """Those that ``settings`` has, by attribute; ``others`` win."""
        names = [field.name for field in fields(cls)]
        found = {name: getattr(settings, name) for name in names if hasattr(settings, name)}
        return cls(**{**found, **others})

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


MakePipeline = Callable[[TaskSettings], "AnomalyPipeline"]


def make_pipeline(settings: TaskSettings) -> AnomalyPipeline:
    """Load the models; raises as :class:`~mmccd.pipeline.AnomalyPipeline`."""
    from mmccd.jobs.options import Options

    return Options(
        settings.bundles,
        settings.target or None,
        settings.preset,
        settings.device,
        settings.threshold,
        settings.seed,
        settings.extractor,
        settings.bias_correction,
        settings.unchecked,
    ).make_pipeline()
