"""Methods and results without weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from mmccd.data.cases import Case
from mmccd.evaluation.candidates import Candidate, Setup
from mmccd.evaluation.lesions import LesionCounts
from mmccd.evaluation.sets.choice import Choice
from mmccd.evaluation.sets.figures import CaseFigures
from mmccd.evaluation.sets.find import DataSet
from mmccd.evaluation.sets.plan import SetsPlan
from mmccd.evaluation.sets.result import MethodResult, SetsResult
from mmccd.evaluation.variants import Variant
from mmccd.imaging.normalisation import Normalisation
from mmccd.methods.base import Context
from mmccd.methods.registry import find_method
from mmccd.postprocessing.settings import Postprocessing

PRESET = Variant("preset", Postprocessing(), is_preset=True)


def make_candidate(name: str, source: str = "flair") -> Candidate:
    """A plain method under its own name."""
    method = find_method(name)()
    return Candidate(name, name.upper(), method, Context(source), Normalisation(), {"source": "?"})


def ill(
    method: str, case: str, dice: float, data_set: str = "first", patient: str = ""
) -> CaseFigures:
    """2 mL of lesion, 3 mL marked; one of two lesions found, one of four marks right."""
    counts = LesionCounts(2, 1, 4, 1) if math.isfinite(dice) else None
    return CaseFigures(
        data_set,
        case,
        patient or case,
        "lesion",
        method,
        true_ml=2.0,
        auprc=0.75,
        dice=dice,
        marked_ml=3.0 if counts else math.nan,
        right_ml=1.0 if counts else math.nan,
        counts=counts,
    )


def well(method: str, case: str, marked_ml: float, data_set: str = "second") -> CaseFigures:
    """A healthy case with one mark."""
    return CaseFigures(
        data_set,
        case,
        case,
        "healthy",
        method,
        true_ml=0.0,
        auprc=math.nan,
        marked_ml=marked_ml,
        right_ml=0.0,
        counts=LesionCounts(0, 0, 1, 0),
    )


@pytest.fixture
def result() -> SetsResult:
    """Two sets: two ill cases; one ill and one healthy. Intensity has no threshold."""
    names = {"first": ("a", "b"), "second": ("c", "d")}
    sets = [
        DataSet(
            name,
            tuple(Case(case, {}, None if case == "d" else Path("label"), case) for case in cases),
        )
        for name, cases in names.items()
    ]
    candidates = [make_candidate(name) for name in ("histogram", "rule", "intensity")]
    setup = Setup(Path("bundles"), Path("runs"), preset="fast")
    plan = SetsPlan(sets, setup, candidates, PRESET, DataSet("chosen", ()), 0.02, 200, "mmccd ...")
    choices = [Choice(1, 0.5, "healthy"), Choice(1, 1.2, "own"), Choice(1, None, "none")]
    cases = [
        [
            ill("histogram", "a", 0.5),
            ill("histogram", "b", 0.25),
            ill("histogram", "c", 0.75, "second"),
            well("histogram", "d", 0.5),
        ],
        [
            ill("rule", "a", 0.25),
            ill("rule", "b", 0.25),
            ill("rule", "c", 1.0, "second"),
            well("rule", "d", 0.0),
        ],
        [
            ill("intensity", "a", math.nan),
            ill("intensity", "b", math.nan),
            ill("intensity", "c", math.nan, "second"),
            CaseFigures("second", "d", "d", "healthy", "intensity", 0.0, math.nan),
        ],
    ]
    methods = [
        MethodResult(candidate, choice, figures)
        for candidate, choice, figures in zip(candidates, choices, cases, strict=True)
    ]
    return SetsResult(plan, methods)


MakeFolder = Callable[..., Path]


@pytest.fixture
def make_folder(tmp_path: Path) -> MakeFolder:
    """Make a data folder with empty files for cases."""

    def make(name: str, *cases: str) -> Path:
        for case in cases:
            (tmp_path / name / case).mkdir(parents=True)
            (tmp_path / name / case / f"{case}_flair.nii.gz").touch()
        return tmp_path / name

    return make
