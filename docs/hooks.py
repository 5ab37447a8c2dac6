"""MkDocs hooks: files of the repository outside docs/ as pages and files of the site, without
copies.

A page links as a code host wants it (``../bundles/NAME/docs/model_card.md`` from
``docs/brain.md``). In the site such a file lies under its path in the repository, and the files of
docs/ lie at the top; links are rewritten accordingly.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = (
    "bundles/*/docs/*.md",
    "bundles/*/configs/**/*.json",
    "benchmarks/*.py",
    "notebooks/*.ipynb",
    "CHANGELOG.md",
    "CITATION.cff",
    "SECURITY.md",
    "LICENSE",
    ".importlinter",
    "constraints.txt",
)
_ROLE = re.compile(r":(?:func|class|meth|mod|data|attr):<code>([^<]+)</code>")
_LINK = re.compile(r"(\]\()([^)\s#:]+)(#[^)\s]*)?(\))")


def on_files(files: Any, config: Any) -> Any:
    """Add what lies outside docs/."""
    from mkdocs.structure.files import File

    for path in outside():
        files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Rewrite relative links from places in the repository to places in the site."""
    place = page.file.src_uri
    return _LINK.sub(
        lambda match: match[1] + site_link(place, match[2]) + (match[3] or "") + match[4], markdown
    )


def on_page_content(html: str, **_: Any) -> str:
    """References of the docstrings (``:func:`~mmccd.bundle.find.find_bundles```) as names, with a
    link where the page shows what they mean.
    """
    return _ROLE.sub(lambda match: _reference(match[1], html), html)


def _reference(target: str, html: str) -> str:
    name = target.rpartition(".")[2] if target.startswith("~") else target
    full = target.removeprefix("~")
    return (
        f'<a href="#{full}"><code>{name}</code></a>'
        if f'id="{full}"' in html
        else f"<code>{name}</code>"
    )


def outside() -> list[str]:
    """Paths in the repository, sorted."""
    return sorted(
        path.relative_to(ROOT).as_posix()
        for pattern in OUTSIDE
        for path in ROOT.glob(pattern)
        if path.is_file()
    )


def site_link(place: str, link: str) -> str:
    """A relative link as it has to be in the site.

    Args:
        place: the page's path in the site.
        link: its link, relative to the page's place in the repository.
    """
    known = place in outside()
    source = place if known else f"docs/{place}"
    target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
    target = target.removeprefix("docs/")
    return posixpath.relpath(target, posixpath.dirname(place) or ".")
