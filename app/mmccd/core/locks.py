"""Folders that one program at a time works with."""

from __future__ import annotations

import fcntl
import time
from pathlib import Path
from typing import IO

from mmccd.core.errors import UsageError
from mmccd.core.files import WAY_OUT, writing

_LOCK = ".lock"
_TICK_S = 0.1


def lock_folder(
    folder: Path, program: str, way_out: str, no_room: str = WAY_OUT, patience_s: float = 0.0
) -> IO[str]:
    """Take a folder for this program alone.

    Args:
        folder: it is there.
        program: what one is that works with such a folder, for the message.
        way_out: what a user can do where another one works with it.
        no_room: what a user can do where it cannot be written.
        patience_s: how long to wait for what is left of one that has just ended, in s.

    Returns:
        What holds the lock until it is closed, here and in processes that were given it.

    Raises:
        OutputError: the folder cannot be written.
        UsageError: another program works with it.
    """
    with writing(folder, no_room):
        file = (folder / _LOCK).open("w")
        try:
            _lock(file, patience_s)
        except BlockingIOError:
            file.close()
            raise UsageError(f"{folder}: another {program} is at work with it; {way_out}") from None
        except BaseException:
            file.close()
            raise
        return file


def _lock(file: IO[str], patience_s: float) -> None:
    end = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > end:
                raise
            time.sleep(_TICK_S)
