"""A copy of the bundles to work in: what is installed, or named, stays as it is."""

from __future__ import annotations

import shutil
from pathlib import Path

from mmccd.bundle.find import find_bundles
from mmccd.core import OutputError, make_folder

_OWN = shutil.ignore_patterns("runs", "__pycache__", "*.py", "*.pyc")
"""What belongs to a place and not to a bundle."""


def copy_bundles(folder: str | Path, bundles: str | Path | None = None) -> Path:
    """Copy all bundles, without training runs.

    Args:
        folder: gets a folder for each; made if it is not there.
        bundles: what is copied, see :func:`~mmccd.bundle.find_bundles`.

    Returns:
        ``folder``.

    Raises:
        ModelError: there are no bundles.
        OutputError: one is there already, or it cannot be written; nothing is replaced.
    """
    target = Path(folder)
    sources = [path for path in sorted(find_bundles(bundles).iterdir()) if _is_bundle(path)]
    there = [path.name for path in sources if (target / path.name).exists()]
    if there:
        raise OutputError(
            f"{target}: has {', '.join(there)} already; choose another folder",
            code="output.exists",
        )
    make_folder(target, "choose another folder")
    for source in sources:
        _copy(source, target / source.name)
    return target


def _is_bundle(path: Path) -> bool:
    return (path / "configs").is_dir()


def _copy(source: Path, target: Path) -> None:
    """Under a hidden name first, so that a copy is there whole or not at all."""
    staged = target.with_name(f".{target.name}.tmp")
    try:
        shutil.rmtree(staged, ignore_errors=True)
        shutil.copytree(source, staged, ignore=_OWN)
        staged.rename(target)
    except OSError as error:
        shutil.rmtree(staged, ignore_errors=True)
        raise OutputError(
            f"{target}: cannot be written ({error.strerror or error}); choose another folder or"
            " free some space",
            code="output.not_writable",
        ) from error
