"""What the scores of the intensities alone share."""

from __future__ import annotations

from dataclasses import dataclass

from mmccd.imaging import Normalisation
from mmccd.methods.base import Context, Method, either_side
from mmccd.methods.brain_range import RANGE


@dataclass(frozen=True)
class PlainMethod(Method):
    """A score of the intensities alone; on T1 and T2 a lesion may be dark."""

    def normalisation(self, context: Context) -> Normalisation:
        """See :meth:`mmccd.methods.Method.normalisation`."""
        return RANGE

    def polarities(self, source: str, signed: bool) -> tuple[int, ...]:
        """See :meth:`mmccd.methods.Method.polarities`."""
        return either_side(source)
