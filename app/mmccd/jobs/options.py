"""What a user chooses for a run, as plain values: one place that turns them into a pipeline."""

from __future__ import annotations

from dataclasses import dataclass

from mmccd.brain import OWN
from mmccd.pipeline import AnomalyPipeline, make_intake
from mmccd.quality import Intake


@dataclass(frozen=True)
class Options:
    """Settings of a pipeline; they travel to other processes.

    Attributes:
        bundles: folder with other bundles; None for :func:`~mmccd.bundle.find.find_bundles`'
            choice.
        target: contrast that is imagined; None: t2 where its weights are there.
        preset: full, balanced or fast.
        device: see :func:`~mmccd.models.device.choose_device`.
        threshold: instead of the calibrated one.
        seed: seed of the noise.
        extractor: what finds the brain in a head.
        bias_correction: even out the brightness with N4.
        unchecked: go on where the checks refuse.
    """

    bundles: str | None = None
    target: str | None = None
    preset: str = "balanced"
    device: str = "auto"
    threshold: float | None = None
    seed: int = 0
    extractor: str = OWN
    bias_correction: bool = False
    unchecked: bool = False

    def intake(self) -> Intake:
        """How volumes are received.

        Raises:
            UsageError: an unknown extractor, or one that is not installed.
        """
        return make_intake(
            self.bundles or None, self.extractor, self.bias_correction, self.unchecked
        )

    def make_pipeline(self) -> AnomalyPipeline:
        """Load the models; raises as :class:`~mmccd.pipeline.AnomalyPipeline`."""
        return AnomalyPipeline.from_bundles(
            self.bundles,
            self.target,
            self.preset,
            self.device,
            self.threshold,
            self.seed,
            self.intake(),
        )
