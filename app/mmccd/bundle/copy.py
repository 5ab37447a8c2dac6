"""A copy of the bundles to train and export into."""

from __future__ import annotations

import shutil
from pathlib import Path

from mmccd.core import OutputError, make_folder

_LEFT_OUT = ("runs", "__pycache__", ".*", "*.py")


def copy_bundles(root: Path, folder: Path) -> list[str]:
    """Copy all bundles, weights included, without the runs of trainings.

    Args:
        root: folder of the bundles (:func:`~mmccd.bundle.find_bundles`).
        folder: gets a folder for each; made where it is not there, else it must be empty.

    Returns:
        Names of the bundles.

    Raises:
        OutputError: something is there already, or it cannot be written; what was begun is
            removed.
    """
    if folder.is_symlink() or folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(
            f"{folder}: is there already; expected a new or empty folder; choose another one",
            code="output.exists",
        )
    names = sorted(path.name for path in root.iterdir() if (path / "configs").is_dir())
    staged = folder.with_name(f".{folder.name}.tmp")
    make_folder(folder.parent, "choose another folder")
    try:
        shutil.rmtree(staged, ignore_errors=True)
        for name in names:
            shutil.copytree(root / name, staged / name, ignore=shutil.ignore_patterns(*_LEFT_OUT))
        staged.replace(folder)
    except (OSError, shutil.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise OutputError(
            f"{folder}: cannot be written ({reason or 'some files could not be copied'}); choose"
            " another folder or free some space",
            code="output.not_writable",
        ) from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return names
