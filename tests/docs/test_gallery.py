"""docs/gallery.md: its figures are those that benchmarks/gallery.py measured, its pictures those
that a licence allows, and each stands with its source.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from tests.docs.markdown import ROOT, anchors
from tests.scripts import load_script

PAGE = ROOT / "docs" / "gallery.md"
ALLOWED = {
    "raw/FG6692": "10.7937/K9/TCIA.2016.L4LTD3TK",
    "raw/OPENMS_L01": "10.1007/s12021-017-9348-7",
    "raw/OPENMS_L12": "10.1007/s12021-017-9348-7",
    "ms/OPENMS_07": "10.1007/s12021-017-9348-7",
    "ms/OPENMS_26": "10.1007/s12021-017-9348-7",
}
"""Folders of the data whose pictures may be shown, and whom to cite."""
LARGEST_PICTURES = 700_000
"""In bytes, of all together."""


@pytest.fixture(scope="module")
def gallery() -> ModuleType:
    """The script."""
    return load_script(ROOT / "benchmarks" / "gallery.py")


@pytest.fixture(scope="module")
def figures(gallery: ModuleType) -> dict[str, Any]:
    return json.loads(gallery.FIGURES.read_text())


def test_the_page_has_the_figures(gallery: ModuleType, figures: dict[str, Any]) -> None:
    text = PAGE.read_text()
    assert gallery.renew(text, figures) == text
    changed = json.loads(json.dumps(figures))
    changed["cases"]["glioma"]["marked_ml"] += 1
    assert gallery.renew(text, changed) != text


def test_every_case_may_be_shown_and_is(gallery: ModuleType, figures: dict[str, Any]) -> None:
    text = PAGE.read_text()
    assert set(figures["cases"]) == {case.name for case in gallery.CASES}
    for case in gallery.CASES:
        assert ALLOWED[case.folder] in text, case.folder
        assert f"](images/gallery_{case.name}.png)" in text
        assert f"<!-- gallery: {case.name} -->" in text
        assert case.anchor in anchors(PAGE)
    pictures = list((ROOT / "docs" / "images").glob("gallery_*.png"))
    assert {path.stem for path in pictures} == {f"gallery_{case.name}" for case in gallery.CASES}
    assert sum(path.stat().st_size for path in pictures) < LARGEST_PICTURES


def test_the_front_page_names_the_source_of_its_picture() -> None:
    text = (ROOT / "README.md").read_text()
    assert "gallery_glioma.png" in text
    assert ALLOWED["raw/FG6692"] in text and "CC BY 3.0" in text


def test_wrong_is_what_touches_no_lesion(gallery: ModuleType) -> None:
    truth, marked = np.zeros((2, 3, 9, 9), bool)
    truth[0, 1, 1:4] = marked[0, 1, 2:6] = marked[2, 7, 7] = True
    wrong = gallery.apart_from(marked, truth)
    assert np.argwhere(wrong).tolist() == [[2, 7, 7]]


def test_sentences(gallery: ModuleType) -> None:
    drawn = {"lesion_ml": 8.0, "marked_ml": 5.0, "right_ml": 3.0, "places": 1}
    assert gallery.sentences(drawn) == (
        "Lesions: 8.0 mL, 5.0 mL of it missed.\nMarked: 5.0 mL in 1 place, 2.0 mL of it wrongly.\n"
    )
    other = {"marked_ml": 5.0, "places": 2, "outside_ml": 1.5}
    assert gallery.sentences(other) == (
        "Marked: 5.0 mL in 2 places, 1.5 mL of it outside the brain that HD-BET finds.\n"
    )


def test_data_are_named_as_they_lie_there(gallery: ModuleType) -> None:
    case = gallery.CASES[0]
    assert case.file("flair", Path("data")) == Path("data/raw/FG6692/FG6692_flair.nii.gz")
