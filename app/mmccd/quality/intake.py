"""What happens to a volume before the cycle: find its brain, correct its brightness where that is
wanted, check whether it can be judged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mmccd.brain import (
    EXTRACTED,
    EXTRACTORS,
    GIVEN,
    OWN,
    STRIPPED,
    Brain,
    Extraction,
    Extractor,
    find_brain,
    find_extractor,
    find_lower,
    zero_point,
)
from mmccd.core import Finding, UnsuitableInputError, Volume
from mmccd.imaging import GridTransform
from mmccd.quality.content import LARGE, check_slices, check_values, coarse_copy
from mmccd.quality.features import BrainSlices
from mmccd.quality.rules import InputStatistics, Review, check_plane, check_tilt, review


@dataclass(frozen=True)
class Prepared:
    """A volume that is ready for the cycle.

    Attributes:
        volume: the image, its brightness corrected where that was wanted.
        brain: its brain.
        findings: what its user should know.
        figures: what the checks measured.
    """

    volume: Volume
    brain: Brain
    findings: tuple[Finding, ...]
    figures: dict[str, Any]


@dataclass(frozen=True)
class Intake:
    """How volumes are received.

    Args:
        load_network: loads our brain network, on the CPU; called where it is needed.
        load_statistics: reads what is usual; likewise.
        extractor: a name of :func:`~mmccd.brain.extractors.extractor_names`.
        bias_correction: whether N4 evens out the brightness.
        unchecked: whether the refusals of the checks are warnings only.
        device: where the brain network runs.

    Raises:
        UsageError: an unknown extractor, or one that is not installed.
    """

    load_network: Callable[[], nn.Module]
    load_statistics: Callable[[], InputStatistics]
    extractor: str = OWN
    bias_correction: bool = False
    unchecked: bool = False
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def __post_init__(self) -> None:
        find_extractor(self.extractor)

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
        if volume.data.size > LARGE:
            self._look_coarsely(volume, brain_mask)
        return self._prepare(volume, brain_mask, stage)

    def _prepare(
        self,
        volume: Volume,
        brain_mask: Volume | None = None,
        stage: Callable[[str], None] | None = None,
    ) -> Prepared:
        name = str(volume.provenance.get("file", "the volume"))
        findings = [*_settled(check_slices(volume), name, self.unchecked)]
        brain = find_brain(volume, brain_mask, self.extract)
        findings += _settled(check_values(volume, brain.mask), name, self.unchecked)
        if brain.method == EXTRACTED:
            title = EXTRACTORS[self.extractor].title
            text = (
                f"the brain was found by {title}; look at brain_mask: fat of neck or orbits in it"
                " looks anomalous"
            )
            findings.append(Finding("brain.extracted", text, "note"))
        if self.bias_correction:
            from mmccd.imaging import correct_bias

            volume = correct_bias(volume, brain.mask, zero_point(volume))
        if stage is not None:
            stage("check")
        try:
            slices = BrainSlices.of(volume, brain.mask)
        except UnsuitableInputError as error:
            raise UnsuitableInputError(f"{name}: {error}", error.code) from error
        found = review(slices, self.statistics, self._lower(volume, brain), brain.method == GIVEN)
        findings += [*found.settle(name, self.unchecked), *check_tilt(volume), *check_plane(volume)]
        return Prepared(volume, brain, tuple(findings), found.figures)

    def _look_coarsely(self, volume: Volume, brain_mask: Volume | None) -> None:
        """Refuse a large volume for what a coarse copy of it shows: the checks take several times
        the memory of what they look at.
        """
        if brain_mask is not None and not brain_mask.same_grid(volume):
            return  # whoever takes the mask says so
        copy = coarse_copy(volume)
        if copy.data.size < volume.data.size:
            mask = None if brain_mask is None else coarse_copy(brain_mask)
            replace(self, bias_correction=False)._prepare(copy, mask)

    def extract(self, volume: Volume) -> Extraction:
        """Brain extraction with the chosen extractor."""
        return self._extractor(volume)

    @cached_property
    def statistics(self) -> InputStatistics:
        """What is usual, measured."""
        return self.load_statistics()

    @cached_property
    def _extractor(self) -> Extractor:
        return find_extractor(self.extractor).make(lambda: self._network, self.device)

    @cached_property
    def _network(self) -> nn.Module:
        return self.load_network().to(self.device)

    def _lower(self, volume: Volume, brain: Brain) -> NDArray[np.bool_] | None:
        """Cerebellum and brainstem on the model grid; None where the network finds none. Where
        nothing was extracted it takes a coarse look, which says where they are.
        """
        if brain.extraction is not None and brain.extraction.lower.any():
            lower = brain.extraction.lower
        else:
            lower = find_lower(_stripped(volume, brain), self._network, self.device)
        if not lower.any():
            return None
        return np.asarray(GridTransform.fit(volume, brain.mask).to_model(lower, 0.0) >= 0.5)


def _settled(findings: list[Finding], name: str, unchecked: bool) -> tuple[Finding, ...]:
    return Review(tuple(findings), {}).settle(name, unchecked)


def _stripped(volume: Volume, brain: Brain) -> Volume:
    """The volume as it is; of one that is already stripped the brain alone, so that nobody takes
    its background for tissue.
    """
    if brain.method != STRIPPED:
        return volume
    return volume.with_data(np.where(brain.mask, volume.data, np.float32(np.nan)))
