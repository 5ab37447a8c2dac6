"""All cases of a cohort, in one process or by workers; the account is written as they end."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mmccd.core import CancelledError, Console, OutputError, make_folder
from mmccd.jobs.account import FAILED, Account, Outcome
from mmccd.jobs.inputs import Source
from mmccd.jobs.task import Task, run_task

if TYPE_CHECKING:
    from mmccd.pipeline import AnomalyPipeline

logger = logging.getLogger(__name__)

WRITE_EVERY_S = 10.0
Outcomes = Generator[Outcome, None, None]
Run = Callable[[Sequence[Task]], Outcomes]
"""Runs tasks and yields their outcomes as they end, in any order."""


def run_cohort(
    sources: Sequence[Source], output: Path, run: Run, console: Console, force: bool = False
) -> Account:
    """Run all cases, each into ``output/NAME``, and write ``cohort.json`` and ``cohort.csv``.

    A case whose folder holds complete results of the same request is skipped. A case that fails
    does not stop the others.

    Args:
        sources: with names of their own, see :func:`~mmccd.jobs.inputs.find_sources`.
        output: folder for all of them; made if it is not there.
        run: :func:`in_this_process`, or :func:`~mmccd.jobs.workers.by_workers`.
        console: told of each case.
        force: replace the results of an earlier run.

    Returns:
        How the cases ended.

    Raises:
        OutputError: the folder or the account cannot be written.
        CancelledError, KeyboardInterrupt: the run was ended; what was complete stays and stands in
            the account.
        ModelError, UsageError: the models cannot be loaded, or not everywhere; no case was run.
    """
    _check_output(output)
    tasks = [
        Task(number, _absolute(source), (output / source.name).absolute(), force)
        for number, source in enumerate(sources, 1)
    ]
    outcomes = {task.number: Outcome(task.number, task.shown) for task in tasks}
    written = time.monotonic()
    console.stage("cases")
    console.progress(0, len(tasks))
    try:
        with _ended(outcomes), closing(run(tasks)) as ending:
            for done, outcome in enumerate(ending, 1):
                outcomes[outcome.number] = outcome
                text = f"{done} of {len(tasks)}: {outcome.line()}"
                console.note(
                    text,
                    kind="case",
                    done=done,
                    total=len(tasks),
                    case=outcome.name,
                    status=outcome.status,
                )
                console.progress(done, len(tasks))
                if time.monotonic() - written > WRITE_EVERY_S:
                    Account(list(outcomes.values())).write(output)
                    written = time.monotonic()
    except (CancelledError, KeyboardInterrupt):
        Account(list(outcomes.values()), cancelled=True).write(output)
        raise
    account = Account(list(outcomes.values()))
    account.write(output)
    return account


def in_this_process(make_pipeline: Callable[[], AnomalyPipeline]) -> Run:
    """One case after the other; the models are loaded once, before the first."""

    def run(tasks: Sequence[Task]) -> Outcomes:
        pipeline = make_pipeline()
        for task in tasks:
            yield run_task(task, pipeline)

    return run


def failures(account: Account) -> list[Outcome]:
    """The cases that failed."""
    return [outcome for outcome in account.outcomes if outcome.status == FAILED]


def _absolute(source: Source) -> Source:
    return replace(
        source, path=source.path.absolute(), brain=source.brain.absolute() if source.brain else None
    )


def _check_output(output: Path) -> None:
    if output.exists() and not output.is_dir():
        raise OutputError(f"{output}: is a file; expected a folder; choose another --output")
    make_folder(output)
    if not os.access(output, os.W_OK):
        raise OutputError(
            f"{output}: is not writable; expected a folder that this user may write to; choose"
            " another --output"
        )


@contextmanager
def _ended(outcomes: dict[int, Outcome]) -> Iterator[None]:
    """Say of a run that is ended from outside how far it came."""

    def far() -> str:
        complete = sum(outcome.exit_code == 0 for outcome in outcomes.values())
        return (
            f"{complete} of {len(outcomes)} cases are complete; the same command goes on with the"
            " others"
        )

    try:
        yield
    except CancelledError as error:
        raise CancelledError(f"ended by SIGTERM; {far()}") from error
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(f"interrupted; {far()}") from error
