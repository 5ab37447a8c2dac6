"""A folder that shows the files of one study only, so that what reads a folder can read one study
of many.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mmccd.jobs.inputs import Input


@contextlib.contextmanager
def view_of(one: Input) -> Iterator[Path]:
    """The path to read a study from: its source, or a temporary folder of links to its files (and
    to the input's DICOMDIRs, which list what must be there).
    """
    if not one.files:
        yield one.path
        return
    with tempfile.TemporaryDirectory(prefix="mmccd-") as name:
        folder = Path(name) / one.name
        folder.mkdir()
        listings = [
            file
            for file in one.path.rglob("*")
            if file.name.upper() == "DICOMDIR" and file.is_file()
        ]
        for number, file in enumerate([*one.files, *listings]):
            place = folder / f"{number:06d}"
            place.mkdir()
            (place / file.name).symlink_to(file.resolve())
        yield folder
