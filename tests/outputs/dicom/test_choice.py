"""What is written: kinds of objects, a segment for each lesion, the PDF."""

from __future__ import annotations

import json
import re
import shutil
import zlib
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pydicom
import pytest
from highdicom.seg import segread
from pydicom.dataset import Dataset
from tests.io.dicom_files import SECRETS, as_archived, write_series
from tests.outputs.dicom.geometries import errors, said_by_dciodvfy
from tests.outputs.dicom.results import result_on, with_lesions
from tests.reports import changed

from mmccd import NOTICE
from mmccd.core import OutputChoice, Result, UnsuitableInputError
from mmccd.outputs import check_there_is_an_output, write_outputs
from mmccd.outputs.dicom.write import make_objects, write_dicom

KINDS = {
    "segmentation": {"segmentation.dcm"},
    "pictures": {"secondary_capture_1.dcm"},
    "report": {"report.dcm"},
    "pdf": {"report_pdf.dcm"},
}
MODALITIES = {"segmentation": "SEG", "pictures": "OT", "report": "SR", "pdf": "DOC"}
LESIONS = OutputChoice(objects=tuple(KINDS), segment_each_lesion=True)


@pytest.fixture
def result(tmp_path: Path) -> Result:
    return with_lesions(result_on(write_series(tmp_path / "source", as_archived)))


def names(folder: Path) -> set[str]:
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and not re.search(r"capture_[2-9]", path.name)
    }


@pytest.mark.parametrize(
    "kinds", [kinds for count in (1, 2, 4) for kinds in combinations(KINDS, count)]
)
def test_which_objects(tmp_path: Path, result: Result, kinds: tuple[str, ...]) -> None:
    """Those, and no others; each valid, the report without a segmentation, too."""
    choice = OutputChoice(objects=kinds)
    (tmp_path / "out").mkdir()
    written = write_dicom(result, tmp_path / "out", choice)
    expected = set().union(*(KINDS[kind] for kind in kinds))
    assert names(tmp_path / "out" / "dicom") == expected
    datasets = [pydicom.dcmread(path) for path in (tmp_path / "out" / "dicom").iterdir()]
    assert {one.Modality for one in datasets} == {MODALITIES[kind] for kind in kinds}
    assert {one.Modality for one in datasets} == choice.modalities
    assert len(written.report.dicom or ()) == len(datasets)
    if shutil.which("dciodvfy"):
        for path in (tmp_path / "out" / "dicom").iterdir():
            assert errors(said_by_dciodvfy(path)) == [], path.name


IMAGES = {
    "anomaly_map.nii.gz",
    "thumbnail.jpg",
    "segmentation.nii.gz",
    "brain_mask.nii.gz",
    "overview.png",
    "report.html",
}
DICOM = {"dicom/segmentation.dcm", "dicom/secondary_capture_1.dcm", "dicom/report.dcm"}


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [("both", IMAGES | DICOM), ("dicom", DICOM), ("images", IMAGES)],
)
def test_dicom_images_or_both(
    tmp_path: Path,
    result: Result,
    outputs: str,
    expected: set[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "mmccd.outputs.report.write.write_page", lambda result, path: path.write_text("page")
    )
    (tmp_path / "out").mkdir()
    choice = OutputChoice.of(outputs, "segmentation,pictures,report", "one")
    write_outputs(result, tmp_path / "out", choice)
    assert names(tmp_path / "out") == {*expected, "report.json"}
    listed = json.loads((tmp_path / "out" / "report.json").read_text()).get("dicom")
    assert (listed is None) == (outputs == "images")


class TestOnlyObjects:
    """Where none can be made, that is said before any work is done."""

    def test_of_nifti(self, result: Result, tmp_path: Path) -> None:
        choice = OutputChoice(images=False)
        check_there_is_an_output(result.image, choice, tmp_path)
        image = replace(result.image, headers=())
        check_there_is_an_output(image, OutputChoice(), tmp_path)
        with pytest.raises(UnsuitableInputError, match="the input is no DICOM series") as caught:
            check_there_is_an_output(image, choice, tmp_path)
        assert caught.value.code == "dicom.no_objects"

    def test_of_headers_that_cannot_be_used(self, result: Result, tmp_path: Path) -> None:
        header = Dataset()
        header.update(result.image.headers[0])
        del header.FrameOfReferenceUID
        image = replace(result.image, headers=(header,))
        with pytest.raises(UnsuitableInputError, match="no valid frame of reference UID"):
            check_there_is_an_output(image, OutputChoice(images=False), tmp_path)


class TestASegmentForEachLesion:
    """Numbered and labelled as in the report's list."""

    def test_segments(self, result: Result, tmp_path: Path) -> None:
        write_dicom(result, tmp_path, LESIONS)
        segmentation = segread(tmp_path / "dicom" / "segmentation.dcm")
        assert [one.SegmentLabel for one in segmentation.SegmentSequence] == [
            "Lesion 1",
            "Lesion 2",
            "Lesion 3",
        ]
        for number, lesion in enumerate(result.report.lesions, 1):
            volume = segmentation.get_volume(segment_numbers=[number], combine_segments=True)
            places = np.argwhere(volume.array > 0) @ volume.affine[:3, :3].T + volume.affine[:3, 3]
            np.testing.assert_allclose(
                places.mean(axis=0) * [-1, -1, 1], lesion.centre_mm, atol=0.011
            )
            millilitres = len(places) * result.image.voxel_ml
            assert millilitres == pytest.approx(lesion.volume_ml, abs=1e-4)

    def test_measurements(self, result: Result) -> None:
        files = make_objects(result, LESIONS).files
        tracked = {
            one.TrackingUID: (one.TrackingID, one.SegmentNumber)
            for one in files["segmentation.dcm"].SegmentSequence
        }
        found = {}
        container = files["report.dcm"].ContentSequence
        for item in container:
            if item.ConceptNameCodeSequence[0].CodeMeaning != "Imaging Measurements":
                continue
            for group in item.ContentSequence:
                by_name = {
                    one.ConceptNameCodeSequence[0].CodeMeaning: one for one in group.ContentSequence
                }
                name = by_name["Tracking Identifier"].TextValue
                volume = float(by_name["Volume"].MeasuredValueSequence[0].NumericValue)
                segment = None
                if "Referenced Segment" in by_name:
                    reference = by_name["Referenced Segment"].ReferencedSOPSequence[0]
                    segment = reference.ReferencedSegmentNumber
                    uid = by_name["Tracking Unique Identifier"].UID
                    assert tracked[uid] == (name, segment)
                found[name] = volume, segment
        assert found == {
            "MMCCD anomaly": (result.report.volumes_ml.anomalous, None),
            **{
                f"MMCCD lesion {number}": (pytest.approx(lesion.volume_ml), number)
                for number, lesion in enumerate(result.report.lesions, 1)
            },
            "MMCCD whole brain": (result.report.volumes_ml.brain, None),
        }

    def test_what_is_not_listed(self, result: Result) -> None:
        listed = changed(result.report, lesions=[result.report.lesions[0].model_dump(mode="json")])
        files = make_objects(replace(result, report=listed), LESIONS).files
        labels = [one.SegmentLabel for one in files["segmentation.dcm"].SegmentSequence]
        assert labels == ["Lesion 1", "Further lesions"]

    def test_nothing_found(self, result: Result) -> None:
        nothing = replace(
            result,
            segmentation=result.segmentation.with_data(np.zeros_like(result.segmentation.data)),
            report=changed(result.report, lesions=[], anomaly_found=False),
        )
        files = make_objects(nothing, LESIONS).files
        assert [one.SegmentLabel for one in files["segmentation.dcm"].SegmentSequence] == [
            "Anomaly"
        ]

    def test_valid_and_other_than_one_segment(self, result: Result, tmp_path: Path) -> None:
        written = write_dicom(result, tmp_path, LESIONS)
        one = {name: uid.SOPInstanceUID for name, uid in make_objects(result).files.items()}
        each = {Path(one.file).name: one.sop_instance_uid for one in written.report.dicom or ()}
        assert one["segmentation.dcm"] != each["segmentation.dcm"]
        assert one["report.dcm"] != each["report.dcm"]
        if shutil.which("dciodvfy"):
            for path in (tmp_path / "dicom").iterdir():
                assert errors(said_by_dciodvfy(path)) == [], path.name


def text_of(pdf: bytes) -> str:
    """All streams of a document, unpacked."""
    found = b""
    for part in re.findall(rb"stream\r?\n(.*?)endstream", pdf, re.DOTALL):
        try:
            found += zlib.decompress(part)
        except zlib.error:
            found += part
    return (pdf + found).decode("latin-1")


class TestPdf:
    """A document of the study, with the patient in its header only."""

    def test_object(self, result: Result) -> None:
        dataset = make_objects(result, OutputChoice(objects=("pdf",))).files["report_pdf.dcm"]
        assert dataset.SOPClassUID == pydicom.uid.EncapsulatedPDFStorage
        assert dataset.PatientID == "PID-4711"
        assert dataset.AcquisitionDateTime == "20240305102101.25"
        content = dataset.EncapsulatedDocument[: dataset.EncapsulatedDocumentLength]
        assert content.startswith(b"%PDF-")
        assert content.rstrip().endswith(b"%%EOF")
        text = text_of(content)
        assert NOTICE in text
        assert not [secret for secret in (*SECRETS, "Jörg") if secret in text]
        assert "CreationDate" not in text

    def test_the_words(self, result: Result) -> None:
        from mmccd.outputs.report.pdf import sections_of
        from mmccd.outputs.report.wording import input_sentence

        report = changed(result.report, warnings=['series 5 "Mustermann" was asked for'])
        sections = {
            one.heading: one.lines for one in sections_of(replace(result, report=report), ["more"])
        }
        regions = sections["Connected regions above the threshold"]
        assert regions[1].split()[:2] == ["1", f"{report.lesions[0].volume_ml:.2f}"]
        assert sections["Warnings"] == ("- series 5 was asked for",)
        assert sections["Result"][0] == f"Input: {input_sentence(report)}."
        assert sections["Result"][-1] == "more"

    def test_many_lines_take_more_pages(self, result: Result) -> None:
        from mmccd.outputs.report.pdf import sections_of, write_pdf

        report = changed(result.report, warnings=[f"warning {n} " * 12 for n in range(40)])
        pages = [
            write_pdf(one, sections_of(one)).count(b"/Type /Page ")
            for one in (result, replace(result, report=report))
        ]
        assert pages[0] < pages[1]
