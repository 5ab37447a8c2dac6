"""Shell completion: the commands' signatures as a parser of argparse, from which shtab writes the
script.
"""

from __future__ import annotations

import argparse
import inspect

import shtab

from mmccd.apps.cli import cli, commands
from mmccd.bundle import preset_names

CHOICES: dict[str, tuple[str, ...]] = {
    "preset": preset_names(),
    "precision": commands.PRECISIONS,
    "target": commands.TARGETS,
    "source": commands.CONTRASTS,
    "extractor": commands.EXTRACTORS,
    "device": ("auto", "cpu", "cuda", "mps"),
    "shell": commands.SHELLS,
}
PATHS = (
    "input",
    "output",
    "data",
    "bundles",
    "bundle",
    "brain_mask",
    "checkpoint",
    "split_file",
    "runs",
    "scheduler",
    "anatomy",
)


def script(shell: str) -> str:
    """The completion script for ``bash``, ``zsh`` or ``fish``."""
    return str(shtab.complete(_parser(), shell))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("mmccd", add_help=False)
    _add_global_flags(parser)
    parser.add_argument("--version", action="store_true", help="show the version")
    subparsers = parser.add_subparsers()
    for name, function in cli.COMMANDS.items():
        summary = (inspect.getdoc(function) or "").partition("\n\n")[0]
        command = subparsers.add_parser(name, add_help=False, help=summary, description=summary)
        for key, parameter in inspect.signature(function).parameters.items():
            _add(command, key, parameter)
        _add_global_flags(command)
    return parser


def _add(command: argparse.ArgumentParser, key: str, parameter: inspect.Parameter) -> None:
    flag = cli.flag_of(key)
    if isinstance(parameter.default, bool):
        command.add_argument(flag, action="store_true", help=key)
        return
    choices = CHOICES.get(key)
    if parameter.default is not parameter.empty:
        action = command.add_argument(flag, choices=choices, help=key)
    elif parameter.kind is parameter.VAR_POSITIONAL:
        action = command.add_argument(key, nargs="+", choices=choices, help=key)
    else:
        action = command.add_argument(key, choices=choices, help=key)
    if key in PATHS:
        action.complete = shtab.FILE  # type: ignore[attr-defined]


def _add_global_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--help", action="store_true", help="show the help")
    parser.add_argument("--quiet", action="store_true", help="warnings and errors only")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    parser.add_argument(
        cli.LOG_FORMAT, choices=cli.LOG_FORMATS, help="format of the lines on stderr"
    )
