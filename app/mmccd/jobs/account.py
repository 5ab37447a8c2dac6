"""The account of a cohort: how each case ended, as JSON and as a table. Nothing of the patient
stands in it.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import mmccd
from mmccd import NOTICE
from mmccd.core import OutputError, worst_exit_code

NAME = "cohort.json"
TABLE = "cohort.csv"
COHORT_VERSION = 1
DONE, SKIPPED, FAILED, UNFINISHED = "done", "skipped", "failed", "unfinished"


@dataclass(frozen=True)
class Outcome:
    """How a case ended.

    Attributes:
        number: its place in the list, from 1 on.
        name: of its folder; of a DICOM study its place in the list, because archives name folders
            after patients.
        status: ``done``; ``skipped`` where an earlier run had made the same; ``failed``;
            ``unfinished`` where the run was ended before.
        exit_code: its own, see :mod:`mmccd.core.errors`; None where it is unfinished.
        error: one line, or None.
        volume_ml: above the threshold.
        seconds: how long it took.
        warnings: how many its report has.
    """

    number: int
    name: str
    status: str = UNFINISHED
    exit_code: int | None = None
    error: str | None = None
    volume_ml: float | None = None
    seconds: float | None = None
    warnings: int | None = None

    def line(self) -> str:
        """For people."""
        if self.status == FAILED:
            return f"{self.name}: {self.error} (exit code {self.exit_code})"
        volume = (
            f", {self.volume_ml:.1f} mL above the threshold" if self.volume_ml is not None else ""
        )
        seconds = (
            f", {self.seconds:.0f} s" if self.status == DONE and self.seconds is not None else ""
        )
        return (
            f"{self.name}:"
            f" {'already complete' if self.status == SKIPPED else self.status}{volume}{seconds}"
        )


@dataclass(frozen=True)
class Account:
    """All cases of a run, in the order of the list.

    Attributes:
        outcomes: how they ended.
        cancelled: whether the run was ended from outside.
    """

    outcomes: Sequence[Outcome]
    cancelled: bool = False

    @property
    def exit_code(self) -> int:
        """The worst of the cases'."""
        return worst_exit_code(
            [outcome.exit_code for outcome in self.outcomes if outcome.exit_code is not None]
        )

    @property
    def counts(self) -> dict[str, int]:
        """Number of cases of each status."""
        found = Counter(outcome.status for outcome in self.outcomes)
        return {status: found[status] for status in (DONE, SKIPPED, FAILED, UNFINISHED)}

    def summary(self) -> str:
        """One line: ``12 cases: 9 done, 2 skipped, 1 failed``."""
        total = len(self.outcomes)
        parts = ", ".join(f"{count} {status}" for status, count in self.counts.items() if count)
        return f"{total} {'case' if total == 1 else 'cases'}: {parts}"

    def as_dict(self) -> dict[str, Any]:
        """Content of ``cohort.json``."""
        complete = not self.counts[UNFINISHED]
        return {
            "cohort_version": COHORT_VERSION,
            "notice": NOTICE,
            "mmccd": mmccd.__version__,
            "status": (
                "cancelled"
                if self.cancelled
                else "running"
                if not complete
                else "failed"
                if self.exit_code
                else "done"
            ),
            "exit_code": self.exit_code if complete and not self.cancelled else None,
            "counts": self.counts,
            "cases": [asdict(outcome) for outcome in self.outcomes],
        }

    def write(self, folder: Path) -> None:
        """Write ``cohort.json`` and ``cohort.csv``, each in one step.

        Raises:
            OutputError: they cannot be written.
        """
        table = io.StringIO()
        writer = csv.DictWriter(
            table, [field.name for field in fields(Outcome)], lineterminator="\n"
        )
        writer.writeheader()
        writer.writerows(asdict(outcome) for outcome in self.outcomes)
        for name, text in (
            (NAME, json.dumps(self.as_dict(), indent=2, allow_nan=False) + "\n"),
            (TABLE, table.getvalue()),
        ):
            staged = folder / f".{name}.tmp"
            try:
                staged.write_text(text, encoding="utf-8")
                staged.replace(folder / name)
            except OSError as error:
                raise OutputError(
                    f"{folder / name}: cannot be written ({error.strerror or error}); choose"
                    " another --output or free some space"
                ) from error
