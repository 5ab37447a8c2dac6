"""mmccd.outputs.dicom: objects that belong to the source study, sit where the voxels are, and are
the same in a second run.
"""

from __future__ import annotations

import datetime
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.config import IGNORE
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless, SecondaryCaptureImageStorage
from scipy.spatial.transform import Rotation
from tests.io.dicom_files import (
    AXIAL,
    RAS_TO_LPS,
    as_archived,
    assert_same_in_patient_space,
    multi_frame,
    save,
    save_all,
    single_frames,
    voxels,
)
from tests.outputs.dicom.results import result_of, result_on
from tests.reports import changed

from mmccd.core.errors import OutputError
from mmccd.core.result import Result
from mmccd.io.nifti import read_nifti, write_nifti
from mmccd.io.read import read_volume
from mmccd.outputs.dicom.identity import WATERMARK
from mmccd.outputs.dicom.source import Source
from mmccd.outputs.dicom.write import make_objects, write_dicom

SHAPE = (24, 28, 9)
GRID = AXIAL @ np.diag([7.0, 7.0, 1.5, 1.0])
SEG, REPORT, CAPTURE = "segmentation.dcm", "report.dcm", "secondary_capture_1.dcm"
MADE = datetime.datetime(2026, 3, 1, 23, 30, 15, tzinfo=datetime.UTC)
KINDS = ["axial", "oblique", "sagittal", "coronal", "multi-frame", "compressed"]


def write_kind(
    kind: str, folder: Path, change: Callable[[list[Dataset]], object] = as_archived
) -> Path:
    """A series of that kind."""
    array, affine = voxels(SHAPE), GRID
    if kind == "oblique":
        turn = np.eye(4)
        turn[:3, :3] = Rotation.from_euler("xyz", (9, -5, 12), degrees=True).as_matrix()
        affine = turn @ affine
    if kind in ("sagittal", "coronal"):
        order = [1, 2, 0] if kind == "sagittal" else [0, 2, 1]
        array, affine = array.transpose(order), affine[:, [*order, 3]]
    datasets = (
        [multi_frame(array, affine)] if kind == "multi-frame" else single_frames(array, affine)
    )
    change(datasets)
    if kind == "compressed":
        for dataset in datasets:
            save(dataset, folder / dataset.SOPInstanceUID)
            whole = pydicom.dcmread(folder / dataset.SOPInstanceUID)
            whole.compress(RLELossless)
            whole.save_as(folder / dataset.SOPInstanceUID)
        return folder
    return save_all(datasets, folder)


@pytest.fixture(scope="module", params=KINDS)
def written(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Result]:
    """A source series in ``source``, its result, and the objects in ``out/dicom``."""
    folder = tmp_path_factory.mktemp("kind")
    result = result_on(write_kind(request.param, folder / "source"))
    (folder / "out").mkdir()
    return folder, write_dicom(result, folder / "out", created=MADE)


def sources(folder: Path) -> list[Dataset]:
    return [pydicom.dcmread(path) for path in sorted((folder / "source").iterdir())]


def objects(folder: Path) -> dict[str, Dataset]:
    return {
        path.name: pydicom.dcmread(path) for path in sorted((folder / "out" / "dicom").iterdir())
    }


def instances(references: object) -> set[str]:
    return {str(item.ReferencedSOPInstanceUID) for item in references}  # type: ignore[attr-defined]


def columns_rows_slices(volume: highdicom.Volume) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """(slices, rows, columns) in LPS as (columns, rows, slices) in RAS."""
    return volume.array.transpose(2, 1, 0), RAS_TO_LPS @ volume.affine[:, [2, 1, 0, 3]]


def ones_in_patient_space(
    data: NDArray[np.generic], affine: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Places of all voxels that are 1, in mm, sorted."""
    places = np.argwhere(data > 0) @ affine[:3, :3].T + affine[:3, 3]
    return places[np.lexsort(np.round(places, 2).T)]


def test_the_segmentation_lies_where_the_nifti_is(
    written: tuple[Path, Result], tmp_path: Path
) -> None:
    folder, result = written
    write_nifti(result.segmentation, tmp_path / "segmentation.nii.gz", "uint8")
    nifti = read_nifti(tmp_path / "segmentation.nii.gz")
    volume = highdicom.seg.segread(folder / "out" / "dicom" / SEG).get_volume(combine_segments=True)
    array, affine = columns_rows_slices(volume)
    found, expected = (
        ones_in_patient_space(array, affine),
        ones_in_patient_space(nifti.data, nifti.affine),
    )
    assert len(expected) > 20
    np.testing.assert_allclose(found, expected, atol=0.01)


def test_each_frame_references_the_slice_that_it_lies_on(written: tuple[Path, Result]) -> None:
    folder, result = written
    dataset = objects(folder)[SEG]
    positions = {}
    for source in sources(folder):
        frames = source.get("PerFrameFunctionalGroupsSequence") or [None]
        for number, frame in enumerate(frames, 1):
            plane = frame.PlanePositionSequence[0] if frame is not None else source
            positions[source.SOPInstanceUID, number] = plane.ImagePositionPatient
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        reference = frame.DerivationImageSequence[0].SourceImageSequence[0]
        key = (reference.ReferencedSOPInstanceUID, int(reference.get("ReferencedFrameNumber") or 1))
        np.testing.assert_allclose(
            frame.PlanePositionSequence[0].ImagePositionPatient, positions[key], atol=1e-4
        )
    assert (
        len(dataset.PerFrameFunctionalGroupsSequence)
        == result.segmentation.data.any(axis=(0, 1)).sum()
    ), "empty frames are left out"


def test_same_patient_study_and_frame_of_reference(written: tuple[Path, Result]) -> None:
    folder, _ = written
    source = sources(folder)[0]
    for dataset in objects(folder).values():
        for keyword in (
            *(
                "StudyInstanceUID",
                "StudyID",
                "StudyDate",
                "StudyTime",
                "StudyDescription",
                "AccessionNumber",
                "ReferringPhysicianName",
            ),
            *(
                "PatientName",
                "PatientID",
                "PatientBirthDate",
                "PatientSex",
                "PatientAge",
                "SpecificCharacterSet",
                "TimezoneOffsetFromUTC",
            ),
        ):
            assert dataset[keyword].value == source[keyword].value, keyword
        assert dataset.SeriesInstanceUID != source.SeriesInstanceUID
        purposes = {
            (item.Manufacturer, item.PurposeOfReferenceCodeSequence[0].CodeValue)
            for item in dataset.ContributingEquipmentSequence
        }
        assert ("MMCCD", "109102") in purposes
    assert objects(folder)[SEG].FrameOfReferenceUID == source.FrameOfReferenceUID
    assert str(source.PatientName) == "Mustermann^Jörg=漢字"


def test_the_time_of_the_making_is_not_that_of_the_scan(written: tuple[Path, Result]) -> None:
    """Half past eleven in the evening in UTC is after midnight in the source's time zone."""
    found = objects(written[0])
    for dataset in found.values():
        for kind in ("InstanceCreation", "Content", "Series"):
            moment = dataset[f"{kind}Date"].value, dataset[f"{kind}Time"].value
            assert moment == ("20260302", "003015"), kind
        assert dataset.StudyDate == "20240305"
    for name in (SEG, CAPTURE):
        moment = found[name].AcquisitionDate, found[name].AcquisitionTime
        assert moment == ("20240305", "102101.25")
    told = {
        item.ConceptNameCodeSequence[0].CodeMeaning: item.get("Date") or item.get("Time")
        for item in found[REPORT].ContentSequence
        if item.RelationshipType == "HAS ACQ CONTEXT"
    }
    assert told == {"Acquisition Date": "20240305", "Acquisition Time": "102101.25"}


def test_every_source_instance_is_referenced(written: tuple[Path, Result]) -> None:
    folder, _ = written
    expected = {str(source.SOPInstanceUID) for source in sources(folder)}
    found = objects(folder)
    assert instances(found[SEG].ReferencedSeriesSequence[0].ReferencedInstanceSequence) == expected
    assert instances(found[CAPTURE].SourceImageSequence) == expected
    evidence = found[REPORT].CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    assert set().union(
        *(instances(item.ReferencedSOPSequence) for item in evidence)
    ) == expected | {found[SEG].SOPInstanceUID}


def test_a_second_run_gives_the_same_bytes(written: tuple[Path, Result], tmp_path: Path) -> None:
    """But for the time of their making."""
    folder, result = written
    again = write_dicom(result_on(folder / "source"), tmp_path, created=MADE)
    assert again.report.dicom == result.report.dicom
    for entry in result.report.dicom or ():
        assert (tmp_path / entry.file).read_bytes() == (folder / "out" / entry.file).read_bytes(), (
            entry.file
        )


def test_the_standard_is_kept(written: tuple[Path, Result]) -> None:
    """dciodvfy finds no error, and dcentvfy nothing that differs between source and objects."""
    folder, _ = written
    check_standard(folder)


def check_standard(folder: Path) -> None:
    for program in ("dciodvfy", "dcentvfy"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed (Debian: dicom3tools)")
    paths = sorted((folder / "out" / "dicom").iterdir())
    for path in paths:
        done = subprocess.run(
            ["dciodvfy", str(path)], capture_output=True, text=True, errors="replace", check=False
        )
        assert done.returncode == 0, done.stderr
        assert "Error" not in done.stderr + done.stdout, path.name
    all_paths = [str(path) for path in [*sorted((folder / "source").iterdir()), *paths]]
    done = subprocess.run(
        ["dcentvfy", *all_paths], capture_output=True, text=True, errors="replace", check=False
    )
    # dcentvfy counts an accession number to the series where the object is a report.
    said = [
        line
        for line in (done.stderr + done.stdout).splitlines()
        if "<AccessionNumber> IE <Study> versus <Series>" not in line
    ]
    assert done.returncode == 0
    assert said == []


@pytest.fixture(scope="module", params=["axial", "multi-frame"])
def nothing(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nothing")
    (folder / "out").mkdir()
    write_dicom(
        result_on(write_kind(request.param, folder / "source"), nothing=True), folder / "out"
    )
    return folder


class TestNothingFound:
    """A run that finds nothing says so in every object."""

    def test_an_empty_segmentation_on_all_frames(self, nothing: Path) -> None:
        dataset = objects(nothing)[SEG]
        assert dataset.NumberOfFrames == SHAPE[2]
        assert not dataset.pixel_array.any()
        assert len(dataset.SegmentSequence) == 1

    def test_the_report_says_absent_and_no_millilitres(self, nothing: Path) -> None:
        group = measurement_groups(nothing)[0]
        assert values(group) == {"Volume": 0.0}
        assert [
            item.ConceptCodeSequence[0].CodeMeaning
            for item in group
            if item.ConceptNameCodeSequence[0].CodeMeaning == "Presence"
        ] == ["Absent"]

    def test_the_standard_is_kept(self, nothing: Path) -> None:
        check_standard(nothing)


def measurement_groups(folder: Path) -> list[list[Dataset]]:
    report = objects(folder)[REPORT]
    container = next(
        item
        for item in report.ContentSequence
        if item.ConceptNameCodeSequence[0].CodeMeaning == "Imaging Measurements"
    )
    return [list(item.ContentSequence) for item in container.ContentSequence]


def values(group: list[Dataset]) -> dict[str, float]:
    """Numbers of a group by what they measure, with the derivation where there is one."""
    found = {}
    for item in group:
        if item.ValueType == "NUM":
            derived = [
                inner.ConceptCodeSequence[0].CodeMeaning
                for inner in item.get("ContentSequence") or []
            ]
            name = (
                item.ConceptNameCodeSequence[0].CodeMeaning
                if item.ConceptNameCodeSequence[0].CodeValue == "118565006"
                else "Score"
            )
            found[" ".join([name, *derived])] = float(item.MeasuredValueSequence[0].NumericValue)
    return found


def test_the_report_has_the_figures(written: tuple[Path, Result]) -> None:
    folder, result = written
    inside = result.anomaly_map.data[result.segmentation.data > 0]
    lesion, brain = measurement_groups(folder)
    assert values(lesion) == {
        "Volume": result.report.volumes_ml.anomalous,
        "Score Mean": pytest.approx(inside.mean(), rel=1e-5),
        "Score Maximum": pytest.approx(inside.max(), rel=1e-5),
    }
    assert values(brain) == {
        "Volume": result.report.volumes_ml.brain,
        "Score Mean": pytest.approx(result.report.map.mean, rel=1e-5),
        "Score Maximum": pytest.approx(result.report.map.max, rel=1e-5),
    }
    segment = next(
        item
        for item in lesion
        if item.ConceptNameCodeSequence[0].CodeMeaning == "Referenced Segment"
    )
    assert (
        segment.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
        == objects(folder)[SEG].SOPInstanceUID
    )
    assert segment.ReferencedSOPSequence[0].ReferencedSegmentNumber == 1
    texts = [
        item.TextValue
        for item in [*lesion, *objects(folder)[REPORT].ContentSequence]
        if item.ValueType == "TEXT"
    ]
    assert WATERMARK in texts
    assert "threshold: 0.5" in texts
    assert "the brain was found by the test ? look at it" in texts, (
        "a warning, in characters that every set has"
    )


def test_codes_of_the_segment(written: tuple[Path, Result]) -> None:
    segment = objects(written[0])[SEG].SegmentSequence[0]
    found = {
        name: (segment[name].value[0].CodeValue, segment[name].value[0].CodingSchemeDesignator)
        for name in (
            "SegmentedPropertyCategoryCodeSequence",
            "SegmentedPropertyTypeCodeSequence",
            "AnatomicRegionSequence",
        )
    }
    assert found == {
        "SegmentedPropertyCategoryCodeSequence": ("49755003", "SCT"),
        "SegmentedPropertyTypeCodeSequence": ("52988006", "SCT"),
        "AnatomicRegionSequence": ("12738006", "SCT"),
    }
    algorithm = segment.SegmentationAlgorithmIdentificationSequence[0]
    assert algorithm.AlgorithmFamilyCodeSequence[0].CodeValue == "123110"
    assert objects(written[0])[SEG].SegmentationType == "BINARY"


def test_pictures(written: tuple[Path, Result]) -> None:
    """Colour, the notice burnt in (its colour is there, below and above nothing but black), the
    source with the outline beside it.
    """
    folder, _ = written
    pictures = [
        dataset for name, dataset in objects(folder).items() if name.startswith("secondary_capture")
    ]
    assert 1 <= len(pictures) <= 5
    for dataset in pictures:
        pixels = dataset.pixel_array
        assert dataset.SOPClassUID == SecondaryCaptureImageStorage
        assert (dataset.PhotometricInterpretation, dataset.BurnedInAnnotation) == ("RGB", "NO")
        assert pixels.shape[1:] == (1024, 3)
        notice = np.abs(pixels.astype(int) - (255, 157, 92)).sum(axis=2) < 60
        assert notice[-56:].sum() > 1000
        assert not notice[-56:, :100].any(), "the notice is whole"
        assert not notice[-56:, -100:].any()


DECISION = {"source": "flair", "target": "t2", "sha256": "ef"}


def test_uids_stay_from_version_to_version(tmp_path: Path) -> None:
    """An archive knows the objects of a result that is made again, whatever changed inside."""
    found = make_objects(result_on(write_kind("axial", tmp_path / "source"))).files
    assert found[SEG].SOPInstanceUID == "2.25.239895873286707634866205042398402959732"
    assert found[REPORT].SOPInstanceUID == "2.25.286854259603422600152868826503053711100"


def test_the_operating_point_is_among_the_parameters(tmp_path: Path) -> None:
    """And nothing new stands there where there is none."""
    result = result_on(write_kind("axial", tmp_path / "source"))
    point = changed(result.report, threshold={"operating_point": "specific"})
    without, with_point = (
        [item.value for item in make_objects(one).files[REPORT].iterall() if item.VR == "UT"]
        for one in (result, replace(result, report=point))
    )
    assert "operating point: specific" in with_point
    assert not any("operating point" in text for text in without)


@pytest.mark.parametrize(
    "change",
    [
        lambda result: replace(
            result, anomaly_map=result.anomaly_map.with_data(result.anomaly_map.data + 1e-3)
        ),
        lambda result: replace(result, report=changed(result.report, threshold={"value": 0.6})),
        lambda result: replace(
            result, report=changed(result.report, weights={"forward": {"sha256": "ef"}})
        ),
        lambda result: replace(
            result,
            report=changed(
                result.report,
                weights={**result.report.model_dump()["weights"], "decision": DECISION},
            ),
        ),
        lambda result: replace(result, report=changed(result.report, versions={"mmccd": "0.2.0"})),
    ],
    ids=["map", "threshold", "weights", "more weights", "version"],
)
def test_another_result_has_other_uids(tmp_path: Path, change: Callable[[Result], Result]) -> None:
    result = result_on(write_kind("axial", tmp_path / "source"))
    first, second = make_objects(result).files, make_objects(change(result)).files
    for name in first:
        assert first[name].SOPInstanceUID != second[name].SOPInstanceUID
        assert first[name].SeriesInstanceUID != second[name].SeriesInstanceUID


class TestHeadersInTheWild:
    """What a source lacks is empty in the objects; what cannot be done without is a warning."""

    def test_nothing_but_what_is_needed(self, tmp_path: Path) -> None:
        def strip(datasets: list[Dataset]) -> None:
            for dataset in datasets:
                for keyword in (
                    "PatientName",
                    "PatientID",
                    "PatientBirthDate",
                    "AccessionNumber",
                    "SpecificCharacterSet",
                    "SliceThickness",
                ):
                    del dataset[keyword]

        result = result_on(write_kind("axial", tmp_path / "source", strip))
        (tmp_path / "out").mkdir()
        assert len(write_dicom(result, tmp_path / "out").report.dicom or ()) > 2
        for dataset in objects(tmp_path).values():
            assert not dataset.PatientID
            assert not dataset.StudyDate
            assert len(dataset.ContentDate) == 8

    def test_values_that_are_not_valid(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
    ) -> None:
        def spoil(datasets: list[Dataset]) -> None:
            for dataset in datasets:
                dataset.PatientSex = "W"
                long = "much longer than sixteen characters"
                dataset["StudyID"] = DataElement("StudyID", "SH", long, validation_mode=IGNORE)
                dataset.PatientName = "Mustermann"
                dataset.add_new("SeriesNumber", "LO", "five")
                dataset.add_new("PatientBirthDate", "LO", "about 1960")
                dataset.add_new("StudyDate", "LO", "yesterday")

        result = result_on(write_kind("axial", tmp_path / "source", spoil))
        (tmp_path / "out").mkdir()
        write_dicom(result, tmp_path / "out")
        for dataset in objects(tmp_path).values():
            assert not dataset.PatientSex
            assert not dataset.StudyDate
            assert not dataset.PatientBirthDate
            assert dataset.SeriesNumber in (9001, 9002, 9003)
            assert str(dataset.PatientName) == "Mustermann"
        said = capfd.readouterr()
        assert "Mustermann" not in said.out + said.err + caplog.text

    @pytest.mark.parametrize(
        ("keyword", "says"),
        [
            ("StudyInstanceUID", "study instance UID"),
            ("FrameOfReferenceUID", "frame of reference UID"),
            ("SOPInstanceUID", "SOP instance UID"),
        ],
    )
    def test_what_is_needed(self, tmp_path: Path, keyword: str, says: str) -> None:
        def remove(datasets: list[Dataset]) -> None:
            for dataset in datasets:
                del dataset[keyword]

        result = result_on(write_kind("axial", tmp_path / "source", remove))
        (tmp_path / "out").mkdir()
        report = write_dicom(result, tmp_path / "out").report
        assert report.dicom == ()
        assert report.warnings[-1].startswith(
            f"no DICOM objects were written: a source file has no valid {says}"
        )
        assert list((tmp_path / "out").iterdir()) == []

    def test_what_nobody_expects(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A header that highdicom cannot take over costs the objects, not the run, and the error's
        text is not quoted.
        """

        def refuse(*_: object) -> None:
            raise ValueError("Mustermann")

        monkeypatch.setattr("mmccd.outputs.dicom.write.make_segmentation", refuse)
        report = write_dicom(result_on(write_kind("axial", tmp_path / "source")), tmp_path).report
        assert report.dicom == ()
        assert "the source's headers cannot be taken over (ValueError)" in report.warnings[-1]
        assert "Mustermann" not in str(report)

    @pytest.mark.parametrize(
        ("code", "name"),
        [("ISO_IR 100", "Müller^Jörg"), ("ISO_IR 144", "Люкceмбypг"), ("GB18030", "王^小东")],
    )
    def test_character_sets(self, tmp_path: Path, code: str, name: str) -> None:
        def rename(datasets: list[Dataset]) -> None:
            for dataset in datasets:
                dataset.SpecificCharacterSet, dataset.PatientName = code, name

        result = result_on(write_kind("axial", tmp_path / "source", rename))
        (tmp_path / "out").mkdir()
        write_dicom(result, tmp_path / "out")
        for dataset in objects(tmp_path).values():
            assert dataset.SpecificCharacterSet == code
            assert str(dataset.PatientName) == name


def test_headers_of_the_volume_stay_as_they_are(tmp_path: Path) -> None:
    for kind in ("multi-frame", "axial"):
        result = result_on(write_kind(kind, tmp_path / kind, lambda datasets: None))
        before = [header.to_json() for header in result.image.headers]
        make_objects(result)
        assert [header.to_json() for header in result.image.headers] == before


def test_a_volume_on_another_grid_is_a_defect(tmp_path: Path) -> None:
    volume = read_volume(write_kind("axial", tmp_path / "source"), "flair")
    with pytest.raises(ValueError, match="not on the grid"):
        Source.of(replace(volume, data=volume.data[:, :, 1:]))


def test_nifti_has_no_objects(tmp_path: Path) -> None:
    volume = read_volume(write_kind("axial", tmp_path / "source"), "flair")
    result = result_of(replace(volume, headers=()))
    assert write_dicom(result, tmp_path / "out") is result
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    result = result_on(write_kind("axial", tmp_path / "source"))
    with pytest.raises(OutputError, match="cannot be written") as caught:
        write_dicom(result, tmp_path / "out" / "not there")
    assert "\n" not in str(caught.value)


def test_nothing_of_the_patient_in_the_report(written: tuple[Path, Result]) -> None:
    """report.json lists files, classes and the objects' own UIDs."""
    folder, result = written
    entries = result.report.dicom or ()
    assert [Path(entry.file).name for entry in entries] == [
        "segmentation.dcm",
        *sorted(set(objects(folder)) - {SEG, REPORT}),
        "report.dcm",
    ]
    assert {entry.sop_class for entry in entries} == {
        "Segmentation Storage",
        "Secondary Capture Image Storage",
        "Comprehensive 3D SR Storage",
    }
    source = sources(folder)[0]
    assert not any(
        str(source[name].value) in str(entries)
        for name in ("StudyInstanceUID", "SeriesInstanceUID", "PatientID")
    )


def test_same_voxels_when_all_frames_are_asked_for(tmp_path: Path) -> None:
    """With a lesion in every slice the whole volume comes back, voxel by voxel."""
    result = result_on(write_kind("oblique", tmp_path / "source"))
    full = np.zeros(result.segmentation.shape, dtype=np.uint8)
    full[3:9, 5:11] = 1
    full[4, 6, 2] = 0
    result = replace(result, segmentation=result.segmentation.with_data(full))
    (tmp_path / "out").mkdir()
    write_dicom(result, tmp_path / "out")
    array, affine = columns_rows_slices(
        highdicom.seg.segread(tmp_path / "out" / "dicom" / SEG).get_volume(combine_segments=True)
    )
    assert_same_in_patient_space(result.segmentation, array, affine)
