"""docs/sentences.py: one sentence a line, and the same page."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
from tests.docs.markdown import ROOT, pages
from tests.scripts import load_script

AS_THEY_ARE = {
    "CHANGELOG.md",
    *(f"docs/{name}.md" for name in ("bundles", "checks", "cohort", "dicom", "how_it_works")),
    *(f"docs/{name}.md" for name in ("limits", "report", "results", "serve", "training")),
}
"""Pages that keep their long lines."""
BROKEN = [
    page
    for page in pages()
    if "bundles" not in page.parts and str(page.relative_to(ROOT)) not in AS_THEY_ARE
]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The script."""
    return load_script(ROOT / "docs" / "sentences.py")


@pytest.mark.parametrize("page", BROKEN, ids=lambda page: page.name)
def test_one_sentence_a_line(script: ModuleType, page: Path) -> None:
    text = page.read_text()
    assert script.renew(text) == text, f"run 'python docs/sentences.py {page.relative_to(ROOT)}'"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two.\n", "One.\nTwo.\n"),
        ("One of\nmany. Two.\n", "One of many.\nTwo.\n"),
        ("- One. `Two`.\n  Three\n- Four\n", "- One.\n  `Two`.\n  Three\n- Four\n"),
        ("1. One. Two.\n", "1. One.\n   Two.\n"),
        ("One.\n\nTwo.\n", "One.\n\nTwo.\n"),
        ("One.\ntwo.\n", "One.\ntwo.\n"),
        ("- One.\n\n    Two. Three.\n", "- One.\n\n    Two.\n    Three.\n"),
    ],
)
def test_breaks(script: ModuleType, text: str, expected: str) -> None:
    assert script.renew(text) == expected
    assert script.renew(expected) == expected


@pytest.mark.parametrize(
    "text",
    [
        "One (of two. Or Three).\n",
        "A [link. To](x.md) and `code. More`.\n",
        "**Bold. As ever.** Two\n",
        "*Leaning. As ever.*\n",
        "Lesjak et al. Neuroinformatics.\n",
        ".851 against .732 of a rule\n",
        "| One. Two. | Three. Four. |\n",
        "## One. Two.\n",
        "```\nOne. Two.\n```\n",
        "<!-- One. Two. -->\n",
        "No. Everything runs.\n",
        "::: mmccd.pipeline\n    options:\n      members: [a]\n",
    ],
)
def test_leaves(script: ModuleType, text: str) -> None:
    assert script.renew(text) == text
