"""mmccd.outputs.dicom.conform: values that are valid, whatever they were."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings, strategies as st
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from tests.io.dicom_files import as_archived, write_series
from tests.outputs.dicom.geometries import errors, said_by_dciodvfy
from tests.outputs.dicom.results import result_on

from mmccd.core import OutputChoice
from mmccd.outputs.dicom.conform import conform
from mmccd.outputs.dicom.source import tolerant
from mmccd.outputs.dicom.write import write_dicom

ALL = OutputChoice(objects=("segmentation", "pictures", "report", "pdf"))


def conformed(keyword: str, vr: str, value: Any) -> tuple[Any, set[str]]:
    """What becomes of a value, None where it is left out."""
    with tolerant():
        dataset = Dataset()
        dataset.add(DataElement(keyword, vr, value))
        cut = conform(dataset)
        found = dataset.get(keyword)
        return (str(found) if vr in ("PN", "DS") and found is not None else found), cut


@pytest.mark.parametrize(
    ("keyword", "vr", "value", "expected"),
    [
        ("StudyDescription", "LO", "x" * 65, "x" * 64),
        ("StudyDescription", "LO", "x" * 64, "x" * 64),
        ("StudyID", "SH", "much longer than sixteen characters", "much longer than"),
        ("StudyDescription", "LO", "one\ntwo\x00", "one two"),
        ("AdditionalPatientHistory", "LT", "one\r\ntwo\x07", "one\r\ntwo"),
        ("PatientName", "PN", "A" * 70 + "^Erika", "A" * 64),
        ("PatientName", "PN", "Wang^XiaoDong=" + "王" * 70, "Wang^XiaoDong=" + "王" * 64),
        ("PatientName", "PN", "a^b^c^d^e^f", "a^b^c^d^e f"),
        ("PatientWeight", "DS", "80.123456789012345", "80.1234567890124"),
        ("EchoTime", "DS", "-0.00012345678901234", "-0.0001234567890"),
        ("PatientSize", "DS", "1.8", "1.8"),
        ("PatientSize", "LO", "tall", None),
        ("PatientSize", "LO", "nan", None),
        ("PatientSize", "DS", "0.0", None),
        ("PatientSize", "LO", "", ""),
        ("PatientSex", "CS", "W", None),
        ("PatientSex", "CS", "F", "F"),
        ("PatientAge", "AS", "61 years", None),
        ("StudyDate", "DA", "2024.03.05", None),
        ("StudyTime", "TM", "10:11:12", None),
        ("StudyTime", "TM", "101112.123456", "101112.123456"),
        ("AcquisitionDateTime", "DT", "20240305102101.25+0100", "20240305102101.25+0100"),
        ("AcquisitionDateTime", "DT", "today", None),
    ],
)
def test_one_value(keyword: str, vr: str, value: str, expected: str | None) -> None:
    found, cut = conformed(keyword, vr, value)
    assert found == expected
    assert cut <= {keyword}


def test_what_is_cut_is_told() -> None:
    assert conformed("StudyID", "SH", "x" * 17)[1] == {"StudyID"}
    assert conformed("StudyID", "SH", "x" * 16)[1] == set()
    assert conformed("StudyDescription", "LO", "one\ntwo")[1] == set()
    assert conformed("PatientName", "PN", "A" * 70)[1] == {"PatientName"}


def test_in_sequences_and_of_another_type() -> None:
    inner, dataset = Dataset(), Dataset()
    with tolerant():
        inner.add(DataElement("CodeMeaning", "LO", "x" * 70))
        dataset.RequestAttributesSequence = [inner]
        dataset.add(DataElement("PatientID", "ST", "PID"))
        assert conform(dataset) == {"CodeMeaning"}
    assert len(dataset.RequestAttributesSequence[0].CodeMeaning) == 64
    assert dataset["PatientID"].VR == "LO"


NO_SHRINKING = (Phase.explicit, Phase.generate)
"""Each example takes a second."""
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\\"), max_size=90)
KEYWORDS = ("StudyDescription", "StudyID", "PatientID", "AccessionNumber", "PatientComments")
CODES = ("PatientSex", "PatientAge", "StudyDate", "StudyTime", "PatientWeight", "PatientSize")


@pytest.mark.slow
@settings(max_examples=8, deadline=None, derandomize=True, database=None, phases=NO_SHRINKING)
@given(
    texts=st.fixed_dictionaries(dict.fromkeys(KEYWORDS, WORDS)),
    codes=st.fixed_dictionaries(dict.fromkeys(CODES, WORDS)),
    name=st.text(st.characters(codec="utf-8", exclude_characters="\\"), min_size=1, max_size=200),
)
def test_headers_of_any_text(texts: dict[str, str], codes: dict[str, str], name: str) -> None:
    """The objects are there, and dciodvfy finds no error in them."""

    def spoil(datasets: list[Dataset]) -> None:
        as_archived(datasets)
        with tolerant():
            for dataset in datasets:
                dataset.SpecificCharacterSet = "ISO_IR 192"
                dataset.PatientName = name
                for keyword, text in texts.items():
                    setattr(dataset, keyword, text)
                for keyword, text in codes.items():
                    dataset.add_new(keyword, "LO", text)

    with tempfile.TemporaryDirectory() as folder, tolerant():
        source = write_series(Path(folder) / "source", spoil)
        result = write_dicom(result_on(source), Path(folder), ALL)
        assert len(result.report.dicom or ()) > 3, result.report.warnings
        for path in sorted((Path(folder) / "dicom").iterdir()):
            if shutil.which("dciodvfy"):
                assert errors(said_by_dciodvfy(path)) == [], path.name


def test_a_cut_text_is_a_warning(tmp_path: Path) -> None:
    """In the report, by the attribute's name, and without what it says; in the structured report,
    too.
    """

    def lengthen(datasets: list[Dataset]) -> None:
        as_archived(datasets)
        for dataset in datasets:
            dataset.StudyID = "S" * 30

    with tolerant():
        source = write_series(tmp_path / "source", lengthen)
        result = write_dicom(result_on(source), tmp_path, ALL)
    (finding,) = result.report.findings
    assert finding.code == "dicom.text_cut"
    assert "(StudyID)" in finding.text
    assert "SSS" not in str(result.report)
    report = (tmp_path / "dicom" / "report.dcm").read_bytes()
    assert b"they were cut in the DICOM objects (StudyID)" in report
