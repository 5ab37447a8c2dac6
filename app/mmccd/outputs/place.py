"""A file of a result at another place, without taking space twice where that can be."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from mmccd.core import make_folder, replacing


def place_file(source: Path, target: Path) -> None:
    """A link to a file, or a copy where there can be none.

    Raises:
        OutputError: neither can be made.
    """
    with contextlib.suppress(OSError):
        if source.samefile(target):
            return
    make_folder(target.parent)
    with replacing(target) as staged:
        staged.unlink(missing_ok=True)
        try:
            os.link(source, staged)
        except OSError:
            shutil.copy2(source, staged)
