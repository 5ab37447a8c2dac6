"""``mmccd``: strict parsing first, then Google Fire calls the command.

Fire runs a command before it complains about an unknown flag, lets a boolean flag swallow the word
behind it, and turns a path that looks like a number into one. So every word is checked by
:mod:`mmccd.apps.parser` before, and Fire gets values that can be read in one way only.
"""

from __future__ import annotations

import importlib
import inspect
import json
import logging
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mmccd import NOTICE
from mmccd.apps.map.limits import ignore_stack_warning
from mmccd.apps.parser import Form, suggestion
from mmccd.core import (
    LOG_FORMATS,
    TEXT,
    CancelledError,
    MmccdError,
    UsageError,
    complain,
    logging_as,
)

_FOLDER = "mmccd.apps.cli.commands"
COMMANDS: dict[str, str] = {
    name: f"{_FOLDER}.{name}"
    for name in (
        "predict",
        "bids",
        "demo",
        "train",
        "calibrate",
        "evaluate",
        "export",
        "bundles",
        "phantom",
        "datalist",
        "benchmark",
        "serve",
        "doctor",
        "viewers",
        "explain",
        "completion",
    )
}
"""The commands and their modules, each with a function of the command's name. The modules are
light: what a command needs is imported when it runs.
"""
LOG_FORMAT = "--log-format"
GLOBAL_FLAGS = ("--debug", "--quiet", LOG_FORMAT)


def main(arguments: list[str] | None = None) -> None:
    """Run one command and exit with its code (docs/command_line.md); an error is one line on
    stderr.
    """
    ignore_stack_warning()
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """As :func:`main`, but returns the exit code."""
    previous = signal.signal(signal.SIGTERM, _on_sigterm)
    try:
        given = _global_flags(arguments)
        level = logging.DEBUG if given.debug else logging.WARNING if given.quiet else logging.INFO
        with logging_as(level, given.quiet, given.log_format):
            return _run_command(given.words, given.debug)
    except UsageError as error:
        complain(_one_line(str(error)), error.exit_code)
        return error.exit_code
    finally:
        signal.signal(signal.SIGTERM, previous)


def command(name: str) -> Callable[..., int | None]:
    """The function of a command."""
    function: Callable[..., int | None] = getattr(importlib.import_module(COMMANDS[name]), name)
    return function


def form(name: str) -> Form:
    """What a command takes."""
    return Form.of_function(f"mmccd {name}", command(name))


def summary(name: str) -> str:
    """What a command does, on one line."""
    return " ".join(_description(name).partition("\n\n")[0].split())


def examples(name: str) -> list[str]:
    """The command lines in the section "Examples" of a command's help."""
    section = _description(name).partition("\nExamples:\n")[2]
    return [line.strip() for line in section.splitlines() if line.strip().startswith("mmccd ")]


def _run_command(words: list[str], debug: bool) -> int:
    try:
        return _dispatch(words)
    except MmccdError as error:
        return _complain(words, error, error.exit_code, debug, stable=error.code)
    except KeyboardInterrupt as error:
        return _complain(words, error, 130, debug, str(error) or "interrupted; nothing was written")
    except MemoryError as error:
        return _complain(
            words,
            error,
            7,
            debug,
            "out of memory; use a machine with more memory or a smaller volume",
        )
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except Exception as error:  # the last resort: a defect of ours, reported with its own code
        return _complain(
            words,
            error,
            1,
            debug,
            f"defect: {type(error).__name__}: {error}; please report it (--debug shows where)",
        )


@dataclass
class _Given:
    """What was given for every command, and the other words."""

    words: list[str]
    debug: bool = False
    quiet: bool = False
    log_format: str = TEXT


def _global_flags(arguments: list[str]) -> _Given:
    given = _Given([])
    queue = list(arguments)
    while queue:
        word = queue.pop(0)
        flag, equals, text = word.partition("=")
        if word == "--debug":
            given.debug = True
        elif word == "--quiet":
            given.quiet = True
        elif flag == LOG_FORMAT:
            given.log_format = text if equals else queue.pop(0) if queue else ""
            if given.log_format not in LOG_FORMATS:
                raise UsageError(
                    f"{LOG_FORMAT}: {given.log_format!r} is unknown; expected one of"
                    f" {', '.join(LOG_FORMATS)}"
                )
        else:
            given.words.append(word)
    return given


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("--help", "-h", "help"):
        _say(_overview())
        return 0
    if words[0] in ("--version", "version"):
        from mmccd import __version__  # half of the time of --help, were it above

        _say(__version__)
        return 0
    name, rest = words[0], words[1:]
    if name not in COMMANDS:
        raise UsageError(
            f"unknown command {name!r}{suggestion(name, COMMANDS)}; expected one of"
            f" {', '.join(COMMANDS)}"
        )
    if "--help" in rest or "-h" in rest:
        _say(_help(name))
        return 0
    return _call(name, form(name).parse(rest))


def _call(name: str, values: dict[str, Any]) -> int:
    """Call a command through Fire, which gets all values but the settings as words again."""
    import fire

    function = command(name)
    settings = {key: values.pop(key) for key in ("settings",) if key in values}
    places = [key for key in form(name).words if key in values]
    free = [value for key in places for value in _listed(values.pop(key))]
    flags = [f"--{key}={value!r}" for key, value in values.items()]
    result = fire.Fire(
        {name: lambda *words, **given: function(*words, **given, **settings)},
        command=[name, *map(repr, free), *flags],
        serialize=lambda _: None,
    )
    return int(result or 0)


def _listed(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _overview() -> str:
    lines = [
        f"mmccd: unsupervised anomaly segmentation in brain MRI. {NOTICE}",
        "",
        "usage: mmccd COMMAND ...",
        "",
        *(f"  {name:<10} {summary(name)}" for name in COMMANDS),
        "",
        "  mmccd COMMAND --help shows the command's arguments; --quiet, --debug, --log-format"
        " json and --version work everywhere.",
    ]
    return "\n".join(lines)


def _help(name: str) -> str:
    what, _, lines = _description(name).partition("\nExamples:\n")
    asked = form(name)
    return f"{asked.usage}\n\n{what.strip()}\n\n{asked.help()}\n\nExamples:\n{lines}".rstrip()


def _description(name: str) -> str:
    return inspect.getdoc(command(name)) or ""


def _on_sigterm(number: int, frame: Any) -> None:
    raise CancelledError("ended by SIGTERM; nothing was written")


def _complain(
    words: list[str],
    error: BaseException,
    code: int,
    debug: bool,
    message: str | None = None,
    stable: str | None = None,
) -> int:
    """Say on stderr what ended the command; with the command's flag --json also on stdout, as
    JSON.
    """
    text = _one_line(message or str(error))
    if "--json" in words and words[0] in COMMANDS and form(words[0]).takes("json"):
        content = {"status": "failed", "exit_code": code, "error": text, "code": stable}
        _say(json.dumps(content, indent=2))
    complain(text, code, error if debug else None, stable)
    return code


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
