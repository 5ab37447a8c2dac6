"""The command line: strict parsing first, then Google Fire calls the command.

Fire runs a command before it complains about an unknown flag, lets a boolean flag swallow the word
behind it, and turns a path that looks like a number into one. So every word is checked against the
command's signature here, and Fire gets values that can be read in one way only.
"""

from __future__ import annotations

import difflib
import inspect
import json
import logging
import math
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args, get_type_hints

from mmccd import __version__
from mmccd.apps.cli import commands
from mmccd.core import (
    LOG_FORMATS,
    TEXT,
    CancelledError,
    MmccdError,
    UsageError,
    complain,
    logging_as,
)

COMMANDS: dict[str, Callable[..., int | None]] = {
    "predict": commands.predict,
    "demo": commands.demo,
    "calibrate": commands.calibrate,
    "evaluate": commands.evaluate,
    "export": commands.export,
    "phantom": commands.phantom,
    "datalist": commands.datalist,
    "benchmark": commands.benchmark,
    "doctor": commands.doctor,
    "completion": commands.completion,
}
LOG_FORMAT = "--log-format"
GLOBAL_FLAGS = ("--debug", "--quiet", LOG_FORMAT)
_TRUE, _FALSE = ("true", "1", "yes"), ("false", "0", "no")


def main(arguments: list[str] | None = None) -> None:
    """Run one command and exit with its code (docs/command_line.md); an error is one line on
    stderr.
    """
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


def _run_command(words: list[str], debug: bool) -> int:
    try:
        return _dispatch(words)
    except MmccdError as error:
        return _complain(words, error, error.exit_code, debug)
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
        _say(__version__)
        return 0
    name, rest = words[0], words[1:]
    if name not in COMMANDS:
        raise UsageError(
            f"unknown command {name!r}{_suggestion(name, COMMANDS)}; expected one of"
            f" {', '.join(COMMANDS)}"
        )
    if "--help" in rest or "-h" in rest:
        _say(_help(name))
        return 0
    values = parse(name, COMMANDS[name], rest)
    import fire

    free = [repr(word) for value in values.values() if isinstance(value, tuple) for word in value]
    flags = [f"--{key}={value!r}" for key, value in values.items() if not isinstance(value, tuple)]
    result = fire.Fire(
        {name: COMMANDS[name]}, command=[name, *free, *flags], serialize=lambda _: None
    )
    return int(result or 0)


def parse(name: str, function: Callable[..., Any], words: list[str]) -> dict[str, Any]:
    """Words of the command line as arguments of a command.

    Args:
        name: the command, for messages.
        function: its parameters without default are positional, those with one are flags; ``*name``
            takes all further words, at least one.
        words: everything behind the command.

    Returns:
        Values by parameter name, of the annotated types; a tuple for ``*name``.

    Raises:
        UsageError: an unknown or repeated flag, a flag without a value, a value of another type,
            too few or too many words.
    """
    parameters = inspect.signature(function).parameters
    hints = get_type_hints(function)
    flags = {flag_of(key): key for key, p in parameters.items() if p.default is not p.empty}
    many = [key for key, p in parameters.items() if p.kind is p.VAR_POSITIONAL]
    positional = [key for key, p in parameters.items() if p.default is p.empty]
    values: dict[str, Any] = {}
    free: list[str] = []
    queue = list(words)
    while queue:
        word = queue.pop(0)
        if not word.startswith("-") or word == "-":
            free.append(word)
            continue
        flag, equals, text = word.partition("=")
        flag = flag.replace("_", "-")
        if flag not in flags:
            raise UsageError(
                f"{name}: unknown flag {flag}{_suggestion(flag, flags)}; see 'mmccd {name} --help'"
            )
        key = flags[flag]
        if key in values:
            raise UsageError(f"{name}: {flag} is given twice")
        if _plain_type(hints[key]) is bool:
            values[key] = _boolean(flag, text) if equals else True
            continue
        if not equals:
            if not queue or queue[0].startswith("--"):
                raise UsageError(f"{name}: {flag} needs a value")
            text = queue.pop(0)
        values[key] = _typed(flag, text, _plain_type(hints[key]))
    if len(free) > len(positional) and not many:
        raise UsageError(f"{name}: unexpected {free[len(positional)]!r}; see 'mmccd {name} --help'")
    if len(free) < len(positional):
        raise UsageError(
            f"{name}: {positional[len(free)].upper()} is missing; see 'mmccd {name} --help'"
        )
    pairs = [
        (key, _typed(key.upper(), text, _plain_type(hints[key])))
        for key, text in zip([*positional, *many * len(free)], free, strict=False)
    ]
    several = {key: tuple(value for name, value in pairs if name == key) for key in many}
    return {**dict(pairs), **several, **values}


def flag_of(key: str) -> str:
    """The flag of a parameter."""
    return f"--{key.replace('_', '-')}"


def _plain_type(hint: Any) -> type:
    """The type of a parameter: T from T or from T | None."""
    kinds = [kind for kind in get_args(hint) if kind is not type(None)]
    return kinds[0] if kinds else hint


def _typed(flag: str, text: str, kind: type) -> Any:
    if text == "":
        raise UsageError(f"{flag} needs a value")
    try:
        value = kind(text)
    except ValueError as error:
        words = {int: "a whole number", float: "a number"}
        raise UsageError(f"{flag}: {text!r} is not {words.get(kind, kind.__name__)}") from error
    if kind is float and not math.isfinite(value):
        raise UsageError(f"{flag}: {text!r} is not a finite number")
    return value


def _boolean(flag: str, text: str) -> bool:
    if text.lower() in _TRUE + _FALSE:
        return text.lower() in _TRUE
    raise UsageError(f"{flag}: {text!r} is neither true nor false")


def _suggestion(word: str, known: Any) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _overview() -> str:
    lines = [
        (
            f"mmccd {__version__}: unsupervised anomaly segmentation in brain MRI. Research use"
            " only, not a medical device."
        ),
        "",
    ]
    lines += ["usage: mmccd COMMAND ...", ""]
    lines += [f"  {name:<10} {_summary(function)}" for name, function in COMMANDS.items()]
    lines += [
        "",
        (
            "  mmccd COMMAND --help shows the command's arguments; --quiet, --debug, --log-format"
            " json and --version work everywhere."
        ),
    ]
    return "\n".join(lines)


def _summary(function: Callable[..., Any]) -> str:
    """The first sentence of a docstring, on one line."""
    return " ".join((inspect.getdoc(function) or "").partition("\n\n")[0].split())


def _help(name: str) -> str:
    function = COMMANDS[name]
    parameters = inspect.signature(function).parameters
    words = [_usage(key, p) for key, p in parameters.items()]
    text = (inspect.getdoc(function) or "").split("\nReturns:")[0].split("\nRaises:")[0].rstrip()
    return f"usage: mmccd {name} {' '.join(words)}\n\n{text}"


def examples(name: str) -> list[str]:
    """The command lines in the section "Examples" of a command's help."""
    section = (inspect.getdoc(COMMANDS[name]) or "").partition("\nExamples:\n")[2]
    return [line.strip() for line in section.splitlines() if line.strip().startswith("mmccd ")]


def _usage(key: str, parameter: inspect.Parameter) -> str:
    if parameter.kind is parameter.VAR_POSITIONAL:
        return f"{key.upper()} [{key.upper()} ...]"
    return (
        key.upper()
        if parameter.default is parameter.empty
        else f"[{flag_of(key)}{_value_hint(key, parameter)}]"
    )


def _value_hint(key: str, parameter: inspect.Parameter) -> str:
    if isinstance(parameter.default, bool):
        return ""
    return f" {key.upper()}" if parameter.default is None else f" {parameter.default}"


def _on_sigterm(number: int, frame: Any) -> None:
    raise CancelledError("ended by SIGTERM; nothing was written")


def _complain(
    words: list[str], error: BaseException, code: int, debug: bool, message: str | None = None
) -> int:
    """Say on stderr what ended the command; with the command's flag --json also on stdout, as
    JSON.
    """
    text = _one_line(message or str(error))
    if (
        "--json" in words
        and words[0] in COMMANDS
        and "json" in inspect.signature(COMMANDS[words[0]]).parameters
    ):
        _say(json.dumps({"status": "failed", "exit_code": code, "error": text}, indent=2))
    complain(text, code, error if debug else None)
    return code


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
