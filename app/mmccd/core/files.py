"""Folders that are read and made, links that lead nowhere, and files that are always whole."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmccd.core.errors import InputError, OutputError

WAY_OUT = "choose another --output or free some space"


def is_broken_link(path: Path) -> bool:
    """Whether a path is a link that leads nowhere."""
    return path.is_symlink() and not path.exists()


def entries_of(folder: Path) -> list[Path]:
    """What lies right in a folder, sorted, hidden entries and links that lead nowhere among it.

    Raises:
        InputError: the folder cannot be read.
    """
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be read ({error.strerror}); expected a readable folder; check"
            " permissions",
            code="input.not_readable",
        ) from error


def make_folder(folder: Path, way_out: str = "choose another --output") -> None:
    """Make a folder and those above it, unless they are there.

    Args:
        folder: the folder.
        way_out: what a user can do where it cannot be made.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be made ({error.strerror or error}); {way_out}",
            code="output.not_writable",
        ) from error


def shown_name(path: Path) -> str:
    """The name of a file as text; bytes in it that are none stand there as escapes."""
    return path.name.encode("utf-8", "backslashreplace").decode()


@contextlib.contextmanager
def writing(place: Path, way_out: str = WAY_OUT) -> Iterator[None]:
    """Tell whatever the system refuses in the block as an error of writing.

    Args:
        place: what is written, for the message.
        way_out: what a user can do.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{place}: cannot be written ({error.strerror or error}); {way_out}",
            code="output.not_writable",
        ) from error


def synced(path: Path) -> None:
    """See that a file, or the names in a folder, are on the disk, and not only in memory."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def replacing(path: Path, way_out: str = WAY_OUT) -> Iterator[Path]:
    """A hidden file beside ``path`` to write to, which takes its place when the block ends.

    Where the block fails, the hidden file is removed and ``path`` stays as it was.

    Args:
        path: the file; its folder must be there.
        way_out: what a user can do where it cannot be written.

    Raises:
        OutputError: it cannot be written.
    """
    staged = path.with_name(f".{path.name}.tmp")
    try:
        with writing(path, way_out):
            yield staged
            staged.replace(path)
    finally:
        with contextlib.suppress(OSError):
            staged.unlink(missing_ok=True)


def write_text(path: Path, text: str, way_out: str = WAY_OUT) -> None:
    """Write a text file (UTF-8) in one step; raises as :func:`replacing`. What a file's name holds
    that is no text stands there as an escape.
    """
    with replacing(path, way_out) as staged:
        staged.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: Path, content: Any, way_out: str = WAY_OUT) -> None:
    """Write JSON in one step, lists of numbers on one line; raises as :func:`replacing`."""
    text = _numbers_on_one_line(json.dumps(content, indent=4, allow_nan=False))
    write_text(path, text + "\n", way_out)


def _numbers_on_one_line(text: str) -> str:
    return re.sub(
        r"\[\s+([-+.\deE,\s]+?)\s+\]", lambda found: f"[{' '.join(found[1].split())}]", text
    )
