"""``OUT/status.json``: what the run is doing, and how it ended; always whole, because it is
replaced in one step.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mmccd
from mmccd.core import OutputError, worst_exit_code

NAME = "status.json"
STATUS_VERSION = 1
WAITING, RUNNING, DONE, FAILED, CANCELLED = "waiting", "running", "done", "failed", "cancelled"
_PACKAGES = (
    "torch",
    "monai",
    "numpy",
    "pydicom",
    "highdicom",
    "nibabel",
    "monai-deploy-app-sdk",
    "holoscan-cu13",
)


@dataclass
class StudyStatus:
    """One study in the status file.

    Attributes:
        name: see :class:`~mmccd.apps.map.studies.Study`.
        kind: DICOM or NIfTI.
        output: folder of its results, relative to the output folder (``.`` for one study alone).
        state: waiting, running, done, failed or cancelled.
        stage: the stage it is in, or in which it ended.
        exit_code: None until it has ended.
        message: why it failed; one line.
        timings_s: seconds of each stage.
        result: see :func:`mmccd.apps.map.stages.summary`; None unless it is done.
        warnings: what the report warns of.
        memory_mib: memory of the working process after it, in MiB; None where it did not end by
            itself.
    """

    name: str
    kind: str
    output: str
    state: str = WAITING
    stage: str | None = None
    exit_code: int | None = None
    message: str | None = None
    timings_s: dict[str, float] = field(default_factory=dict)
    result: dict[str, Any] | None = None
    warnings: list[str] = field(default_factory=list)
    memory_mib: float | None = None


@dataclass
class RunStatus:
    """The whole run.

    Attributes:
        settings: see :class:`~mmccd.core.settings.Settings`.
        studies: in the order of work.
        state: running, done (exit code 0), failed or cancelled.
        exit_code: None while it is running.
        message: an error that ended the whole run.
        started: time, UTC.
    """

    settings: Mapping[str, Any]
    studies: list[StudyStatus] = field(default_factory=list)
    state: str = RUNNING
    exit_code: int | None = None
    message: str | None = None
    started: str = field(default_factory=lambda: now())

    def end(self, exit_code: int | None = None, message: str | None = None) -> int:
        """Note that the run has ended.

        Args:
            exit_code: where the whole run failed; None: the worst of the studies counts
                (:func:`~mmccd.core.errors.worst_exit_code`).
            message: why it failed.

        Returns:
            The exit code.
        """
        codes = [study.exit_code for study in self.studies if study.exit_code is not None]
        self.exit_code = worst_exit_code(codes) if exit_code is None else exit_code
        self.message = message
        self.state = {0: DONE, 143: CANCELLED, 130: CANCELLED}.get(self.exit_code, FAILED)
        for study in self.studies:
            if study.state in (WAITING, RUNNING):
                study.state = CANCELLED
        return self.exit_code

    def write(self, folder: Path) -> None:
        """Replace the file in one step.

        Raises:
            OutputError: it cannot be written.
        """
        content = {
            "state": self.state,
            "exit_code": self.exit_code,
            "message": self.message,
            "started": self.started,
            "settings": dict(self.settings),
            "versions": versions(),
            "studies": [asdict(study) for study in self.studies],
        }
        replace_status(folder, content)


def replace_status(folder: Path, content: Mapping[str, Any]) -> None:
    """Replace the status file in one step, with version, notice and time; who reads it sees the old
    one or the new one.

    Raises:
        OutputError: it cannot be written.
    """
    whole = {"status_version": STATUS_VERSION, "notice": mmccd.NOTICE, "updated": now(), **content}
    staged = folder / f".{NAME}.tmp"
    try:
        staged.write_text(json.dumps(whole, indent=2) + "\n")
        staged.replace(folder / NAME)
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be written ({error.strerror or error}); expected a writable folder;"
            " free some space, or check what is mounted there"
        ) from error


def now() -> str:
    """The time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def versions() -> dict[str, str]:
    """Versions of what decides the numbers, without loading any of it."""
    found = {"mmccd": mmccd.__version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
