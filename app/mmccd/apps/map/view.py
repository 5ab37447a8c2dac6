"""A folder that shows the files of one study only, so that what reads a folder can read one study
of many.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mmccd.apps.map.studies import Study


@contextlib.contextmanager
def view_of(study: Study) -> Iterator[Path]:
    """The path to read a study from: its source, or a temporary folder of links to its files (and
    to the input's DICOMDIRs, which list what must be there).
    """
    if not study.files:
        yield study.source
        return
    with tempfile.TemporaryDirectory(prefix="mmccd-") as name:
        folder = Path(name) / study.name
        folder.mkdir()
        listings = [
            file
            for file in study.source.rglob("*")
            if file.name.upper() == "DICOMDIR" and file.is_file()
        ]
        for number, file in enumerate([*study.files, *listings]):
            place = folder / f"{number:06d}"
            place.mkdir()
            (place / file.name).symlink_to(file.resolve())
        yield folder
