"""What a study asks for: one small JSON file, checked before anything starts."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mmccd.core import (
    SEVERITY,
    InputError,
    MmccdError,
    PointName,
    UsageError,
    first_line,
)

Contrast = Literal["flair", "t1", "t2"]
Count = Annotated[int, Field(gt=0, strict=True)]
Seed = Annotated[int, Field(ge=0, lt=2**31, strict=True)]
Share = Annotated[float, Field(gt=0, lt=1)]
SCHEMA = "docs/training.md"
"""The page with the table of keys."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NetworkPlan(_Part):
    """How one network is trained.

    Attributes:
        max_epochs: length of the schedule.
        batch_size: slices of an iteration, on each GPU.
        learning_rate: highest one.
        settings: other settings of its ``train.json``, as its flags: ``{"ema_momentum": 0.01,
            "slice_rule#kind": "central"}``.
    """

    max_epochs: Count = 100
    batch_size: Count = 8
    learning_rate: Annotated[float, Field(gt=0)] = 4e-4
    settings: dict[str, Any] = {}


class CalibrationPlan(_Part):
    """What ``mmccd calibrate`` is told.

    Attributes:
        rate: share of healthy voxels that the operating point balanced may mark; None: the usual.
        slices_per_case: only so many slices of a case; None: all.
        precision: ``fp32`` or ``bf16``.
    """

    rate: Share | None = None
    slices_per_case: Count | None = None
    precision: Literal["fp32", "bf16"] = "fp32"


class EvaluationPlan(_Part):
    """What ``mmccd evaluate --sets`` is told.

    Attributes:
        sets: data folders or datalists, each reported whole.
        validation: where methods without a threshold choose one; None: the study's own data.
        methods: rows; None: the usual ones.
        operating_points: at which the methods are reported.
        rate: share of healthy validation voxels above a threshold that is chosen there.
        draws: resamples of the bootstrap.
    """

    sets: Annotated[list[str], Field(min_length=1)]
    validation: str | None = None
    methods: list[str] | None = None
    operating_points: Annotated[list[PointName], Field(min_length=1)] = ["balanced"]
    rate: Share = 0.02
    draws: Count = 1000


class Study(_Part):
    """Everything that a study does.

    Attributes:
        data: data folder or datalist with a training and a validation split.
        split_file: split by patient; None: that of the data.
        source: contrast that is scored.
        target: contrast that f imagines.
        presets: calibrated and evaluated.
        backward: training of g.
        forward: training of f.
        decision: training of d, where a preset needs it.
        seeds: each is a training of its own.
        calibration: how thresholds are chosen; None: they are not.
        evaluation: what is reported; None: nothing.
        gpus: processes of a training, each with a GPU of its own (torchrun).
        track: ``none``, ``tensorboard``, ``mlflow`` or ``both``.
        about_data: sentence for the cards of the weights.
        licence: likewise.
    """

    data: str
    split_file: str | None = None
    source: Contrast = "flair"
    target: Contrast = "t2"
    presets: Annotated[list[str], Field(min_length=1)] = ["balanced"]
    backward: NetworkPlan = NetworkPlan()
    forward: NetworkPlan = NetworkPlan()
    decision: NetworkPlan = NetworkPlan()
    seeds: Annotated[list[Seed], Field(min_length=1)] = [0]
    calibration: CalibrationPlan | None = CalibrationPlan()
    evaluation: EvaluationPlan | None = None
    gpus: Count = 1
    track: Literal["none", "tensorboard", "mlflow", "both"] = "tensorboard"
    about_data: str = ""
    licence: str = ""

    def resolved(self, folder: Path) -> Study:
        """The same with absolute paths; relative ones are seen from the study's own folder."""

        def place(path: str | None) -> str | None:
            return None if path is None else str((folder / path).resolve())

        evaluation = self.evaluation and self.evaluation.model_copy(
            update={
                "sets": [place(one) for one in self.evaluation.sets],
                "validation": place(self.evaluation.validation),
            }
        )
        changes = {
            "data": place(self.data),
            "split_file": place(self.split_file),
            "evaluation": evaluation,
        }
        return self.model_copy(update=changes)


def read_study(path: Path) -> tuple[Study | None, list[MmccdError]]:
    """Read a study.

    Args:
        path: its JSON file.

    Returns:
        The study with absolute paths, None where it cannot be used; and all that is wrong with the
        file itself, the worst first.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        problem = InputError(
            f"{path}: cannot be read ({first_line(error)}); expected a study as JSON ({SCHEMA})",
            code="study.unreadable",
        )
        return None, [problem]
    try:
        return Study.model_validate(content).resolved(path.resolve().parent), []
    except ValidationError as error:
        return None, [_explained(path, found) for found in error.errors(include_url=False)]


def worst_first(problems: list[MmccdError]) -> list[MmccdError]:
    """Sorted by exit code as several inputs are, wrong usage first."""
    order = (UsageError.exit_code, *SEVERITY)
    return sorted(problems, key=lambda one: order.index(one.exit_code))


def _explained(path: Path, found: Any) -> MmccdError:
    place = ".".join(str(part) for part in found["loc"])
    if found["type"] == "extra_forbidden":
        known = _keys_beside(found["loc"])
        close = difflib.get_close_matches(str(found["loc"][-1]), known, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        text = f"unknown key{hint}; expected one of {', '.join(known)}"
    elif found["type"] == "missing":
        text = "is missing; see the keys of a study"
    else:
        text = f"found {found['input']!r}, expected: {found['msg'][0].lower()}{found['msg'][1:]}"
    return UsageError(f"{path}: {place or 'study'}: {text} ({SCHEMA})", code="study.key")


def _keys_beside(place: tuple[Any, ...]) -> list[str]:
    """The keys that are known where an unknown one was found."""
    parts: dict[str, type[BaseModel]] = {
        "backward": NetworkPlan,
        "forward": NetworkPlan,
        "decision": NetworkPlan,
        "calibration": CalibrationPlan,
        "evaluation": EvaluationPlan,
    }
    return list((parts.get(str(place[0]), Study) if len(place) > 1 else Study).model_fields)
