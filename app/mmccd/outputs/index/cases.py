"""What the index tells of a case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class IndexCase:
    """A row of the index.

    Attributes:
        name: by which the case is shown; never a patient's where names are hidden.
        status: one of :data:`mmccd.core.STATUSES`.
        report: link to its page, relative to the index; None where there is none.
        thumbnail: likewise, to its small picture.
        volume_ml: above the threshold, mL.
        lesions: connected regions.
        largest_ml: volume of the largest, mL.
        warning_count: how many its report has; None where there is no report.
        warnings: their texts; empty where they are hidden.
        quality: figures of quality control, by name; None where one is not known.
        error: what went wrong.
        code: stable code of that.
        patient: whom the case is of; None where that is not known, or hidden.
        visit: which of the patient's visits it is; empty where the name does not say.
    """

    name: str
    status: str
    report: str | None = None
    thumbnail: str | None = None
    volume_ml: float | None = None
    lesions: int | None = None
    largest_ml: float | None = None
    warning_count: int | None = None
    warnings: tuple[str, ...] = ()
    quality: Mapping[str, float | None] = field(default_factory=dict)
    error: str | None = None
    code: str | None = None
    patient: str | None = None
    visit: str = ""

    @property
    def is_judged(self) -> bool:
        """Whether there is a result."""
        return self.volume_ml is not None
