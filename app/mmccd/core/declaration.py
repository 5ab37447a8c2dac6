"""How a setting is declared, once; what flags, variables, shell completion, help and the tables of
the documentation are made of.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from mmccd.core.errors import MmccdError

FLAG, VARIABLE = "flag", "variable"
"""Front doors: the command line's flags; MMCCD_* variables and the section of app.yaml."""
PREFIX = "MMCCD_"


@dataclass(frozen=True)
class Setting:
    """What stands beside a setting's name, type and default.

    Attributes:
        help: one sentence.
        choices: the only values it may have; or where they are listed, as ``package:name`` of a
            tuple or of a function, which is looked up on use.
        in_bundles: whether that function is asked with the folder of the bundles.
        unit: of a number, or another word for the value.
        offers: values that a shell offers where others are allowed, too.
        expected: what a value has to be, for messages and tables.
        is_path: whether a shell completes it to a file.
        short: another flag, of one letter.
        many: whether a flag takes all words up to the next flag, joined by spaces.
        changes_result: whether another value may give another result.
        page: page of the documentation that has more.
        doors: where it can be given.
    """

    help: str
    choices: str | tuple[str, ...] = ()
    in_bundles: bool = False
    unit: str = ""
    offers: tuple[str, ...] = ()
    expected: str = ""
    is_path: bool = False
    short: str = ""
    many: bool = False
    changes_result: bool = False
    page: str = ""
    doors: tuple[str, ...] = (FLAG, VARIABLE)

    def names(self, bundles: str | None = None) -> tuple[str, ...]:
        """The values it may have; empty where they cannot be listed.

        Args:
            bundles: folder of the bundles; None for the usual one.
        """
        if not isinstance(self.choices, str):
            return self.choices
        module, _, name = self.choices.partition(":")
        found: Any = getattr(importlib.import_module(module), name)
        if callable(found):
            found = found(bundles) if self.in_bundles else found()
        return tuple(found)

    def listed(self, bundles: str | None = None) -> tuple[str, ...]:
        """As :meth:`names`, for help and completion: none where they cannot be found."""
        try:
            return self.names(bundles)
        except MmccdError:
            return ()


def flag_of(name: str) -> str:
    """The flag of a setting: ``--bias-correction``."""
    return f"--{name.replace('_', '-')}"


def variable_of(name: str, prefix: str = PREFIX) -> str:
    """The environment variable of a setting: ``MMCCD_BIAS_CORRECTION``."""
    return prefix + name.upper()
