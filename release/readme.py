"""The README as a package index shows it: links of the repository lead to the code host.

An index knows only the text. ``python release/readme.py ADDRESS REF`` prints what it will show.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

_PLACE = r"\]\((?!#|[a-z]+:)([^)\s]*)\)"
_LINK = re.compile(r"(!?)\[([^\[\]]*)" + _PLACE)


def index_readme(text: str, address: str | None, ref: str) -> str:
    """The README with links that work anywhere.

    Args:
        text: Markdown with links relative to the repository.
        address: of the repository on a code host (``https://github.com/OWNER/NAME``). None: links
            become plain text and pictures are left out, because nobody knows where they lead.
        ref: the tag that the links lead to, so that an old release shows its own pages.
    """
    if address is not None:
        return _LINK.sub(lambda match: _absolute(match, address.rstrip("/"), ref), text)
    plain = _LINK.sub(lambda match: "" if match[1] else match[2], text)
    return re.sub(r"\n{3,}", "\n\n", plain)


def _absolute(match: re.Match[str], address: str, ref: str) -> str:
    """A page as the host shows it, a picture as its bytes."""
    kind = "raw" if match[1] else "blob"
    return f"{match[1]}[{match[2]}]({address}/{kind}/{ref}/{match[3]})"


def relative_links(text: str) -> list[str]:
    """Targets of the links that work in the repository only."""
    return re.findall(_PLACE, text)


def main() -> None:
    """The command line."""
    address, ref = sys.argv[1:]
    readme = Path(__file__).resolve().parents[1] / "README.md"
    sys.stdout.write(index_readme(readme.read_text(), address, ref))


if __name__ == "__main__":
    main()
