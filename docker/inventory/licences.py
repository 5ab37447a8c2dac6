"""The licences of everything in an image, as one text.

python licences.py --site DIR --models DIR --output FILE

First a list (name, version, licence), then the text of each licence once, with the packages that
have it. Debian's texts stay where Debian has them, in /usr/share/doc; the list names them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from parts import Part, everything

NOTHING = "says none"
HEAD = """\
What is inside this image, and under which licences.

Each part is its authors'. MMCCD itself: Apache-2.0 (LICENSE, beside this file).
"""
TITLES = {
    "interpreter": "Python",
    "python": "Python packages",
    "javascript": "In the report's page",
    "debian": "Debian packages (texts: /usr/share/doc/NAME/copyright, /usr/share/common-licenses)",
    "model": "Models (with the licences of what they were trained on)",
}
RULE = "=" * 100


def licence_text(parts: Iterable[Part]) -> str:
    """The whole text.

    Args:
        parts: what is inside.
    """
    parts = list(parts)
    pieces = [HEAD]
    for kind, title in TITLES.items():
        lines = [f"{one.name} {one.version}: {_named(one)}" for one in parts if one.kind == kind]
        if lines:
            pieces += [title, "-" * len(title), *lines, ""]
    for text, names in _texts(parts).items():
        pieces.append(f"{RULE}\n{', '.join(names)}\n{RULE}\n{text}\n")
    return "\n".join(pieces)


def _named(part: Part) -> str:
    if part.licences:
        return "; ".join(part.licences)
    if part.kind == "debian" and part.texts:
        return str(part.texts[0])
    return f"{NOTHING}; see its text below" if part.texts else NOTHING


def _texts(parts: Iterable[Part]) -> dict[str, list[str]]:
    """Who has each text."""
    found: dict[str, list[str]] = {}
    for part in parts:
        if part.kind == "debian":
            continue
        for path in part.texts:
            names = found.setdefault(path.read_text(errors="replace").strip(), [])
            name = _owner(part, path)
            if name not in names:
                names.append(name)
    found.pop("", None)
    return found


def _owner(part: Part, path: Path) -> str:
    """A package, or a part of it that has a licence of its own."""
    inside = path.as_posix().partition("/site-packages/")[2]
    if part.kind == "python" and inside and ".dist-info/" not in inside:
        return f"{part.name} ({inside})"
    return part.name


def main() -> None:
    """Write the text."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    for name in ("site", "models", "output"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    words = parser.parse_args()
    words.output.write_text(licence_text(everything(words.site, words.models)))


if __name__ == "__main__":
    main()
