"""``mmccd doctor``."""

from __future__ import annotations

from typing import Annotated

from mmccd import core
from mmccd.apps.cli.say import say_fitted, say_json
from mmccd.apps.parser import Only
from mmccd.core import Setting

SHARED = Only("bundles")
Json = Annotated[bool, Setting("print it as JSON")]


def doctor(settings: Annotated[core.Settings, SHARED], json: Json = False) -> int:
    """Tell what this machine can do, and which bundles, weights and calibrations are found.

    Examples:
        mmccd doctor
        mmccd doctor --json
    """
    from mmccd.apps.cli.doctor import describe, examine

    findings = examine(settings.bundles)
    if json:
        say_json(findings)
    else:
        say_fitted(describe(findings))
    return int(findings["exit_code"])
