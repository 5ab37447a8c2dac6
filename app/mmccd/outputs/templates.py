"""The pages' templates and parts, which lie in the folder ``page`` of the package that fills
them.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined

_PAGE = "page"


@lru_cache
def templates(package: str) -> Environment:
    """The templates of a package: text is escaped, and a name that nobody gave is an error."""
    return Environment(
        loader=PackageLoader(package, _PAGE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def part(package: str, name: str) -> str:
    """A file beside them: a script, a style, a licence."""
    return (resources.files(package) / _PAGE / name).read_text(encoding="utf-8")
