"""What a message calls a setting: its flag on the command line, its variable elsewhere."""

from __future__ import annotations

import re

from mmccd.core import VARIABLE, Settings, variable_of

_FLAG = re.compile(r"(?<![\w-])--([a-z][a-z0-9-]*)(?: ([a-z]+)(?![\w-]))?")
_PLACES = {
    "output": "output folder (HOLOSCAN_OUTPUT_PATH)",
    "bundles": "HOLOSCAN_MODEL_PATH",
}
"""Flags that are paths of the application."""
_WITHOUT = r"--(?:study|brain-mask)\b"
"""Flags of which variables know nothing: what a clause advises with them cannot be followed."""
_ONLY_ALTERNATIVE = re.compile(rf"; [^;,]*{_WITHOUT}[^;,]*, or ")
_ALTERNATIVE = re.compile(rf"(?:,? or|;|,) (?:(?! or )[^;,])*?{_WITHOUT}[^;,]*")


def in_variables(text: str) -> str:
    """A message for who gives settings as variables (the application, the archive service): with
    these in the place of the command line's flags, and without advice that needs a flag.
    """
    text = _ALTERNATIVE.sub("", _ONLY_ALTERNATIVE.sub("; ", text))
    return _FLAG.sub(_as_variable, text)


def _as_variable(found: re.Match[str]) -> str:
    flag, value = found[1], found[2]
    name = flag.replace("-", "_")
    more = f" {value}" if value else ""
    if name in _PLACES:
        return _PLACES[name] + more
    declared = Settings.declared(VARIABLE).get(name)
    if declared is None:
        return found[0]
    if declared.kind is bool:
        return f"{variable_of(name)}=1{more}"
    known = (*declared.setting.names(), *declared.setting.offers) if value else ()
    return f"{variable_of(name)}{'=' if value in known else ' ' if value else ''}{value or ''}"
