"""What happens to a volume before the cycle: find its brain, correct its brightness where that is
wanted, check whether it can be judged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mmccd.brain import (
    EXTRACTED,
    GIVEN,
    Brain,
    BrainUNet,
    Extraction,
    check_installed,
    extract_brain,
    extract_with_hd_bet,
    find_brain,
)
from mmccd.bundle import FORWARD, find_part, load_brain_weights
from mmccd.core import UnsuitableInputError, UsageError, Volume
from mmccd.imaging import GridTransform
from mmccd.quality.appearance import BrainSlices
from mmccd.quality.checks import STATISTICS, InputStatistics, check_tilt, review

OWN, HD_BET = "mmccd", "hd-bet"
EXTRACTORS = (OWN, HD_BET)


@dataclass(frozen=True)
class Prepared:
    """A volume that is ready for the cycle.

    Attributes:
        volume: the image, its brightness corrected where that was wanted.
        brain: its brain.
        warnings: what its user should know.
        figures: what the checks measured.
    """

    volume: Volume
    brain: Brain
    warnings: tuple[str, ...]
    figures: dict[str, Any]


@dataclass(frozen=True)
class Intake:
    """How volumes are received.

    Args:
        bundles: folder of the bundles; None for the installed ones (which also serve where that
            folder has no brain extraction).
        extractor: ``mmccd`` or ``hd-bet``.
        bias_correction: whether N4 evens out the brightness.
        unchecked: whether the refusals of the checks are warnings only.
        device: where the brain network runs.

    Raises:
        UsageError: an unknown extractor, or HD-BET is not installed.
    """

    bundles: Path | None = None
    extractor: str = OWN
    bias_correction: bool = False
    unchecked: bool = False
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def __post_init__(self) -> None:
        if self.extractor not in EXTRACTORS:
            raise UsageError(
                f"--extractor {self.extractor}: unknown; expected one of {', '.join(EXTRACTORS)}"
            )
        if self.extractor == HD_BET:
            check_installed()

    def prepare(
        self,
        volume: Volume,
        brain_mask: Volume | None = None,
        stage: Callable[[str], None] | None = None,
    ) -> Prepared:
        """Find the brain and look at it.

        Args:
            volume: FLAIR on any grid.
            brain_mask: the brain's mask on the same grid, where it is known.
            stage: called with ``check`` when the brain is found and the checks begin.

        Raises:
            UnsuitableInputError: no brain, or a check refuses the volume.
            ModelError: weights or statistics are missing or damaged.
        """
        name = str(volume.provenance.get("file", "the volume"))
        brain = find_brain(volume, brain_mask, self.extract)
        warnings = []
        if brain.method == EXTRACTED:
            warnings.append(
                f"the brain was found by {_FINDERS[self.extractor]}; look at brain_mask: fat of"
                " neck or orbits in it looks anomalous"
            )
        if self.bias_correction:
            from mmccd.imaging import correct_bias

            volume = correct_bias(volume, brain.mask)
        if stage is not None:
            stage("check")
        try:
            slices = BrainSlices.of(volume, brain.mask)
        except UnsuitableInputError as error:
            raise UnsuitableInputError(f"{name}: {error}") from error
        found = review(slices, self.statistics, self._lower(volume, brain), brain.method == GIVEN)
        warnings += found.settle(name, self.unchecked) + [
            finding.text for finding in check_tilt(volume)
        ]
        return Prepared(volume, brain, tuple(warnings), found.figures)

    def extract(self, volume: Volume) -> Extraction:
        """Brain extraction with the chosen extractor."""
        if self.extractor == HD_BET:
            return extract_with_hd_bet(volume, self.device.type)
        return extract_brain(volume, self._network, self.device)

    @cached_property
    def statistics(self) -> InputStatistics:
        """What is usual, measured."""
        return InputStatistics.read(find_part(f"{FORWARD}/{STATISTICS}", self.bundles).parents[1])

    @cached_property
    def _network(self) -> nn.Module:
        return load_brain_weights(self.bundles).load(BrainUNet).to(self.device)

    def _lower(self, volume: Volume, brain: Brain) -> NDArray[np.bool_] | None:
        """Cerebellum and brainstem on the model grid; None where the network finds no brain."""
        try:
            found = (
                brain.extraction
                if brain.extraction is not None and brain.extraction.lower.any()
                else extract_brain(volume, self._network, self.device)
            )
        except UnsuitableInputError:
            return None
        return np.asarray(GridTransform.fit(volume, brain.mask).to_model(found.lower, 0.0) >= 0.5)


_FINDERS = {OWN: "mmccd's own network", HD_BET: "HD-BET"}
