"""mmccd.evaluation.sets.ahead: what is made ahead is what the evaluation looks for."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from mmccd.core import InputError
from mmccd.data.cases import find_cases
from mmccd.evaluation.candidates import Candidate, Setup, make_candidates
from mmccd.evaluation.sets.ahead import MapJob, make_maps, map_jobs
from mmccd.evaluation.sets.find import DataSet
from mmccd.evaluation.sets.plan import SetsPlan
from mmccd.evaluation.sets.run import evaluate_sets
from mmccd.evaluation.variants import read_variant
from mmccd.methods.base import Scorer
from mmccd.postprocessing.settings import Postprocessing


@pytest.fixture
def plan(setup: Setup, labelled_data: Path) -> SetsPlan:
    """One reported case, and one to choose on."""
    cases = {case.name: case for case in find_cases(labelled_data)}
    reported, chosen = (
        DataSet(name, (cases[case],)) for name, case in (("ill", "ill_test"), ("well", "well_val"))
    )
    variant = read_variant("preset", Postprocessing(median_size=3))
    methods = make_candidates(["mmccd", "rule"], setup)
    return SetsPlan([reported], setup, methods, variant, chosen, draws=10)


def test_all_that_is_looked_for(plan: SetsPlan, tmp_path: Path) -> None:
    jobs = map_jobs(plan, tmp_path)
    assert [(one.data_set, one.case.name) for one in jobs] == [
        ("validation of well", "well_val"),
        ("ill", "ill_test"),
    ]
    assert jobs[0].methods == ("mmccd", "constant", "intensity"), "the rule chooses nothing"
    assert jobs[1].methods == ("mmccd", "rule", "constant", "intensity")


def test_the_evaluation_makes_nothing_again(
    plan: SetsPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The jobs go through a pickle, as they do on their way to another machine."""
    for job in map_jobs(plan, tmp_path):
        make_maps(pickle.loads(pickle.dumps(job)), "cpu")

    def never(candidate: Candidate) -> Scorer:
        raise AssertionError(f"{candidate.name}: everything is there")

    monkeypatch.setattr(Candidate, "build", never)
    assert "ill_test" in evaluate_sets(plan, tmp_path)


def test_from_any_working_folder(
    plan: SetsPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, labelled_data: Path
) -> None:
    monkeypatch.chdir(labelled_data.parent)
    case = find_cases(Path(labelled_data.name))[0]
    near = replace(plan, sets=[DataSet("near", (case,))], validation=None)
    (job,) = map_jobs(near, Path("out"))
    places = [job.folder, job.setup.bundles, job.setup.runs, *job.case.images.values()]
    assert all(place.is_absolute() for place in places)


def test_a_case_that_is_gone(plan: SetsPlan, tmp_path: Path) -> None:
    job: MapJob = map_jobs(plan, tmp_path)[0]
    gone = replace(job.case, images={"flair": tmp_path / "gone.nii.gz"})
    with pytest.raises(InputError, match=r"gone\.nii\.gz"):
        make_maps(replace(job, case=gone), "cpu")
