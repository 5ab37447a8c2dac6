"""The masked cycle as a method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from mmccd.core import ScoreMaps
from mmccd.imaging import Sides
from mmccd.methods.base import (
    BRIGHT,
    Cancelled,
    Chosen,
    Context,
    Method,
    Need,
    Progress,
    Slices,
    shipped,
)
from mmccd.methods.mmccd.combination import Combination
from mmccd.methods.mmccd.cycle import MaskedCycleInferer
from mmccd.methods.mmccd.settings import CycleSettings

Settings = TypeVar("Settings", CycleSettings, Combination)

SIZE = (128, 128)
"""Height and width of the model grid in pixels."""


@dataclass(frozen=True)
class CycleScorer:
    """The masked cycle with its two networks.

    Attributes:
        inferer: the cycle.
        forward: f, in evaluation mode on ``device``.
        backward: g, likewise.
        device: where the passes run.
    """

    inferer: MaskedCycleInferer
    forward: nn.Module
    backward: nn.Module
    device: torch.device

    def score(
        self,
        slices: Slices,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> ScoreMaps:
        """See :meth:`mmccd.methods.Scorer.score`."""
        return self.inferer(
            slices.image.to(self.device),
            self.forward,
            self.backward,
            slices.brain,
            slices=slices.numbers,
            progress=progress,
            cancelled=cancelled,
        )

    def count(self, brain: Tensor) -> int:
        """What progress counts to for a brain mask."""
        return self.inferer.count(brain)


@dataclass(frozen=True)
class CycleMethod(Method):
    """A masked cycle; its settings are those of the preset where they are None, see
    :class:`CycleSettings`.
    """

    stride: int | None = None
    width: int | None = None
    rounds: int | None = None
    suspicious_sd: float | None = None
    sign: str | None = None
    other_side: float | None = None
    hiding: str | None = None
    veil_sd: float | None = None
    draws: int | None = None
    level: bool | None = None

    def changed(self, preset: Settings) -> Settings:
        """Settings of the preset with those of this method that are not None in their place."""
        changes = {
            name: value
            for name, value in asdict(self).items()
            if name in vars(preset) and value is not None
        }
        return replace(preset, **changes)

    def cycle(self, context: Context) -> CycleSettings:
        """The settings of the cycle.

        Raises:
            ValueError: settings that do not exist, or leave voxels uncovered.
        """
        chosen = self.changed(context.cycle)
        if chosen.has_strips:
            chosen.masks(SIZE)
        return chosen

    def precision_of(self, context: Context) -> str:
        """``"fp32"`` or ``"bf16"``."""
        return "fp32"

    def key(self, context: Context) -> dict[str, Any]:
        """See :meth:`mmccd.methods.Method.key`."""
        return {
            "target": context.target,
            "weights": [context.weights[name].sha256 for name in self.needs],
            "cycle": self.cycle(context).as_dict(),
            "precision": self.precision_of(context),
            "seed": context.seed,
        }

    def polarities(self, source: str, signed: bool) -> tuple[int, ...]:
        """The cycle's sign says which side counts."""
        return (BRIGHT,)

    def sides(self, context: Context) -> Sides:
        """See :meth:`mmccd.methods.Method.sides`."""
        return self.cycle(context).sides

    def build(self, context: Context) -> CycleScorer:
        """See :meth:`mmccd.methods.Method.build`."""
        precision = self.precision_of(context)
        inferer = MaskedCycleInferer(
            context.weights["forward"].load_scheduler(),
            self.cycle(context),
            context.batch_size,
            precision,
            context.seed,
        )
        forward, backward = (context.network(name, precision) for name in ("forward", "backward"))
        return CycleScorer(inferer, forward, backward, context.device)


@dataclass(frozen=True)
class MaskedCycle(CycleMethod):
    """The masked modality cycle with conditional diffusion (Liang et al., 2023).

    Attributes:
        steps: sampling steps.
        reading: ``"paper"`` or ``"code"``.
        sampler: ``"ddim"`` or ``"ancestral"``.
        precision: ``"fp32"`` or ``"bf16"``; None as ``predict`` would choose.
    """

    name: ClassVar[str] = "mmccd"
    title: ClassVar[str] = "MMCCD"
    needs: ClassVar[Mapping[str, Need]] = {
        "forward": shipped("forward"),
        "backward": shipped("backward"),
    }

    steps: int | None = None
    reading: str | None = None
    sampler: str | None = None
    precision: str | None = None

    def __post_init__(self) -> None:
        if self.precision not in (None, "fp32", "bf16"):
            raise ValueError(f"precision must be fp32 or bf16, got {self.precision!r}")

    def precision_of(self, context: Context) -> str:
        """See :meth:`CycleMethod.precision_of`."""
        return self.precision or context.precision(self.chosen(context))

    def chosen(self, context: Context) -> Chosen:
        """What a calibration of these settings belongs to."""
        return Chosen(self.name, tuple(self.needs), self.cycle(context))

    def threshold(self, context: Context) -> float | None:
        """The calibrated one, where these settings have one."""
        return context.threshold(self.chosen(context), self.precision_of(context))

    def points(self, context: Context) -> Mapping[str, float]:
        """See :meth:`mmccd.methods.Method.points`."""
        return context.points(self.chosen(context), self.precision_of(context))
