"""``mmccd bundles``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from mmccd import core
from mmccd.apps.cli.say import say
from mmccd.apps.parser import Only
from mmccd.core import Setting, UsageError

Action = Annotated[str, Setting("copy")]
Directory = Annotated[str, Setting("folder to make", is_path=True)]


def bundles(
    action: Action, directory: Directory, settings: Annotated[core.Settings, Only("bundles")]
) -> None:
    """Copy the bundles, with their weights and calibrations, to train and export into; those that
    are installed stay as they are.

    Examples:
        mmccd bundles copy my_bundles
    """
    if action != "copy":
        raise UsageError(f"bundles: {action!r} is unknown; expected mmccd bundles copy DIR")
    from mmccd.bundle import copy_bundles, find_bundles

    names = copy_bundles(find_bundles(settings.bundles), Path(directory))
    say(f"{directory}: {', '.join(names)}; use it with --bundles {directory}")
