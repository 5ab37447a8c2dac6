"""The output folder: staged inside itself, moved file by file, ``report.json`` last."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from mmccd.core import OutputError, writing

MARKER = "report.json"
DICOM = "dicom"
CAPTURES = 5
NAMES = (
    "anomaly_map.nii.gz",
    "percentile_map.nii.gz",
    "segmentation.nii.gz",
    "brain_mask.nii.gz",
    "overview.png",
    "thumbnail.jpg",
    "report.html",
    f"{DICOM}/segmentation.dcm",
    *(f"{DICOM}/secondary_capture_{number}.dcm" for number in range(1, CAPTURES + 1)),
    f"{DICOM}/report.dcm",
    f"{DICOM}/report_pdf.dcm",
    MARKER,
)
"""Files of ours; others in the folder, and in its folder ``dicom``, are left alone."""
STAGING = ".mmccd_staging"


@contextlib.contextmanager
def staged_output(folder: str | Path, force: bool = False) -> Iterator[Path]:
    """A staging folder whose files become the output when the block ends without an error.

    The folder is made if it is not there. A run that fails leaves it as it was; a folder that this
    run made is removed again.

    Args:
        folder: the output folder.
        force: replace files of an earlier run (they stay until the new ones are complete).

    Yields:
        Folder to write into; it has to hold ``report.json`` in the end.

    Raises:
        OutputError: the folder cannot be made or written, is full, or holds an earlier run's files
            and ``force`` is False.
    """
    folder = Path(folder)
    check_output(folder, force)
    made: list[Path] = []
    staging = folder / STAGING
    try:
        _make_folder(folder, made)
        with writing(folder):
            shutil.rmtree(staging, ignore_errors=True)
            staging.mkdir()
        yield staging
        with writing(folder):
            _publish(staging, folder)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        for path in made:
            with contextlib.suppress(OSError):
                path.rmdir()
        raise


def check_output(folder: Path, force: bool) -> None:
    """Refuse a folder that holds an earlier run, or something that is no folder, before any work is
    done.
    """
    with writing(folder):
        if folder.exists() and not folder.is_dir():
            raise OutputError(
                f"{folder}: is a file; expected a folder; choose another --output",
                code="output.in_the_way",
            )
        there = [name for name in NAMES if (folder / name).exists()] if folder.is_dir() else []
        folders = [name for name in there if (folder / name).is_dir()]
        in_the_way = (folder / DICOM).exists() and not (folder / DICOM).is_dir()
    if in_the_way:
        raise OutputError(
            f"{folder}: holds a file {DICOM} where a folder of ours belongs; remove it or choose"
            " another --output",
            code="output.in_the_way",
        )
    if folders:
        raise OutputError(
            f"{folder}: holds a folder {folders[0]} where a file of ours belongs; remove it or"
            " choose another --output",
            code="output.in_the_way",
        )
    if there and not force:
        raise OutputError(
            f"{folder}: already holds {', '.join(there)}; choose another --output, or replace them"
            " with --force",
            code="output.exists",
        )


def _make_folder(folder: Path, made: list[Path]) -> None:
    """Make the folder and those above it; each that was made is put at the front of ``made``."""
    with writing(folder):
        for path in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
            path.mkdir(exist_ok=True)
            made.insert(0, path)
    if not os.access(folder, os.W_OK):
        raise OutputError(
            f"{folder}: is not writable; expected a folder that this user may write to; choose"
            " another --output",
            code="output.not_writable",
        )


def _publish(staging: Path, folder: Path) -> None:
    # Not rglob, which passes over folders that it cannot list.
    staged = sorted(
        str(path.relative_to(staging))
        for entry in staging.iterdir()
        for path in (entry.iterdir() if entry.is_dir() else [entry])
    )
    if MARKER not in staged:
        raise RuntimeError(f"a run without {MARKER} is not complete")
    (folder / MARKER).unlink(missing_ok=True)
    try:
        for name in [name for name in staged if name != MARKER] + [MARKER]:
            (folder / name).parent.mkdir(exist_ok=True)
            (staging / name).replace(folder / name)
    except OSError:
        # Files of two runs side by side, without the report that makes them a result.
        remove_results(folder)
        raise
    remove_results(folder, set(NAMES) - set(staged))
    shutil.rmtree(staging)


def remove_unfinished(folder: Path) -> None:
    """Remove what a run that was killed left: its staging folder, files without the report that
    makes them a result, the folder where it is empty then.
    """
    if not folder.is_dir():
        return
    shutil.rmtree(folder / STAGING, ignore_errors=True)
    if not (folder / MARKER).exists():
        remove_results(folder)
    if not any(folder.iterdir()):
        folder.rmdir()


def remove_results(folder: Path, names: Iterable[str] = NAMES) -> None:
    """Remove files of ours, and the folder ``dicom`` where nothing is left in it."""
    for name in names:
        (folder / name).unlink(missing_ok=True)
    if (folder / DICOM).is_dir() and not any((folder / DICOM).iterdir()):
        (folder / DICOM).rmdir()
