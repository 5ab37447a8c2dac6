"""How a task stands or has ended."""

from __future__ import annotations

import errno
import logging
import re
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmccd.core import SKIPPED, UNFINISHED, MmccdError, ResourceError
from mmccd.jobs.states import Stage, State, in_files, state_of
from mmccd.jobs.task import Task

if TYPE_CHECKING:
    from mmccd.core import Report

DEFECT = "defect"
OUT_OF_MEMORY = "resource.memory"

_NO_MEMORY = re.compile(
    r"can(?:no|')t allocate memory|failed to map segment from shared object", re.IGNORECASE
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """How a task stands or has ended; nothing of the patient stands in it.

    Attributes:
        number: of the task, from 1 on.
        name: by which the task is shown.
        state: see :class:`~mmccd.jobs.states.State`.
        exit_code: its own, see :mod:`mmccd.core.errors`; None until it is over.
        code: stable code of the error; None where there is none.
        error: one line, or None.
        stage: in which it is, or ended; None before the first.
        share: of the stage that is done, 0 to 1; None where that is not told.
        seconds: how long it took; None until it is over, and where nothing was done.
        stage_seconds: of each stage.
        memory_mib: of the working process after it, in MiB; None where that is not known.
        summary: of the report, see :func:`summarise`; None unless it is done.
        warnings: what the report warns of.
        skipped: whether an earlier run had made the same.
    """

    number: int
    name: str
    state: State = State.WAITING
    exit_code: int | None = None
    code: str | None = None
    error: str | None = None
    stage: Stage | None = None
    share: float | None = None
    seconds: float | None = None
    stage_seconds: Mapping[str, float] = field(default_factory=dict)
    memory_mib: float | None = None
    summary: Mapping[str, Any] | None = None
    warnings: tuple[str, ...] = ()
    skipped: bool = False

    @property
    def volume_ml(self) -> float | None:
        """Volume above the threshold; None unless it is done."""
        return self.summary["volumes_ml"]["anomalous"] if self.summary is not None else None

    def ended(
        self, exit_code: int, error: str | None = None, code: str | None = None, **values: Any
    ) -> Outcome:
        """The same task, over."""
        state = state_of(exit_code)
        return replace(self, state=state, exit_code=exit_code, error=error, code=code, **values)

    def cancelled(self) -> Outcome:
        """The same task, which will not be gone on with."""
        return replace(self, state=State.CANCELLED)

    def line(self) -> str:
        """For people."""
        if self.state in (State.FAILED, State.REFUSED):
            return f"{self.name}: {self.error} (exit code {self.exit_code})"
        volume = (
            f", {self.volume_ml:.1f} mL above the threshold" if self.volume_ml is not None else ""
        )
        seconds = f", {self.seconds:.0f} s" if self.seconds is not None else ""
        return f"{self.name}: {'already complete' if self.skipped else self.state}{volume}{seconds}"

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Outcome:
        """The way back."""
        known = {
            "state": State(values["state"]),
            "stage": Stage(values["stage"]) if values["stage"] else None,
            "warnings": tuple(values["warnings"]),
        }
        return cls(**{**values, **known})


def waiting(task: Task) -> Outcome:
    """The outcome of a task that has not begun."""
    return Outcome(task.number, task.shown)


def status_of(one: Outcome) -> str:
    """One of :data:`mmccd.core.STATUSES`."""
    if one.exit_code is None:
        return UNFINISHED
    return SKIPPED if one.skipped else in_files(one.state)


def summarise(report: Report) -> dict[str, Any]:
    """What the account of a run tells of a result: the volumes in mL, the regions, the threshold
    and its operating point, the figures of quality control, and what it was made with.
    """
    content = report.model_dump(mode="json")
    settings = content["settings"]
    return {
        "anomaly_found": report.anomaly_found,
        "volumes_ml": content["volumes_ml"],
        "lesion_count": report.lesion_count,
        "largest_ml": max((one.volume_ml for one in report.lesions), default=0.0),
        "quality": _quality(report),
        "threshold": report.threshold.value,
        "operating_point": report.threshold.operating_point,
        **{name: settings[name] for name in ("target", "preset", "precision", "device")},
        "weights_sha256": {name: weights.sha256 for name, weights in report.weights.items()},
        "timings_s": content["timings_s"],
    }


def _quality(report: Report) -> dict[str, float | None]:
    """How far the input, and what the models made of it, may be trusted."""
    checks, returned = report.input.checks, report.returned_image
    return {
        "flair_probability": checks.contrast_probabilities.get("flair"),
        "ood_score": checks.strangeness,
        "unevenness": checks.bias,
        "jump": checks.jump,
        "detail": checks.detail,
        "correlation": returned.correlation if returned is not None else None,
    }


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, also where a library could not be loaded, or torch on a CPU says it
    in words of its own.
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    return isinstance(error, ImportError | OSError | RuntimeError) and bool(
        _NO_MEMORY.search(str(error))
    )


def explain(error: BaseException) -> tuple[int, str, str | None]:
    """Exit code, text and stable code for what ended a task; of a defect only its kind and place,
    because its text may quote the patient's data.
    """
    if isinstance(error, MmccdError):
        return error.exit_code, str(error), error.code
    if is_out_of_memory(error):
        text = (
            "out of memory; use a machine with more memory, fewer workers, a smaller volume, or the"
            " device cpu"
        )
        return ResourceError.exit_code, text, OUT_OF_MEMORY
    logger.debug("a defect", exc_info=error)
    places = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(places[-1].filename).name}:{places[-1].lineno}" if places else ""
    return 1, f"defect: {type(error).__name__}{place}; please report it", DEFECT
