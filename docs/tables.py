"""The tables of settings in the pages, made from their declarations.

python docs/tables.py

writes them anew between their markers; ``make docs`` does, and a test compares.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from mmccd import core
from mmccd.apps.pacs.dimse.settings import DimseSettings
from mmccd.apps.pacs.settings import PREFIX, PacsSettings
from mmccd.core import FLAG, VARIABLE, Declared, flag_of, variable_of

ROOT = Path(__file__).parent
_MARKED = re.compile(r"(<!-- table: (\w+) -->\n).*?(\n<!-- end -->)", re.DOTALL)


def flags() -> str:
    """Of ``mmccd predict``: what is a setting."""
    rows = (
        (_code(flag_of(one.name)), _default(one), _what(one))
        for one in core.Settings.declared(FLAG).values()
    )
    return _table(("flag", "default", "what it is"), rows)


def variables() -> str:
    """Of the application."""
    rows = (
        (_code(variable_of(one.name)), _code(one.name), _default(one), _what(one))
        for one in core.Settings.declared(VARIABLE).values()
    )
    return _table(("variable", "in app.yaml", "default", "what it is"), rows)


def archive() -> str:
    """Of the archive service, but for DIMSE."""
    own = DimseSettings.declared()
    return _of_service(one for name, one in PacsSettings.declared().items() if name not in own)


def dimse() -> str:
    """Of the archive service's DIMSE."""
    return _of_service(DimseSettings.declared().values())


def codes() -> str:
    """Of errors and findings."""
    rows = ((_code(code), kind, text) for code, (kind, text) in core.all_codes().items())
    return _table(("code", "what it is", "what was found"), rows)


TABLES: dict[str, Callable[[], str]] = {
    "flags": flags,
    "variables": variables,
    "archive": archive,
    "dimse": dimse,
    "codes": codes,
}


def renew(text: str) -> str:
    """A page with its tables as they should be."""
    return _MARKED.sub(lambda found: f"{found[1]}\n{TABLES[found[2]]()}\n{found[3]}", text)


def main() -> None:
    """Write all pages anew."""
    for page in ROOT.glob("*.md"):
        page.write_text(renew(page.read_text()))


def _of_service(settings: Iterable[Declared]) -> str:
    rows = (
        (
            _code(variable_of(one.name, PREFIX)) if VARIABLE in one.setting.doors else "",
            _code(flag_of(one.name)) if FLAG in one.setting.doors else "",
            _default(one),
            _what(one),
        )
        for one in settings
    )
    return _table(("variable", "flag", "default", "what it is"), rows)


def _table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    titles = list(titles)
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"|{'|'.join(f' {cell} ' if cell else ' ' for cell in one)}|" for one in lines)


def _what(one: Declared) -> str:
    setting = one.setting
    names = ", ".join(map(_code, setting.names())) or setting.expected
    unit = f"in {setting.unit}" if setting.unit in ("seconds", "MiB") else ""
    page = f"[more]({setting.page})" if setting.page else ""
    return "; ".join(part for part in (setting.help, names, unit, page) if part).replace("|", "\\|")


def _default(one: Declared) -> str:
    if one.default in (None, "") or (one.kind is bool and VARIABLE not in one.setting.doors):
        return ""
    return _code(_plain(one.default))


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)


def _code(text: str) -> str:
    return f"`{text}`"


if __name__ == "__main__":
    main()
