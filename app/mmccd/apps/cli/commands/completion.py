"""``mmccd completion``."""

from __future__ import annotations

from typing import Annotated

from mmccd.apps.cli.say import say
from mmccd.core import Setting

SHELLS = ("bash", "zsh", "fish")
Shell = Annotated[str, Setting("of the script", SHELLS)]


def completion(shell: Shell) -> None:
    """Print a script that lets a shell complete commands, flags and file names.

    Examples:
        mmccd completion bash
    """
    from mmccd.apps.cli.completion import script

    say(script(shell))
