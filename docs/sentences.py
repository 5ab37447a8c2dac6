"""One sentence a line in the pages: a change of a sentence is then a change of a line.

python docs/sentences.py PAGE.md [PAGE.md ...]

Paragraphs and list items are broken behind sentences, and nowhere else; what the site shows stays
the same. Tables, headings, blocks and mkdocstrings' directives are left as they are.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

_ITEM = re.compile(r" *(?:[-*+]|\d+\.) +")
_LEFT = re.compile(r" *(?:\||#|<|!!!|>|$)")
"""Starts of lines that stay: tables, headings, comments, admonitions, quotes, nothing."""
_FENCE = re.compile(r" *```")
_END = re.compile(r"[.!?][\"')\]]* (?=[A-Z`\[(*\"'!])")
_LAST = re.compile(r"[.!?][\"')\]*]*$")
"""A line that ends with a sentence stays one, whatever the next one begins with."""
_SHORT = ("e.g.", "i.e.", "al.", "cf.", "vs.", "Eq.", "Fig.", "Alg.", "No.", "...", "etc.")


def renew(text: str) -> str:
    """A page with one sentence a line."""
    return "".join(f"{line}\n" for block in _blocks(text) for line in block)


def _blocks(text: str) -> Iterator[list[str]]:
    """Lines that stay, one by one, and paragraphs and items, broken anew."""
    fenced, directive, block = False, False, list[str]()
    for line in text.splitlines():
        fence = _FENCE.match(line) is not None
        directive = line.startswith(":::") or (directive and line.startswith(" "))
        if fenced or fence or directive or _LEFT.match(line):
            yield _broken(block)
            block = []
            yield [line]
            fenced ^= fence
        elif _ITEM.match(line) or (not block and line.startswith("    ")):
            yield _broken(block)
            block = [line]
        else:
            block.append(line)
    yield _broken(block)


def _broken(block: list[str]) -> list[str]:
    """A paragraph or an item; what follows its first line is indented as its words are."""
    if not block:
        return []
    first = block[0]
    item = _ITEM.match(first)
    indent = " " * (item.end() if item else len(first) - len(first.lstrip()))
    start = first[: len(indent)]
    parts = [""]
    for line in (first[len(indent) :], *block[1:]):
        parts[-1] = f"{parts[-1]} {line.strip()}".lstrip()
        if _LAST.search(line) and not _is_open(parts[-1]) and not parts[-1].endswith(_SHORT):
            parts.append("")
    one, *others = (sentence for part in parts if part for sentence in sentences(part))
    return [start + one, *(indent + other for other in others)]


def sentences(text: str) -> list[str]:
    """The sentences of a paragraph; brackets, code and what ends in a short form stay in one."""
    found, start = [], 0
    for match in _END.finditer(text):
        part = text[start : match.end() - 1]
        rest = text[match.end() :]
        if _is_open(part) or part.endswith(_SHORT) or _ITEM.match(rest):
            continue
        found.append(part)
        start = match.end()
    return [*found, text[start:]]


def _is_open(part: str) -> bool:
    """Whether a bracket, code or emphasis that began in the text has not ended."""
    bare = re.sub(r"`[^`]*`", "", part)
    pairs = (("(", ")"), ("[", "]"))
    return (
        "`" in bare
        or any(bare.count(left) > bare.count(right) for left, right in pairs)
        or bare.count("**") % 2 == 1
        or len(re.findall(r"(?<!\*)\*(?!\*)", bare)) % 2 == 1
    )


def main() -> None:
    """Break the lines of what is named."""
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(renew(path.read_text()))


if __name__ == "__main__":
    main()
