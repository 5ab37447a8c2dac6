"""The one parser of command lines, in front of ``mmccd``, ``python app`` and the archive service.

It is strict: an unknown flag, a flag given twice or without its value, and a word too many are
refused before anything runs. What a command takes is read from its signature: parameters without
default are words, ``*name`` takes all further words (one at least), those with a default are flags,
and a parameter of the settings' type stands for a flag each. ``Annotated[type, Setting(...)]`` adds
help and choices.
"""

from __future__ import annotations

import difflib
import inspect
import itertools
import math
import shutil
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin, get_type_hints

from mmccd.core import FLAG, Setting, UsageError, flag_of

if TYPE_CHECKING:
    from mmccd.core import SettingsModel

WORD, WORDS = "word", "words"
_TRUE, _FALSE = ("true", "1", "yes"), ("false", "0", "no")
_WIDTH, _NARROWEST, _COLUMN = 100, 50, 26


class Only:
    """Which settings a command takes: ``Annotated[Settings, Only("device", preset="fast")]``;
    without it, it takes all that have flags.

    Args:
        names: of settings.
        defaults: further settings, with defaults of the command's own.
    """

    def __init__(self, *names: str, **defaults: Any) -> None:
        self.names = (*names, *defaults)
        self.defaults = defaults


@dataclass(frozen=True)
class Argument:
    """Something that can be given on a command line.

    Attributes:
        name: of the parameter.
        kind: type of its values; bool for a switch.
        default: of a flag.
        setting: help, choices.
        place: a flag, one word, or all further words.
        model: the settings that it is one of, or None.
    """

    name: str
    kind: type = str
    default: Any = None
    setting: Setting = field(default_factory=lambda: Setting(""))
    place: str = FLAG
    model: type[SettingsModel] | None = None

    @property
    def flag(self) -> str:
        """``--brain-mask``."""
        return flag_of(self.name)

    @property
    def is_switch(self) -> bool:
        """Whether it needs no value."""
        return self.kind is bool

    @property
    def shown(self) -> str:
        """As help shows it: ``INPUT``, ``--force`` or ``-i, --input INPUT``."""
        if self.place != FLAG:
            return self.name.upper()
        short = f"{self.setting.short}, " if self.setting.short else ""
        word = (self.setting.unit or self.name).upper()
        value = "" if self.is_switch else f" {word}{f' [{word} ...]' if self.setting.many else ''}"
        return f"{short}{self.flag}{value}"

    @property
    def explained(self) -> str:
        """Its help with the values it may have and its default."""
        names = self.setting.listed()
        shown = not self.is_switch and self.default not in (None, "")
        notes = [", ".join(names) or self.setting.expected, f"default {self.default}" * shown]
        text = "; ".join(note for note in notes if note)
        page = f"; docs/{self.setting.page}" if self.setting.page else ""
        return self.setting.help + (f" ({text})" if text else "") + page


@dataclass(frozen=True)
class Form:
    """What a program or command takes.

    Attributes:
        program: as its user calls it: ``mmccd predict``.
        arguments: in the order of its help.
    """

    program: str
    arguments: tuple[Argument, ...]

    @classmethod
    def of_function(cls, program: str, function: Callable[..., Any]) -> Form:
        """From a signature."""
        return cls(program, tuple(_arguments(function)))

    @classmethod
    def of_model(cls, program: str, model: type[SettingsModel]) -> Form:
        """From settings, a flag each."""
        return cls(program, tuple(_flags(model)))

    @property
    def usage(self) -> str:
        """One line."""
        words = [
            f"{one.shown} [{one.shown} ...]" if one.place == WORDS else one.shown
            for one in self.arguments
            if one.place != FLAG
        ]
        flags = ["[FLAGS]"] if any(one.place == FLAG for one in self.arguments) else []
        return " ".join(["usage:", self.program, *words, *flags])

    @property
    def words(self) -> list[str]:
        """Names of those that are no flags, in their order."""
        return [one.name for one in self.arguments if one.place != FLAG]

    def takes(self, name: str) -> bool:
        """Whether it takes an argument."""
        return any(one.name == name for one in self.arguments)

    def help(self) -> str:
        """A paragraph for each argument."""
        return "\n".join(_paragraph(one.shown, one.explained) for one in self.arguments)

    def parse(self, words: Sequence[str]) -> dict[str, Any]:
        """Words of the command line as values.

        Returns:
            By parameter name, those that were given, of the annotated types; a tuple for
            ``*name``; under ``settings`` a model, where the form has one.

        Raises:
            UsageError: an unknown or repeated flag, a flag without a value, a value that cannot be
                used, too few or too many words.
        """
        texts, free = self._sorted(words)
        values = {**self._words(free), **self._values(texts)}
        return {**values, **self._settings(texts)}

    def texts(self, words: Sequence[str]) -> dict[str, str]:
        """The texts of the flags that were given; raises as :meth:`parse`."""
        texts, free = self._sorted(words)
        self._words(free)
        return texts

    def refused(self, text: str) -> UsageError:
        """The error for a word that cannot be used."""
        return UsageError(
            f"{self.program.removeprefix('mmccd ')}: {text}; see '{self.program} --help'"
        )

    def _sorted(self, words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
        """The text of each flag that was given (of a switch alone ``true``), and the other
        words; behind ``--`` all are such, even where they begin with a hyphen.
        """
        flags = {one.flag: one for one in self.arguments if one.place == FLAG}
        flags |= {one.setting.short: one for one in self.arguments if one.setting.short}
        texts: dict[str, str] = {}
        free: list[str] = []
        queue = list(words)

        def is_value(word: str) -> bool:
            return not word.startswith("--") and word not in flags

        while queue:
            word = queue.pop(0)
            if word == "--":
                free += queue
                break
            if not word.startswith("-") or word == "-":
                free.append(word)
                continue
            flag, equals, text = word.partition("=")
            argument = flags.get(flag.replace("_", "-"))
            if argument is None:
                raise self.refused(f"unknown flag {flag}{suggestion(flag, flags)}")
            if argument.name in texts:
                raise self.refused(f"{flag} is given twice")
            if argument.is_switch and not equals:
                text = "true"
            elif not equals:
                most = len(queue) if argument.setting.many else 1
                values = list(itertools.takewhile(is_value, queue[:most]))
                del queue[: len(values)]
                text = " ".join(values)
            if text == "":
                kind = "a path" if argument.setting.is_path else "a value"
                raise self.refused(f"{flag} needs {kind}")
            texts[argument.name] = text
        return texts, free

    def _words(self, free: list[str]) -> dict[str, Any]:
        places = [one for one in self.arguments if one.place == WORD]
        many = [one for one in self.arguments if one.place == WORDS]
        if len(free) > len(places) and not many:
            raise self.refused(f"unexpected {free[len(places)]!r}")
        missing = [*places, *many][len(free) :]
        if missing or "" in free:
            name = missing[0].name if missing else [*places, *many][0].name
            raise self.refused(f"{name.upper()} is missing")
        values = {one.name: _typed(one, text) for one, text in zip(places, free, strict=False)}
        rest = free[len(places) :]
        return {**values, **{one.name: tuple(_typed(one, text) for text in rest) for one in many}}

    def _values(self, texts: Mapping[str, str]) -> dict[str, Any]:
        own = {one.name: one for one in self.arguments if one.model is None}
        return {name: _typed(own[name], text) for name, text in texts.items() if name in own}

    def _settings(self, texts: Mapping[str, str]) -> dict[str, SettingsModel]:
        ours = [one for one in self.arguments if one.model is not None]
        if not ours:
            return {}
        assert ours[0].model is not None
        # Defaults of a command's own are given, too; those of the model it knows itself.
        given = {one.name: texts.get(one.name, one.default) for one in ours}
        given = {name: value for name, value in given.items() if value is not None}
        return {"settings": ours[0].model.read(given)}


def suggestion(word: str, known: Iterable[str]) -> str:
    """`` (did you mean --output?)``, or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _arguments(function: Callable[..., Any]) -> Iterator[Argument]:
    hints = get_type_hints(function, include_extras=True)
    for name, parameter in inspect.signature(function).parameters.items():
        hint, notes = _split(hints[name])
        kinds = [kind for kind in get_args(hint) if kind is not type(None)]
        kind: Any = kinds[0] if kinds else hint
        if hasattr(kind, "declared"):
            only = next((note for note in notes if isinstance(note, Only)), None)
            yield from _flags(kind, only)
            continue
        setting = next((note for note in notes if isinstance(note, Setting)), Setting(""))
        if parameter.kind is parameter.VAR_POSITIONAL:
            yield Argument(name, kind, None, setting, WORDS)
        elif parameter.default is parameter.empty:
            yield Argument(name, kind, None, setting, WORD)
        else:
            yield Argument(name, kind, parameter.default, setting)


def _flags(model: type[SettingsModel], only: Only | None = None) -> Iterator[Argument]:
    for name, one in model.declared(FLAG).items():
        if only is None or name in only.names:
            default = only.defaults.get(name, one.default) if only else one.default
            yield Argument(name, one.kind, default, one.setting, model=model)


def _split(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    if get_origin(hint) is Annotated:
        plain, *notes = get_args(hint)
        return plain, tuple(notes)
    return hint, ()


def _typed(argument: Argument, text: str) -> Any:
    shown = argument.flag if argument.place == FLAG else argument.name.upper()
    if argument.kind is bool:
        return _boolean(shown, text)
    try:
        value = argument.kind(text)
    except ValueError as error:
        words = {int: "a whole number", float: "a number"}
        expected = words.get(argument.kind, argument.kind.__name__)
        raise UsageError(f"{shown}: {text!r} is not {expected}") from error
    if argument.kind is float and not math.isfinite(value):
        raise UsageError(f"{shown}: {text!r} is not a finite number")
    names = argument.setting.names()
    if names and value not in names:
        raise UsageError(
            f"{shown} {value}: unknown{suggestion(text, names)}; expected one of {', '.join(names)}"
        )
    return value


def _boolean(flag: str, text: str) -> bool:
    if text.lower() in _TRUE + _FALSE:
        return text.lower() in _TRUE
    raise UsageError(f"{flag}: {text!r} is neither true nor false")


def _paragraph(term: str, text: str) -> str:
    first = f"  {term:<{_COLUMN - 4}}  "
    width = min(_WIDTH, max(shutil.get_terminal_size((_WIDTH, 24)).columns, _NARROWEST))
    return textwrap.fill(
        text,
        width,
        initial_indent=first,
        subsequent_indent=" " * _COLUMN,
        break_on_hyphens=False,
        break_long_words=False,
    )
