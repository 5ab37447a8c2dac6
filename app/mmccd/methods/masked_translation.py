"""The masked cycle with a deterministic translator in the place of f."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from mmccd.methods.base import Context, Need, trained, translator
from mmccd.methods.mmccd.method import CycleMethod
from mmccd.methods.mmccd.settings import CycleSettings
from mmccd.models import MaskedTranslator


@dataclass(frozen=True)
class MaskedTranslation(CycleMethod):
    """One step under each mask, because there is no diffusion; the rest is the preset's."""

    name: ClassVar[str] = "masked_translation"
    title: ClassVar[str] = "Masked one-step translation"
    needs: ClassVar[Mapping[str, Need]] = {
        "forward": trained("masked_translation", MaskedTranslator, "target"),
        "backward": translator("target", "source"),
    }

    def cycle(self, context: Context) -> CycleSettings:
        """See :meth:`CycleMethod.cycle`."""
        preset = replace(context.cycle, steps=1, reading="paper", sampler="ddim")
        return super().cycle(replace(context, cycle=preset))
