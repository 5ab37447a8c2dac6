"""The engine: tasks, a runner that works on them, an account of how they stand."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from pathlib import Path

from mmccd.core import OutputError, make_folder
from mmccd.jobs.account import Account
from mmccd.jobs.outcome import Outcome
from mmccd.jobs.task import Task

Changes = Generator[Outcome | None, None, None]
Runner = Callable[[Sequence[Task]], Changes]
"""Works on tasks, and yields how one stands whenever that changes, in any order; None where nothing
has changed for a while. When it is closed it ends what it had begun, and nothing half-written is
left.
"""
Observer = Callable[[Account, Outcome | None], None]
"""Told of each change, once the account has it; of None, too."""


def run_tasks(account: Account, run: Runner, observe: Observer) -> None:
    """Work on all tasks of an account. A task that fails does not stop the others.

    Args:
        account: kept up to date.
        run: see :mod:`mmccd.jobs.runners`.
        observe: writes files, logs, shows progress.

    Raises:
        MmccdError: what ends the whole run.
    """
    with closing(run(account.tasks)) as changes:
        for change in changes:
            if change is not None:
                account.note(change)
            observe(account, change)


def make_output_folder(folder: Path) -> None:
    """Make the folder of a run if it is not there.

    Raises:
        OutputError: it cannot be made or written to.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: is a file; expected a folder; choose another output")
    make_folder(folder)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(
            f"{folder}: is not writable by user {os.getuid()}; expected a folder that this user may"
            " write to; change its owner or choose another output"
        )
