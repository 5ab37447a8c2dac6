"""The project's pages as the tests read them: fenced blocks, command lines, links, headings."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MARKER = "<!-- test -->"
_FENCE = re.compile(r"^ {0,3}```(\w*)\s*$")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_INLINE = re.compile(r"`([^`\n]+)`")
_OPERATORS = ("&&", "||", ";", "|", "do", "then")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, text, line number, and whether ``<!-- test -->`` stands before
    it.
    """

    page: Path
    line: int
    language: str
    text: str
    tested: bool

    @property
    def place(self) -> str:
        """For messages."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    def commands(self) -> list[list[str]]:
        """Simple commands, as lists of words: continued lines joined, comments and prompts left
        out, operators taken as ends.
        """
        result = []
        for line in self.text.replace("\\\n", " ").splitlines():
            words = shlex.split(line.strip().removeprefix("$ "), comments=True)
            start = 0
            for index, word in enumerate([*words, ";"]):
                if word in _OPERATORS:
                    result.append(words[start:index])
                    start = index + 1
        return [words for words in result if words]


def pages() -> list[Path]:
    """Every page of the project."""
    found = [
        ROOT / "README.md",
        ROOT / "CHANGELOG.md",
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("bundles/*/docs/*.md"),
    ]
    return sorted(found)


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page."""
    start, language, lines, before = 0, "", [], ""
    for number, line in enumerate(page.read_text().splitlines(), 1):
        fence = _FENCE.match(line)
        if start and fence:
            yield Block(page, start, language, "\n".join(lines), before == MARKER)
            start, before = 0, ""
        elif start:
            lines.append(line)
        elif fence:
            start, language, lines = number, fence[1], []
        elif line.strip():
            before = line.strip()
    assert not start, f"{page}: the block of line {start} does not end"


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    kept, inside = [], False
    for line in page.read_text().splitlines():
        if _FENCE.match(line):
            inside = not inside
        elif not inside:
            kept.append(line)
    return "\n".join(kept)


def links(page: Path) -> list[str]:
    """Targets of links and images, in inline code none."""
    return _LINK.findall(_INLINE.sub("", prose(page)))


def inline_code(page: Path) -> list[str]:
    """Texts in backticks."""
    return _INLINE.findall(prose(page))


def anchors(page: Path) -> set[str]:
    """The headings' anchors, as code hosts and the site make them."""
    return {
        slug(line.lstrip("#")) for line in prose(page).splitlines() if re.match(r"#{1,6} ", line)
    }


def slug(heading: str) -> str:
    """Lower case, without punctuation, hyphens for spaces."""
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
