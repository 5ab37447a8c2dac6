"""``mmccd viewers``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from mmccd.apps.cli.say import say
from mmccd.core import Setting

Folder = Annotated[str, Setting("folder to write into; made if it is not there", is_path=True)]


def viewers(folder: Folder) -> None:
    """Write the colours of map and segmentation for ITK-SNAP, FSLeyes and 3D Slicer.

    Examples:
        mmccd viewers colours
    """
    from mmccd.outputs import write_viewer_files

    for file in write_viewer_files(Path(folder)):
        say(str(file))
