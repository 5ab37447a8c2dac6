"""The application's settings: defaults, then ``app.yaml``, then environment variables.
docs/deployment.md has the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from mmccd import core
from mmccd.core import PREFIX, VARIABLE, UsageError, first_line, unknown_setting

SECTION = "mmccd"
NOT_OURS = ("MMCCD_DATA", "MMCCD_CALIBRATIONS")
"""Variables with our prefix that are no settings: of the tests, and the folder of calibrations."""


def read_settings(config: Path | None, environment: Mapping[str, str]) -> core.Settings:
    """Settings from the application's configuration and from environment variables, which win.
    Empty ones count as not given.

    Args:
        config: ``app.yaml``, whose section ``mmccd`` is read; None for none.
        environment: variables such as ``MMCCD_PRESET``.

    Raises:
        UsageError: the file cannot be read; a setting that is unknown or has a value that it cannot
            have.
    """
    values: dict[str, Any] = {}
    places: dict[str, str] = {}
    variables = {
        variable: text
        for variable, text in environment.items()
        if variable.startswith(PREFIX) and variable not in NOT_OURS
    }
    for shown, name, value in (
        *((f"{config}: {name}", str(name), value) for name, value in _section(config).items()),
        *((one, one.removeprefix(PREFIX).lower(), text) for one, text in variables.items()),
    ):
        if value is None or value == "":
            continue
        known = core.Settings.declared(VARIABLE)
        if name not in known:
            raise unknown_setting(shown, name, known)
        values[name], places[name] = value, shown
    return core.Settings.read(values, lambda name, value: f"{places[name]}: {value!r}")


def _section(config: Path | None) -> dict[str, Any]:
    if config is None:
        return {}
    try:
        content = yaml.safe_load(config.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(
            f"{config}: cannot be read as YAML ({first_line(error)}); expected the application's"
            " settings"
        ) from error
    section = content.get(SECTION) if isinstance(content, dict) else None
    if section is None:
        return {}
    if not isinstance(section, dict):
        raise UsageError(
            f"{config}: {SECTION} is a {type(section).__name__}; expected settings by name"
        )
    return section
