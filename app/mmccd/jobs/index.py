"""The index of a cohort: how its cases ended, on one page."""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import quote

from mmccd.jobs.account import Account
from mmccd.jobs.outcome import Outcome, status_of
from mmccd.jobs.task import Task
from mmccd.outputs import INDEX_FILES, IndexCase, place_file, write_index

PAGE, PICTURE = "report.html", "thumbnail.jpg"


def write_cohort_index(account: Account, folder: Path) -> None:
    """Write ``index.html`` with all cases.

    Of cases whose folders may be named after patients the page shows no path: their reports and
    pictures, which hold no name, stand once more in ``index_files``, by their numbers (links, where
    the file system can).

    Args:
        account: of the run.
        folder: of the cohort; those of the cases lie in it.

    Raises:
        OutputError: it cannot be written.
    """
    shutil.rmtree(folder / INDEX_FILES, ignore_errors=True)
    write_index(
        [_case(task, account.outcomes[task.number], folder) for task in account.tasks], folder
    )


def _case(task: Task, outcome: Outcome, folder: Path) -> IndexCase:
    hidden = bool(task.hidden_paths)
    done = outcome.summary is not None
    page, picture = (
        _link(task, name, folder, hidden) if done else None for name in (PAGE, PICTURE)
    )
    return case_of(outcome, page, picture, hidden)


def _link(task: Task, name: str, folder: Path, hidden: bool) -> str | None:
    """To a file of a case, from the folder of the cohort."""
    file = task.output / name
    if not file.is_file():
        return None
    if not hidden:
        return quote(file.relative_to(folder.absolute()).as_posix())
    place = Path(INDEX_FILES, f"{task.number}_{name}")
    place_file(file, folder / place)
    return place.as_posix()


def case_of(
    outcome: Outcome, report: str | None, thumbnail: str | None, hidden: bool = False
) -> IndexCase:
    """A row of the index.

    Args:
        outcome: how the case ended.
        report: link to its page.
        thumbnail: link to its picture.
        hidden: whether its name says nothing: then nobody knows whose it is, and the texts of its
            warnings, which may quote a header, are left out.
    """
    from mmccd.data import patient_of, visit_of

    summary = outcome.summary or {}
    return IndexCase(
        outcome.name,
        status_of(outcome),
        report,
        thumbnail,
        outcome.volume_ml,
        summary.get("lesion_count"),
        summary.get("largest_ml"),
        len(outcome.warnings) if outcome.summary is not None else None,
        () if hidden else outcome.warnings,
        summary.get("quality", {}),
        outcome.error,
        outcome.code,
        None if hidden else patient_of(outcome.name),
        "" if hidden else visit_of(outcome.name),
    )
