"""A cohort: each input goes into a folder of its own, what is complete is skipped, and
``cohort.json``, ``cohort.csv`` and ``index.html`` say how each case ended.
"""

from __future__ import annotations

import csv
import io
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mmccd
from mmccd.core import STATUSES, CancelledError, Console, Settings, write_json, write_text
from mmccd.jobs.account import Account
from mmccd.jobs.index import write_cohort_index
from mmccd.jobs.inputs import Input
from mmccd.jobs.outcome import Outcome, status_of
from mmccd.jobs.run import Runner, make_output_folder, run_tasks
from mmccd.jobs.states import INTERRUPTED, State
from mmccd.jobs.task import Task, shown_in_a_list

NAME = "cohort.json"
TABLE = "cohort.csv"
COHORT_VERSION = 1
WRITE_EVERY_S = 10.0


def run_cohort(
    inputs: Sequence[Input], output: Path, settings: Settings, run: Runner, console: Console
) -> Account:
    """Run all cases, each into ``output/NAME``, and write ``cohort.json``, ``cohort.csv`` and
    ``index.html``.

    A case whose folder holds complete results of the same request is skipped. A case that fails
    does not stop the others.

    Args:
        inputs: with names of their own, see :func:`~mmccd.jobs.find.find_inputs`.
        output: folder for all of them; made if it is not there.
        settings: of the prediction.
        run: see :mod:`mmccd.jobs.runners`.
        console: told of each case.

    Returns:
        How the cases ended.

    Raises:
        OutputError: the folder or the account cannot be written.
        CancelledError, KeyboardInterrupt: the run was ended; what was complete stays and stands in
            the account.
        ModelError, UsageError: the models cannot be loaded, or not everywhere; no case was run.
    """
    make_output_folder(output)
    account = Account(
        [
            Task(
                number,
                one.absolute(),
                (output / one.name).absolute(),
                shown_in_a_list(number, one),
                settings,
                resume=True,
            )
            for number, one in enumerate(inputs, 1)
        ]
    )
    with _said_how_far(account, output):
        run_tasks(account, run, _Watch(output, console, len(account.tasks)))
    account.end()
    write_cohort(account, output)
    write_cohort_index(account, output)
    return account


def cohort_content(account: Account) -> dict[str, Any]:
    """Content of ``cohort.json``."""
    counts = _counts(account)
    return {
        "cohort_version": COHORT_VERSION,
        "notice": mmccd.NOTICE,
        "mmccd": mmccd.__version__,
        "status": str(account.state),
        "exit_code": account.exit_code if account.state is not State.CANCELLED else None,
        "counts": {status: counts[status] for status in STATUSES},
        "cases": [row_of(one) for one in account.outcomes.values()],
    }


def write_cohort(account: Account, folder: Path) -> None:
    """Write ``cohort.json`` and ``cohort.csv``, each in one step.

    Raises:
        OutputError: they cannot be written.
    """
    content = cohort_content(account)
    table = io.StringIO()
    writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(content["cases"])
    write_json(folder / NAME, content)
    write_text(folder / TABLE, table.getvalue())


def summary(account: Account) -> str:
    """One line: ``12 cases: 9 done, 2 skipped, 1 failed``."""
    total, counts = len(account.outcomes), _counts(account)
    parts = ", ".join(f"{counts[status]} {status}" for status in STATUSES if counts[status])
    return f"{total} {'case' if total == 1 else 'cases'}: {parts}"


QUALITY: dict[str, str] = {
    "flair_probability": "how sure the check of the contrast is that it is a FLAIR, 0 to 1",
    "ood_score": "out-of-distribution score of the image: about 1 for what is usual",
    "unevenness": "how much the brightness varies over the brain, relative to its spread",
    "jump": "how much slices differ in brightness, relative to its spread",
    "detail": "how sharp the image is",
    "correlation": "how well the reconstructed image follows the input in healthy tissue, 0 to 1",
}
COLUMNS: dict[str, str] = {
    "number": "place in the list",
    "name": "of its folder; of DICOM its place in the list",
    "status": "done; skipped: an earlier run had made the same; failed; unfinished",
    "exit_code": "its own; 3 and 4: the input was refused",
    "error": "what went wrong",
    "volume_ml": "volume above the threshold, mL",
    "seconds": "how long it took",
    "warnings": "how many its report has",
    "code": "stable code of the error",
    "lesions": "connected regions above the threshold",
    "largest_ml": "volume of the largest of them, mL",
    **QUALITY,
}
"""Columns of the tables, and what each means."""


class _Watch:
    """Tells the console of each case that is over, and writes the account now and then."""

    def __init__(self, output: Path, console: Console, total: int) -> None:
        self._output, self._console, self._total = output, console, total
        self._done, self._written = 0, time.monotonic()
        console.stage("cases")
        console.progress(0, total)

    def __call__(self, account: Account, change: Outcome | None) -> None:
        if change is not None and change.state.is_over:
            self._done += 1
            self._console.note(
                f"{self._done} of {self._total}: {change.line()}",
                kind="case",
                case=change.name,
                status=status_of(change),
                done=self._done,
                total=self._total,
            )
            self._console.progress(self._done, self._total)
        if time.monotonic() - self._written > WRITE_EVERY_S:
            write_cohort(account, self._output)
            self._written = time.monotonic()


@contextmanager
def _said_how_far(account: Account, output: Path) -> Iterator[None]:
    """Note and say of a run that is ended from outside how far it came."""
    try:
        yield
    except (CancelledError, KeyboardInterrupt) as error:
        complete = sum(one.exit_code == 0 for one in account.outcomes.values())
        far = (
            f"{complete} of {len(account.outcomes)} cases are complete; the same command goes on"
            " with the others"
        )
        by_signal = isinstance(error, CancelledError)
        account.end(CancelledError.exit_code if by_signal else INTERRUPTED)
        write_cohort(account, output)
        write_cohort_index(account, output)
        if by_signal:
            raise CancelledError(f"ended by SIGTERM; {far}") from error
        raise KeyboardInterrupt(f"interrupted; {far}") from error


def row_of(one: Outcome) -> dict[str, Any]:
    """A case as a row of the tables, by :data:`COLUMNS`; None where something is not known."""
    summary = one.summary or {}
    return {
        "number": one.number,
        "name": one.name,
        "status": status_of(one),
        "exit_code": one.exit_code,
        "error": one.error,
        "volume_ml": one.volume_ml,
        "seconds": one.seconds,
        "warnings": len(one.warnings) if one.summary is not None else None,
        "code": one.code,
        "lesions": summary.get("lesion_count"),
        "largest_ml": summary.get("largest_ml"),
        **{name: summary.get("quality", {}).get(name) for name in QUALITY},
    }


def _counts(account: Account) -> Counter[str]:
    return Counter(status_of(one) for one in account.outcomes.values())
