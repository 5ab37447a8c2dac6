"""Shell completion: what the commands take as a parser of argparse, from which shtab writes the
script.
"""

from __future__ import annotations

import argparse

import shtab

from mmccd.apps.cli import cli
from mmccd.apps.parser import WORDS, Argument
from mmccd.core import FLAG, LOG_FORMATS


def script(shell: str) -> str:
    """The completion script for ``bash``, ``zsh`` or ``fish``."""
    return str(shtab.complete(_parser(), shell))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("mmccd", add_help=False)
    _add_global_flags(parser)
    parser.add_argument("--version", action="store_true", help="show the version")
    subparsers = parser.add_subparsers()
    for name in cli.COMMANDS:
        what = cli.summary(name)
        command = subparsers.add_parser(name, add_help=False, help=what, description=what)
        for argument in cli.form(name).arguments:
            _add(command, argument)
        _add_global_flags(command)
    return parser


def _add(command: argparse.ArgumentParser, argument: Argument) -> None:
    if argument.is_switch:
        command.add_argument(argument.flag, action="store_true", help=argument.name)
        return
    setting = argument.setting
    action = command.add_argument(
        argument.flag if argument.place == FLAG else argument.name,
        choices=setting.listed() or setting.offers or None,
        nargs="+" if argument.place == WORDS or setting.many else None,
        help=argument.name,
    )
    if setting.is_path:
        action.complete = shtab.FILE  # type: ignore[attr-defined]


def _add_global_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--help", action="store_true", help="show the help")
    parser.add_argument("--quiet", action="store_true", help="warnings and errors only")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    parser.add_argument(cli.LOG_FORMAT, choices=LOG_FORMATS, help="format of the lines on stderr")
