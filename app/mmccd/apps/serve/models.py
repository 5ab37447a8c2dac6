"""What the API answers with, as types: the OpenAPI document is made of them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import BaseModel, Field

from mmccd.apps.serve.store import Job, Store
from mmccd.jobs import Stage, State


class Problem(BaseModel):
    """Why something was refused or failed."""

    code: Annotated[str, Field(description="stable; docs/checks.md lists them")]
    exit_code: Annotated[int, Field(description="the class of the error, as of `mmccd predict`")]
    message: Annotated[str, Field(description="one line: what was found, and the way out")]


class Refused(BaseModel):
    """Body of every answer from 400 on."""

    error: Problem


class Choice(BaseModel):
    """A series of an upload that can be chosen."""

    id: Annotated[str, Field(description="of the choice, for `again`")]
    patient: Annotated[
        int | None, Field(description="a number, where the upload holds several patients")
    ]
    study: Annotated[int, Field(description="a number, the newest first")]
    date: Annotated[str, Field(description="of the study, YYYY-MM-DD, or empty")]
    study_description: str
    number: Annotated[int | None, Field(description="of the series")]
    description: Annotated[str, Field(description="without words of the patient's name")]
    images: int
    plane: Annotated[str, Field(description="axial, coronal, sagittal, or empty")]
    doubt: Annotated[
        str, Field(description="why it is not taken without being chosen; empty where it is")
    ]


class Scan(BaseModel):
    """A scan, and how it stands."""

    id: Annotated[str, Field(description="random, 32 hexadecimal digits")]
    name: Annotated[str, Field(description="what its user calls it")]
    state: State
    stage: Stage | None
    share: Annotated[float | None, Field(description="of the stage that is done, 0 to 1")]
    place: Annotated[int | None, Field(description="in the queue, from 1 on")]
    seconds_left: Annotated[float | None, Field(description="about, of the one at work")]
    size: Annotated[int, Field(description="of the upload, in bytes")]
    files: Annotated[int, Field(description="number of files in the upload")]
    unchecked: Annotated[bool, Field(description="whether the checks may not refuse it")]
    created: Annotated[str, Field(description="time, UTC")]
    deleted: Annotated[str | None, Field(description="when it will be deleted, UTC")]
    seconds: Annotated[float | None, Field(description="how long it took")]
    error: Problem | None
    summary: Annotated[dict[str, Any] | None, Field(description="of the report")]
    warnings: list[str]
    choices: Annotated[
        list[Choice],
        Field(description="series of the upload, where it was not clear which one is meant"),
    ]
    series: Annotated[str, Field(description="id of the one that was chosen, or empty")]

    @classmethod
    def of(cls, job: Job, store: Store, keep_h: float) -> Scan:
        """As the store has it."""
        waiting = [one.id for one in store.jobs() if one.state is State.WAITING]
        left = store.seconds_left(job)
        over = datetime.fromisoformat(job.ended) if job.ended else None
        return cls(
            id=job.id,
            name=job.name,
            state=job.state,
            stage=job.stage,
            share=job.share,
            place=waiting.index(job.id) + 1 if job.id in waiting else None,
            seconds_left=round(left, 1) if left is not None else None,
            size=job.size,
            files=job.files,
            unchecked=job.unchecked,
            created=job.created,
            deleted=(over + timedelta(hours=keep_h)).isoformat() if over else None,
            seconds=job.seconds,
            error=Problem(**job.error) if job.error else None,
            summary=dict(job.summary) if job.summary is not None else None,
            warnings=list(job.warnings),
            choices=[Choice.model_validate(dict(one)) for one in job.choices],
            series=job.series,
        )


class Scans(BaseModel):
    """All of them, oldest first."""

    revision: Annotated[int, Field(description="another number where anything has changed")]
    scans: list[Scan]


class Limits(BaseModel):
    """What the server keeps to."""

    max_bytes: Annotated[int, Field(description="of an upload")]
    max_files: Annotated[int, Field(description="of an upload")]
    max_queue: Annotated[int, Field(description="scans that may wait")]
    keep_h: Annotated[float, Field(description="hours after which a scan is deleted")]
    timeout_s: Annotated[float, Field(description="for one scan; 0: no limit")]


class About(BaseModel):
    """The server."""

    notice: str
    version: str
    preset: str
    limits: Limits


class StoredFile(BaseModel):
    """A file of a scan that is done."""

    name: str
    size: Annotated[int, Field(description="in bytes")]


class Session(BaseModel):
    """What a browser shows once, and gets a cookie for."""

    token: Annotated[str, Field(max_length=200)]
