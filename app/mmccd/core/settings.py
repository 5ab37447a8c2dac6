"""The settings of a run, each declared once.

Flags, MMCCD_* variables, the section of app.yaml, the request key of a cohort, shell completion,
help and the tables of the documentation are made from this model. A new setting is one line here.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from mmccd.core.declaration import FLAG, VARIABLE, Setting, flag_of
from mmccd.core.errors import UsageError, first_line
from mmccd.core.operating_points import BALANCED, OPERATING_POINTS, RATES, as_percent
from mmccd.core.output_choice import (
    BOTH,
    DEFAULT_OBJECTS,
    DICOM_OBJECTS,
    ONE_SEGMENT,
    OUTPUTS,
    SEGMENTS,
    OutputChoice,
)

Written = Callable[[str, Any], str]
"""From a setting's name and value to the words in which its user gave it."""

_SERIES = re.compile(r"auto|uid=[0-9.]{1,64}|number=\d{1,9}|description=.+")
_STUDY = re.compile(r"auto|uid=[0-9.]{1,64}|date=\d{8}")
_UID = re.compile(r"[0-9]+(\.[0-9]+)+")
_DAY = re.compile(r"(?:date=)?(\d{4})-?(\d\d)-?(\d\d)")
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:all|:\d+(,cuda:\d+)*)?")


def as_keyword(name: str, value: Any) -> str:
    """As a Python caller writes a setting: ``preset='turbo'``."""
    return f"{name}={value!r}"


def as_flag(name: str, value: Any) -> str:
    """As it stands on a command line: ``--preset turbo``."""
    return f"{flag_of(name)} {value}"


@dataclass(frozen=True)
class Declared:
    """A setting with everything that is known of it.

    Attributes:
        name: of the attribute.
        kind: type of its values (of ``float | None``: float).
        default: None where the program chooses.
        setting: the rest.
        low: the smallest number, where there is one.
        high: the largest.
    """

    name: str
    kind: type
    default: Any
    setting: Setting
    low: float | None = None
    high: float | None = None

    @property
    def expected(self) -> str:
        """What a value has to be, in words."""
        if self.setting.expected or self.setting.choices:
            return self.setting.expected or f"one of {', '.join(self.setting.names())}"
        kind = {bool: "true or false", int: "a whole number", float: "a number"}
        unit = f" of {self.setting.unit}" if self.setting.unit and self.kind in kind else ""
        high = f" to {self.high}" if self.high is not None else " on"
        span = f" from {self.low}{high}" if self.low is not None else ""
        return kind.get(self.kind, "a text") + unit + span


class SettingsModel(BaseModel):
    """A frozen model whose attributes are settings, and whose errors name what its user wrote.

    Raises:
        UsageError: an unknown setting, or a value that a setting cannot have.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def read(cls, values: Mapping[str, Any], written: Written = as_flag) -> Self:
        """Settings from texts or values by name.

        Args:
            values: those that were given.
            written: how, for messages.

        Raises:
            UsageError: see the class.
        """
        return cls.model_validate(dict(values), context=written)

    @classmethod
    def declared(cls, door: str | None = None) -> dict[str, Declared]:
        """All settings by name, in their order; of one front door, or all."""
        return {
            name: Declared(
                name,
                _plain_type(field.annotation),
                None if field.is_required() else field.default,
                setting,
                _bound(field.metadata, "ge"),
                _bound(field.metadata, "le"),
            )
            for name, field in cls.model_fields.items()
            for setting in field.metadata
            if isinstance(setting, Setting) and (door is None or door in setting.doors)
        }

    def result_key(self) -> dict[str, Any]:
        """Those that change a result, as plain values."""
        declared = self.declared()
        changing = {name for name, one in declared.items() if one.setting.changes_result}
        return self.model_dump(mode="json", include=changing)

    @model_validator(mode="wrap")
    @classmethod
    def _in_one_line(
        cls, values: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo
    ) -> Self:
        try:
            return handler(values)
        except ValidationError as error:
            raise cls._explained(error, info.context or as_keyword) from error

    @field_validator("*", mode="before")
    @classmethod
    def _prepared(cls, value: Any, info: ValidationInfo) -> Any:
        declared = cls.declared()[str(info.field_name)]
        if declared.kind in (int, float) and isinstance(value, bool):
            raise ValueError
        if isinstance(value, os.PathLike):
            return os.fspath(value)
        if isinstance(value, list) and declared.kind is str:  # of a YAML file
            return ",".join(map(str, value))
        if not declared.setting.choices or value is None:
            return value
        # What cannot be listed (bundles that are not there) is told by who loads it.
        names = declared.setting.listed(info.data.get("bundles"))
        if not names or str(value).lower() in names:
            return str(value).lower()
        close = difflib.get_close_matches(str(value).lower(), names, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise ValueError(f"one of {', '.join(names)}{hint}")

    @classmethod
    def _explained(cls, error: ValidationError, written: Written) -> UsageError:
        found = error.errors(include_url=False)[0]
        name, value = str(found["loc"][0]), found["input"]
        if found["type"] == "extra_forbidden":
            return unknown_setting(written(name, value), name, cls.declared())
        declared = cls.declared()[name]
        reason = str(found.get("ctx", {}).get("error") or "")
        expected = reason or declared.expected
        return UsageError(f"{written(name, value)}: cannot be used; expected {expected}")


def unknown_setting(shown: str, name: str, known: Mapping[str, Any]) -> UsageError:
    """The error for a setting that does not exist."""
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return UsageError(f"{shown}: unknown setting{hint}; expected one of {', '.join(known)}")


def _bound(notes: list[Any], name: str) -> float | None:
    return next((getattr(note, name) for note in notes if hasattr(note, name)), None)


def _plain_type(hint: Any) -> type:
    """T from T, from T | None, and from either with notes (Annotated)."""
    if get_origin(hint) is Annotated:
        return _plain_type(get_args(hint)[0])
    kinds = [kind for kind in get_args(hint) if kind is not type(None)]
    return _plain_type(kinds[0]) if kinds else hint


def _series(text: str) -> str:
    """A rule; the UID alone stands for ``uid=UID``."""
    rule = f"uid={text}" if _UID.fullmatch(text) else text
    if not _SERIES.fullmatch(rule):
        raise ValueError
    kind, _, pattern = rule.partition("=")
    if kind == "description":
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(
                f"a regular expression behind description= ({first_line(error)})"
            ) from error
    return rule


def _study(text: str) -> str:
    """A rule; the UID or the date alone stand for ``uid=UID`` and ``date=DATE``."""
    day = _DAY.fullmatch(text)
    rule = f"date={''.join(day.groups())}" if day else text
    rule = f"uid={text}" if _UID.fullmatch(text) else rule
    if not _STUDY.fullmatch(rule):
        raise ValueError
    return rule


def _device(text: str) -> str:
    if not _DEVICE.fullmatch(text.lower()):
        raise ValueError
    return text.lower()


def _objects(text: str) -> str:
    """Names of objects, each once, in their usual order."""
    names = [name for word in text.lower().split(",") if (name := word.strip())]
    if not names or not set(names) <= set(DICOM_OBJECTS):
        raise ValueError
    return ",".join(name for name in DICOM_OBJECTS if name in names)


Series = Annotated[str, AfterValidator(_series)]
Study = Annotated[str, AfterValidator(_study)]
Device = Annotated[str, AfterValidator(_device)]
DicomObjects = Annotated[str, AfterValidator(_objects)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, lt=2**64)]

_PRESETS = "mmccd.bundle:preset_names"
_RATES = "{}, {} or {}".format(*map(as_percent, RATES.values()))
_LEVELS = ("debug", "info", "warning", "error")


class Settings(SettingsModel):
    """What a user may choose for a prediction run; plain values, which travel to other processes.

    Raises:
        UsageError: an unknown setting, or a value that a setting cannot have.
    """

    bundles: Annotated[
        str | None,
        Setting(
            "folder with other bundles (default: HOLOSCAN_MODEL_PATH, else those installed)",
            is_path=True,
            doors=(FLAG,),
        ),
    ] = None
    preset: Annotated[
        str,
        Setting("how thorough the method is", _PRESETS, in_bundles=True, changes_result=True),
    ] = "balanced"
    target: Annotated[
        str | None,
        Setting(
            "contrast that FLAIR is translated to (default: t2 where its weights are there)",
            ("t2", "t1"),
            changes_result=True,
        ),
    ] = None
    device: Annotated[
        Device,
        Setting(
            "where the networks run; several GPUs share the slices of a volume; with several"
            " workers and cuda each takes its own GPU",
            offers=("auto", "cpu", "cuda", "mps"),
            expected="auto, cpu, cuda, cuda:N, cuda:0,cuda:1, cuda:all or mps",
        ),
    ] = "auto"
    threshold: Annotated[
        Finite | None,
        Setting(
            "what is above it is marked (default: the calibrated one)",
            expected="a finite number",
            changes_result=True,
        ),
    ] = None
    operating_point: Annotated[
        str,
        Setting(
            f"which calibrated threshold: at most {_RATES} of healthy brain may be marked",
            OPERATING_POINTS,
            changes_result=True,
            page="evaluation.md#operating-points",
        ),
    ] = BALANCED
    series: Annotated[
        Series,
        Setting(
            "which DICOM series is read; the expression may fit anywhere in the description,"
            " capitals or not; the rule must fit exactly one series",
            expected="auto, a UID, uid=UID, number=N or description=REGULAR EXPRESSION",
            changes_result=True,
        ),
    ] = "auto"
    study: Annotated[
        Study,
        Setting(
            "which study of a DICOM folder that holds several is read; studies are listed where"
            " the folder holds more than one",
            expected="auto, a UID, uid=UID, a date as 2024-03-05 or date=2024-03-05",
            changes_result=True,
            page="dicom.md",
            doors=(FLAG,),
        ),
    ] = "auto"
    seed: Annotated[
        Seed,
        Setting(
            "seed of the noise", expected="a whole number from 0 to 2^64 - 1", changes_result=True
        ),
    ] = 0
    extractor: Annotated[
        str,
        Setting(
            "what finds the brain in a head: a network of our own, or HD-BET where that is"
            " installed",
            "mmccd.brain:extractor_names",
            changes_result=True,
        ),
    ] = "mmccd"
    bias_correction: Annotated[
        bool,
        Setting(
            "even out the brightness of the brain with N4 before anything is computed",
            changes_result=True,
            page="brain.md",
        ),
    ] = False
    unchecked: Annotated[
        bool,
        Setting(
            "go on, with a warning in the report, where the checks refuse the input (another"
            " contrast, half a head)",
            changes_result=True,
            page="checks.md",
        ),
    ] = False
    outputs: Annotated[
        str,
        Setting(
            "what is written: DICOM objects (of DICOM input), images (NIfTI, PNG and HTML), or"
            " both; report.json always is",
            OUTPUTS,
            changes_result=True,
            page="dicom.md#what-is-written",
        ),
    ] = BOTH
    dicom_objects: Annotated[
        DicomObjects,
        Setting(
            "which DICOM objects are written, joined by commas",
            offers=(DEFAULT_OBJECTS, "segmentation,report", ",".join(DICOM_OBJECTS)),
            expected=f"some of {', '.join(DICOM_OBJECTS)}, joined by commas",
            changes_result=True,
            page="dicom.md#what-is-written",
        ),
    ] = DEFAULT_OBJECTS
    dicom_segments: Annotated[
        str,
        Setting(
            "whether all that is found is one segment of the DICOM segmentation, or each lesion of"
            " the report's list has its own",
            SEGMENTS,
            changes_result=True,
            page="dicom.md#what-is-written",
        ),
    ] = ONE_SEGMENT
    hide_input: Annotated[
        bool,
        Setting(
            "leave the input's file name, or the description of its series, out of page and"
            " reports: a file name may hold a patient's",
            changes_result=True,
            page="report.md#which-input-it-is",
        ),
    ] = False
    force: Annotated[bool, Setting("replace the results of an earlier run")] = False
    workers: Annotated[
        int,
        Field(ge=1),
        Setting("processes of this machine that share several inputs", doors=(FLAG,)),
    ] = 1
    scheduler: Annotated[
        str | None,
        Setting(
            "address or file of a running Dask scheduler whose workers share several inputs",
            is_path=True,
            doors=(FLAG,),
        ),
    ] = None
    threads: Annotated[
        int | None,
        Field(ge=1),
        Setting("threads of each worker (default: cores divided by workers)", doors=(FLAG,)),
    ] = None
    timeout_s: Annotated[
        float,
        Field(ge=0, le=1_000_000, allow_inf_nan=False),
        Setting(
            "the longest time for one study (for the first one the models' loading is in it);"
            " 0: no limit",
            unit="seconds",
            doors=(VARIABLE,),
        ),
    ] = 3600.0
    max_voxels: Annotated[
        int,
        Field(ge=0),
        Setting(
            "the largest volume (512 x 512 x 512; 0: any); checked in the header, before voxels"
            " are decoded",
            unit="voxels",
            doors=(VARIABLE,),
        ),
    ] = 512**3
    log_format: Annotated[
        str, Setting("how log lines are written", "mmccd.core:LOG_FORMATS", doors=(VARIABLE,))
    ] = "text"
    log_level: Annotated[
        str, Setting("the least important lines of the log", _LEVELS, doors=(VARIABLE,))
    ] = "info"

    @property
    def output_choice(self) -> OutputChoice:
        """What is written of a result."""
        return OutputChoice.of(self.outputs, self.dicom_objects, self.dicom_segments)

    @model_validator(mode="after")
    def _one_kind_of_workers(self, info: ValidationInfo) -> Self:
        if self.scheduler is not None and self.workers != 1:
            both = self._written(info, "workers", "scheduler")
            raise UsageError(
                f"{both} exclude each other; a scheduler has its own workers; give one"
            )
        return self

    @model_validator(mode="after")
    def _one_threshold(self, info: ValidationInfo) -> Self:
        if self.threshold is not None and self.operating_point != BALANCED:
            both = self._written(info, "threshold", "operating_point")
            raise UsageError(
                f"{both} exclude each other; an operating point has its own threshold; give one"
            )
        return self

    def _written(self, info: ValidationInfo, *names: str) -> str:
        """Settings as their user gave them, for messages."""
        written: Written = info.context or as_keyword
        return " and ".join(written(name, getattr(self, name)) for name in names)
