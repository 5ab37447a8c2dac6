"""A study that grows: earlier reports of ours beside the input become predecessors."""

from __future__ import annotations

import datetime
import shutil
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from tests.io.dicom_files import as_archived, save_all, single_frames, voxels, write_series
from tests.outputs.dicom.geometries import errors, said_by_dciodvfy
from tests.outputs.dicom.results import result_of, result_on
from tests.reports import changed

from mmccd.core import OutputChoice, Result
from mmccd.io.dicom.scan import scan
from mmccd.io.read import read_volume
from mmccd.outputs.dicom.write import write_dicom

FIRST = datetime.datetime(2026, 3, 1, 10, 0, 0, tzinfo=datetime.UTC)
LATER = datetime.datetime(2026, 3, 2, 11, 30, 0, tzinfo=datetime.UTC)
ALL = OutputChoice(objects=("segmentation", "pictures", "report", "pdf"))
FEW = OutputChoice(objects=("segmentation", "report"))


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return write_series(tmp_path / "study", as_archived)


def run(
    study: Path,
    output: Path,
    seed: int = 0,
    made: datetime.datetime = FIRST,
    choice: OutputChoice = FEW,
) -> tuple[Result, Dataset]:
    """Objects of a result on a study; another seed gives another result."""
    output.mkdir()
    result = write_dicom(result_on(study, seed=seed), output, choice, made)
    return result, pydicom.dcmread(output / "dicom" / "report.dcm")


def put_beside(study: Path, output: Path, *names: str) -> None:
    """What an archive sends along with the images."""
    for name in names:
        shutil.copy(output / "dicom" / name, study / f"{output.name}_{name}")


def predecessors(report: Dataset) -> list[str]:
    return [
        item.ReferencedSOPInstanceUID
        for one in report.get("PredecessorDocumentsSequence") or []
        for series in one.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    ]


def comments(report: Dataset) -> list[str]:
    return [
        item.TextValue
        for item in report.ContentSequence
        if item.ConceptNameCodeSequence[0].CodeMeaning == "Comment"
    ]


def uids(result: Result) -> dict[str, str]:
    return {one.file: one.sop_instance_uid for one in result.report.dicom or ()}


def test_the_new_report_names_the_earlier_one(tmp_path: Path, study: Path) -> None:
    first, report = run(study, tmp_path / "first")
    assert first.report.supersedes is None
    assert predecessors(report) == []
    put_beside(study, tmp_path / "first", "report.dcm")
    second, newer = run(study, tmp_path / "second", seed=1, made=LATER)
    (item,) = newer.PredecessorDocumentsSequence
    assert item.StudyInstanceUID == report.StudyInstanceUID == newer.StudyInstanceUID
    (series,) = item.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == report.SeriesInstanceUID != newer.SeriesInstanceUID
    (reference,) = series.ReferencedSOPSequence
    assert reference.ReferencedSOPClassUID == report.SOPClassUID
    assert reference.ReferencedSOPInstanceUID == report.SOPInstanceUID != newer.SOPInstanceUID
    said = (
        "Supersedes the earlier MMCCD report of 2026-03-01T11:00:00 (SOP Instance UID"
        f" {report.SOPInstanceUID})"
    )
    assert [text for text in comments(newer) if "upersede" in text] == [said]
    (entry,) = second.report.supersedes or ()
    assert (entry.date, entry.sop_instance_uid) == ("2026-03-01T11:00:00", report.SOPInstanceUID)
    assert not set(uids(first).values()) & set(uids(second).values())
    if shutil.which("dciodvfy"):
        assert errors(said_by_dciodvfy(tmp_path / "second" / "dicom" / "report.dcm")) == []


def test_the_same_again_is_the_same(tmp_path: Path, study: Path) -> None:
    """With its own report beside it, and with a whole chain of them."""
    first, _ = run(study, tmp_path / "first")
    put_beside(study, tmp_path / "first", "report.dcm")
    again, report = run(study, tmp_path / "again", made=LATER)
    assert uids(again) == uids(first)
    assert (again.report.supersedes, predecessors(report)) == (None, [])
    second, newer = run(study, tmp_path / "second", seed=1, made=LATER)
    put_beside(study, tmp_path / "second", "report.dcm")
    once_more, same = run(study, tmp_path / "once more", seed=1, made=LATER)
    assert uids(once_more) == uids(second)
    assert predecessors(same) == predecessors(newer)
    assert once_more.report.supersedes == second.report.supersedes


def test_the_chain_goes_on(tmp_path: Path, study: Path) -> None:
    """A third result names the second alone, also where it is what the first one was."""
    run(study, tmp_path / "first")
    put_beside(study, tmp_path / "first", "report.dcm")
    _, second = run(study, tmp_path / "second", seed=1, made=LATER)
    put_beside(study, tmp_path / "second", "report.dcm")
    _, third = run(study, tmp_path / "third", seed=2, made=LATER)
    assert predecessors(third) == [second.SOPInstanceUID]
    _, back = run(study, tmp_path / "back", seed=0, made=LATER)
    assert predecessors(back) == [second.SOPInstanceUID]


def test_of_other_studies_and_makers_is_none(tmp_path: Path, study: Path) -> None:
    for number, change in enumerate(
        [
            {"Manufacturer": "Others"},
            {"StudyInstanceUID": "1.2.99"},
            {"PatientID": "another"},
            {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.66.4"},
        ]
    ):
        run(study, tmp_path / f"{number}", seed=5)
        report = pydicom.dcmread(tmp_path / f"{number}" / "dicom" / "report.dcm")
        for keyword, value in change.items():
            setattr(report, keyword, value)
        report.file_meta.MediaStorageSOPClassUID = report.SOPClassUID
        report.save_as(study / f"other{number}")
    assert read_volume(study, "flair").earlier == ()


def test_our_own_objects_are_never_images(tmp_path: Path, study: Path) -> None:
    """Neither to choose from nor to be warned of; nor is a picture of ours that claims to be MR."""
    before = read_volume(study, "flair")
    run(study, tmp_path / "first", choice=ALL)
    names = [path.name for path in (tmp_path / "first" / "dicom").iterdir()]
    assert len(names) > 4
    put_beside(study, tmp_path / "first", *names)
    picture = pydicom.dcmread(tmp_path / "first" / "dicom" / "secondary_capture_1.dcm")
    picture.Modality, picture.SeriesDescription = "MR", "t2_flair_tra"
    picture.SeriesInstanceUID, picture.SOPInstanceUID = "1.2.77", "1.2.77.1"
    picture.file_meta.MediaStorageSOPInstanceUID = "1.2.77.1"
    picture.save_as(study / "picture")
    after = read_volume(study, "flair")
    assert (after.data == before.data).all()
    assert after.findings == before.findings
    assert sum(one.is_image for one in scan(study).series) == 1


def test_what_a_report_says_decides_on_its_uid(tmp_path: Path, study: Path) -> None:
    """Seed, threshold, version, warnings, brain volume: another UID of report and series each; the
    segmentation's is that of its voxels and settings.
    """
    result = result_of(read_volume(study, "flair"))

    def made(name: str, **change: object) -> dict[str, str]:
        (tmp_path / name).mkdir()
        other = replace(result, report=changed(result.report, **change))
        few = OutputChoice(objects=("segmentation", "report", "pdf"))
        return uids(write_dicom(other, tmp_path / name, few))

    all_uids = [
        made("as it is"),
        made("seed", settings={"seed": 1}),
        made("threshold", threshold={"value": 0.51}),
        made("version", versions={"mmccd": "0.2.0"}),
        made("warnings", warnings=["another"]),
        made("volume", volumes_ml={"brain": 1234.0}),
    ]
    assert len({one["dicom/report.dcm"] for one in all_uids}) == len(all_uids)
    assert len({one["dicom/report_pdf.dcm"] for one in all_uids}) == len(all_uids)
    assert all_uids[4]["dicom/segmentation.dcm"] == all_uids[0]["dicom/segmentation.dcm"]


def test_a_study_that_grows(tmp_path: Path, study: Path) -> None:
    """Another series comes to the study, and is another input."""
    first, _ = run(study, tmp_path / "first", choice=ALL)
    put_beside(study, tmp_path / "first", *(Path(name).name for name in uids(first)))
    datasets = single_frames(voxels(seed=3), result_on(study).image.affine, "1.2.3.8", 8)
    as_archived(datasets)
    save_all(datasets, study, start=50)
    volume = read_volume(study, "flair", "1.2.3.8")
    (tmp_path / "second").mkdir()
    second = write_dicom(result_of(volume), tmp_path / "second", ALL, LATER)
    assert [one.sop_instance_uid for one in second.report.supersedes or ()] == [
        uids(first)["dicom/report.dcm"]
    ]
