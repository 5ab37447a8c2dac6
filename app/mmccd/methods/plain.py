"""What the scores of the intensities alone share."""

from __future__ import annotations

from dataclasses import dataclass

from mmccd.imaging import Normalisation
from mmccd.methods.base import Context, Method, either_side

RANGE = Normalisation("range", 2.0, 90.0)
"""0 at the 2nd, 1 at the 90th percentile of the brain."""


@dataclass(frozen=True)
class PlainMethod(Method):
    """A score of the intensities alone; on T1 and T2 a lesion may be dark."""

    def normalisation(self, context: Context) -> Normalisation:
        """See :meth:`mmccd.methods.Method.normalisation`."""
        return RANGE

    def polarities(self, source: str, signed: bool) -> tuple[int, ...]:
        """See :meth:`mmccd.methods.Method.polarities`."""
        return either_side(source)
