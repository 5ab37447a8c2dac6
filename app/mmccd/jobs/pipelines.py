"""Models that stay loaded from one task to the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mmccd.core import Settings

if TYPE_CHECKING:
    from mmccd.pipeline import AnomalyPipeline


MakePipeline = Callable[[Settings], "AnomalyPipeline"]


def make_pipeline(settings: Settings) -> AnomalyPipeline:
    """Load the models; raises as :class:`~mmccd.pipeline.AnomalyPipeline`."""
    from mmccd.pipeline import AnomalyPipeline

    return AnomalyPipeline.from_settings(settings)


class Pipelines:
    """The pipeline of the settings that were asked for last, built once. Only one is kept: two sets
    of models need twice the memory.

    Args:
        make: builds one.
    """

    def __init__(self, make: MakePipeline = make_pipeline) -> None:
        self._make = make
        self._kept: tuple[Settings, AnomalyPipeline] | None = None

    def get(self, settings: Settings) -> AnomalyPipeline:
        """The pipeline.

        Raises:
            MmccdError: it cannot be built; the next one who asks tries again.
        """
        if self._kept is None or self._kept[0] != settings:
            self._kept = None
            self._kept = settings, self._make(settings)
        return self._kept[1]
