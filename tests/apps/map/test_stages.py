"""mmccd.apps.map.stages: what happens to a study, without Holoscan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from tests.io.dicom_files import write_series

from mmccd.apps.map.stages import (
    STAGES,
    Job,
    Work,
    check_size,
    explain,
    finish,
    run_stage,
    series_by_rule,
)
from mmccd.apps.map.studies import find_studies
from mmccd.core import Settings
from mmccd.core.errors import InputError, ModelError, ResourceError, UnsuitableInputError
from mmccd.io.dicom.scan import scan
from mmccd.phantom import Phantom
from mmccd.pipeline import AnomalyPipeline


def refuse() -> AnomalyPipeline:
    raise ModelError("no weights")


def run_all(
    source: Path, output: Path, make_pipeline: Any = refuse, **settings: Any
) -> list[dict[str, Any]]:
    """A study through all stages; the events."""
    events: list[dict[str, Any]] = []
    job = Job(0, find_studies(source)[0], output)
    work = Work(Settings(**settings), make_pipeline, events.append)
    for name, stage in STAGES.items():
        run_stage(name, stage, job, work)
    finish(job, work)
    assert job.volume is None
    return events


@pytest.fixture
def head(tmp_path: Path, lesion_phantom: Phantom) -> Path:
    flair = lesion_phantom.images["flair"]
    nib.save(nib.Nifti1Image(flair.data.astype(np.int16), flair.affine), tmp_path / "head.nii.gz")
    return tmp_path / "head.nii.gz"


def test_results(tmp_path: Path, head: Path, shared_bundles: Path) -> None:
    def make() -> AnomalyPipeline:
        return AnomalyPipeline.from_bundles(
            shared_bundles, preset="fast", device="cpu", threshold=0.7
        )

    events = run_all(head, tmp_path / "out", make)
    assert [event.get("stage") for event in events[:-1]] == list(STAGES)
    assert events[-1]["exit_code"] == 0
    assert set(events[-1]["timings_s"]) == set(STAGES)
    assert events[-1]["result"]["volumes_ml"]["anomalous"] > 0
    assert (tmp_path / "out" / "report.json").is_file()
    again = run_all(head, tmp_path / "out", make)
    assert again[-1]["exit_code"] == 5


def test_a_model_error_is_the_same_for_every_study(tmp_path: Path, head: Path) -> None:
    calls = []

    def make() -> AnomalyPipeline:
        calls.append(1)
        raise ModelError("no weights")

    work = Work(Settings(), make, lambda event: None)
    for _ in range(2):
        with pytest.raises(ModelError):
            work.pipeline()
    assert len(calls) == 1
    assert run_all(head, tmp_path / "out")[-1]["exit_code"] == 6
    assert not (tmp_path / "out").exists()


def test_too_large_before_a_voxel_is_read(tmp_path: Path, head: Path) -> None:
    (event,) = run_all(head, tmp_path / "out", max_voxels=1000)[-1:]
    assert (event["exit_code"], list(event["timings_s"])) == (7, ["start", "select"])
    assert "expected at most 1000" in event["message"]
    write_series(tmp_path / "study")
    assert run_all(tmp_path / "study", tmp_path / "out", max_voxels=100)[-1]["exit_code"] == 7


def test_check_size() -> None:
    check_size(10, 10)
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


def test_explain() -> None:
    assert explain(None) == (0, None)
    assert explain(InputError("a: damaged")) == (3, "a: damaged")
    assert explain(MemoryError())[0] == 7
    assert explain(torch.OutOfMemoryError("CUDA"))[0] == 7
    try:
        raise KeyError("Mustermann")
    except KeyError as error:
        code, text = explain(error)
    assert code == 1
    assert "KeyError at test_stages.py:" in str(text)
    assert "Mustermann" not in str(text)
