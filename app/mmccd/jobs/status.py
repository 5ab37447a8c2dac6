"""``status.json``: what a run is doing, and how it ended; always whole, because it is replaced in
one step.
"""

from __future__ import annotations

import importlib.metadata
import platform
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mmccd
from mmccd.core import write_json
from mmccd.jobs.account import Account, now
from mmccd.jobs.outcome import Outcome
from mmccd.jobs.states import in_files
from mmccd.jobs.task import Task

STATUS = "status.json"
STATUS_VERSION = 1
HEARTBEAT_S = 15.0
"""The file is written at least so often, so that who watches it sees that the run lives."""
_WAY_OUT = "expected a writable folder; free some space, or check what is mounted there"
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


class StatusFile:
    """Keeps the status file of a run up to date: at each change, and where it is old.

    Args:
        folder: the output folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._written = folder, 0.0

    def __call__(self, account: Account, change: Outcome | None) -> None:
        """A task stands otherwise, or (None) time has passed."""
        if change is not None or time.monotonic() - self._written > HEARTBEAT_S:
            self.write(account)

    def write(self, account: Account) -> None:
        """Replace the file in one step.

        Raises:
            OutputError: it cannot be written.
        """
        replace_status(self._folder, status_content(account, self._folder))
        self._written = time.monotonic()


def status_content(account: Account, folder: Path) -> dict[str, Any]:
    """Content of the status file of a run, but for version, notice and time.

    Args:
        account: of the run.
        folder: the output folder.
    """
    return {
        "state": str(account.state),
        "exit_code": account.exit_code,
        "message": account.message,
        "started": account.started,
        "settings": dict(account.settings),
        "versions": versions(),
        "studies": [_study(task, account.outcomes[task.number], folder) for task in account.tasks],
    }


def replace_status(folder: Path, content: Mapping[str, Any]) -> None:
    """Replace the status file in one step, with version, notice and time; who reads it sees the old
    one or the new one.

    Raises:
        OutputError: it cannot be written.
    """
    whole = {"status_version": STATUS_VERSION, "notice": mmccd.NOTICE, "updated": now(), **content}
    write_json(folder / STATUS, whole, _WAY_OUT)


def versions() -> dict[str, str]:
    """Versions of what decides the numbers, without loading any of it."""
    found = {"mmccd": mmccd.__version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _study(task: Task, one: Outcome, folder: Path) -> dict[str, Any]:
    return {
        "name": one.name,
        "kind": task.input.kind,
        "output": task.output.relative_to(folder).as_posix(),
        "state": in_files(one.state),
        "stage": one.stage,
        "exit_code": one.exit_code,
        "code": one.code,
        "message": one.error,
        "timings_s": dict(one.stage_seconds),
        "result": one.summary,
        "warnings": list(one.warnings),
        "memory_mib": one.memory_mib,
    }
