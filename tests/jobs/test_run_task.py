"""mmccd.jobs.run_task, selection and pipelines: what happens to a task from input to results."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from tests.io.dicom_files import write_series
from tests.reports import report_of

from mmccd.core import PHASES, Console, Settings
from mmccd.core.errors import CancelledError, ModelError, ResourceError, UnsuitableInputError
from mmccd.io.dicom.scan import scan
from mmccd.jobs.find import find_studies
from mmccd.jobs.inputs import Input
from mmccd.jobs.outcome import Outcome
from mmccd.jobs.pipelines import Pipelines
from mmccd.jobs.run_task import Work, run_task
from mmccd.jobs.selection import check_size, series_by_rule
from mmccd.jobs.states import Stage, State
from mmccd.jobs.task import Task
from mmccd.phantom import Phantom
from mmccd.pipeline import AnomalyPipeline


class Stages(Console):
    """Remembers the stages that it is told of."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def stage(self, name: str) -> None:
        self.names.append(name)


def refuse() -> AnomalyPipeline:
    raise ModelError("no weights")


def run(
    source: Path,
    output: Path,
    make: Callable[[], AnomalyPipeline] = refuse,
    console: Console | None = None,
    **settings: Any,
) -> Outcome:
    one = find_studies(source)[0]
    task = Task(1, one, output, one.name, Settings(**settings), private=True)
    return run_task(task, make, console)


@pytest.fixture
def head(tmp_path: Path, lesion_phantom: Phantom) -> Path:
    flair = lesion_phantom.images["flair"]
    nib.save(nib.Nifti1Image(flair.data.astype(np.int16), flair.affine), tmp_path / "head.nii.gz")
    return tmp_path / "head.nii.gz"


@pytest.fixture
def make(shared_bundles: Path) -> Callable[[], AnomalyPipeline]:
    return lambda: AnomalyPipeline.from_bundles(
        shared_bundles, preset="fast", device="cpu", threshold=0.7
    )


def test_results(tmp_path: Path, head: Path, make: Callable[[], AnomalyPipeline]) -> None:
    """Each stage is told and timed once; results are not replaced unasked."""
    console = Stages()
    outcome = run(head, tmp_path / "out", make, console)
    assert (outcome.state, outcome.exit_code, outcome.stage) == (State.DONE, 0, Stage.WRITE)
    assert console.names == list(outcome.stage_seconds) == [str(stage) for stage in Stage]
    assert outcome.volume_ml is not None
    assert outcome.volume_ml > 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["volumes_ml"]["anomalous"] == outcome.volume_ml
    assert list(report["timings_s"]) == [n for n in PHASES if n not in ("start", "write")]
    assert "file" not in report["input"], "a private task shows no name of a file"
    assert "head.nii.gz" not in (tmp_path / "out" / "report.html").read_text()
    again = run(head, tmp_path / "out", make)
    assert (again.state, again.exit_code, again.stage) == (State.FAILED, 5, Stage.READ)


@pytest.mark.parametrize(
    ("kind", "private", "hidden", "named"),
    [
        ("NIfTI", False, False, True),
        ("NIfTI", True, False, False),
        ("NIfTI", False, True, False),
        ("DICOM", True, False, True),
        ("DICOM", False, True, False),
    ],
)
def test_the_name_of_the_input(
    tmp_path: Path, kind: str, private: bool, hidden: bool, named: bool
) -> None:
    """A file's stands in no result of a private task, a series' description in all; neither where
    the setting says so.
    """
    notes = {"file": "SMITH", "format": kind, "series_description": "t2"}
    settings = Settings(hide_input=hidden)
    task = Task(1, Input(tmp_path, "a", kind), tmp_path / "out", "a", settings, private=private)
    report = Work(task, refuse)._said(report_of(input=notes, warnings=["SMITH: dark"]))
    assert report.input.file == ("SMITH" if named else None)
    assert report.input.series_description == ("t2" if named else None)
    assert report.warnings == (f"{'SMITH' if named else 'the input'}: dark",)


def test_models_that_are_missing(tmp_path: Path, head: Path) -> None:
    outcome = run(head, tmp_path / "out")
    assert (outcome.exit_code, outcome.stage, outcome.error) == (6, Stage.BRAIN, "no weights")
    assert not (tmp_path / "out").exists()


def test_a_run_that_is_ended_leaves_nothing(tmp_path: Path, head: Path, make: Any) -> None:
    """It is no outcome of the task, and what is half-written goes."""

    class Ended(Console):
        def stage(self, name: str) -> None:
            if name == Stage.SCORE:
                assert (tmp_path / "out").exists()
                raise CancelledError("SIGTERM")

    with pytest.raises(CancelledError):
        run(head, tmp_path / "out", make, Ended())
    assert not (tmp_path / "out").exists()


def test_steps_after_an_error_do_nothing(tmp_path: Path) -> None:
    (one,) = find_studies(write_series(tmp_path / "study"))
    work = Work(Task(1, one, tmp_path, "s", Settings(max_voxels=1)), refuse)
    for step in ("read", "judge", "write"):
        work.step(step)
    assert isinstance(work.error, ResourceError)
    assert list(work.outcome().stage_seconds) == ["read"]


def test_too_large_before_a_voxel_is_read(tmp_path: Path, head: Path) -> None:
    outcome = run(head, tmp_path / "out", max_voxels=1000)
    assert (outcome.exit_code, list(outcome.stage_seconds)) == (7, ["read"])
    assert "expected at most 1000" in str(outcome.error)
    write_series(tmp_path / "study")
    assert run(tmp_path / "study", tmp_path / "out", max_voxels=100).exit_code == 7


def test_check_size() -> None:
    check_size(10, 10)
    check_size(10, 0)
    with pytest.raises(ResourceError, match="11 voxels"):
        check_size(11, 10)


@pytest.mark.parametrize("rule", ["number=5", "description=FLAIR", "uid=1.2.3.5"])
def test_series_rule(tmp_path: Path, rule: str) -> None:
    write_series(tmp_path / "study")
    assert series_by_rule(scan(tmp_path / "study").series, rule) == "1.2.3.5"


@pytest.mark.parametrize("rule", ["number=6", "description=t1", "uid=1.2"])
def test_a_rule_that_fits_none(tmp_path: Path, rule: str) -> None:
    write_series(tmp_path / "study")
    with pytest.raises(UnsuitableInputError, match="0 series that fit") as caught:
        series_by_rule(scan(tmp_path / "study").series, rule)
    assert "t2_flair_tra" in str(caught.value)
    outcome = run(tmp_path / "study", tmp_path / "out", series=rule)
    assert (outcome.state, outcome.exit_code) == (State.REFUSED, 4)


class TestPipelines:
    def test_they_are_built_once(self) -> None:
        made: list[Settings] = []
        pipelines = Pipelines(lambda settings: made.append(settings))  # type: ignore[arg-type, return-value, func-returns-value]
        fast, full = Settings(preset="fast"), Settings(preset="full")
        for settings in (fast, Settings(preset="fast"), full, full):
            pipelines.get(settings)
        assert made == [fast, full]

    def test_models_that_were_put_right_are_found(self) -> None:
        def make(settings: Settings) -> AnomalyPipeline:
            calls.append(settings)
            raise ModelError("no weights")

        calls: list[Settings] = []
        pipelines = Pipelines(make)
        for _ in range(2):
            with pytest.raises(ModelError):
                pipelines.get(Settings())
        assert len(calls) == 2


def test_a_missing_input_is_told_before_anything_heavy_is_loaded(tmp_path: Path) -> None:
    """And the rooms of the engine load neither models nor DICOM."""
    import subprocess
    import sys

    code = f"""
import sys
from mmccd.jobs import Account, Supervised, Task, find_inputs, find_studies
from mmccd.jobs import predict_file, run_cohort
from mmccd.core import InputError
inputs, _ = find_inputs(["{tmp_path / "none.nii"}"], "flair")
try:
    predict_file(lambda: 1 / 0, inputs[0].path, "{tmp_path / "out"}")
except InputError as error:
    print(error)
print([name for name in ("torch", "monai", "highdicom") if name in sys.modules])
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, second = found.stdout.splitlines()
    assert "none.nii" in first
    assert second == "[]"
