"""mmccd.data.patients: who is examined, by the names of cases."""

from __future__ import annotations

import pytest

from mmccd.core.errors import UsageError
from mmccd.data.patients import grouping, is_visit_alone, patient_by, patient_of, visit_of

VISITS = {
    "sub-01": ("sub-01", "sub-01_ses-1", "sub-01_ses-baseline_acq-3d_run-2"),
    "PatientID_0001": ("PatientID_0001_Timepoint_1", "PatientID_0001_Timepoint_12"),
    "UCSD-PTGBM-0001": ("UCSD-PTGBM-0001_01", "UCSD-PTGBM-0001_02"),
    "P001": (
        "P001-2021-03-01",
        "P001_20210301",
        "P001_20210301_142233",
        "P001_01.03.2021",
        "P001_210301",
        "P001_2021-03",
        "P001_2021",
        "20210301_P001",
        "P001_visit2",
        "visit1_P001",
        "baseline_P001",
        "P001_followup",
        "P001_FU2",
        "P001_V02",
        "P001_M12",
        "P001_w4",
        "P001_scan_3",
        "P001 week 6",
        "P001a",
        "P001_b",
        "P001_S2",
        "P001.2",
        "P001_visit_1_MR",
    ),
    "sub01": ("sub01_pre", "sub01_post-op"),
    "smith": ("smith_20210301", "smith_ses-2", "smith_visit1"),
    "BraTS-GLI-00005": ("BraTS-GLI-00005-000", "BraTS-GLI-00005-100"),
    "BraTS-MEN-RT-0001": ("BraTS-MEN-RT-0001-1",),
    "BraTS19_2013_10": ("BraTS19_2013_10_1",),
    "TCGA_CS_4942": ("TCGA_CS_4942_19970222", "TCGA_CS_4942_19980101"),
    "TCGA-02-0006": ("TCGA-02-0006_1996.08.23",),
    "W1": ("W1_1996.09.23",),
    "UPENN-GBM-00001": ("UPENN-GBM-00001_11", "UPENN-GBM-00001_21"),
    "UCSF-PDGM-0004": ("UCSF-PDGM-0004", "UCSF-PDGM-0004_FU001d"),
    "Patient-001": ("Patient-001_week-000-1", "Patient-001_week-044"),
    "OAS30001": ("OAS30001_MR_d0129", "OAS30001_MR_d2430"),
    "OAS2_0001": ("OAS2_0001_MR1", "OAS2_0001_MR2"),
    "002_S_0295": ("002_S_0295_2006-04-18", "ADNI_002_S_0295_MR_MPRAGE_20070525_1"),
    "PPMI_3102": ("PPMI_3102_MR_T2_20110923",),
    "1234567": ("1234567_20253_2_0", "1234567_20253_3_0"),
    "HCA6002236": ("HCA6002236_V1_MR", "HCA6002236_V2_MR"),
    "MSLESSEG_P14": ("MSLESSEG_P14_T1", "MSLESSEG_P14_T2"),
    "training01": ("training01_01", "training01_04"),
    "phantom_training_seg_13": ("phantom_training_seg_13_0042",),
}
OWN = (
    "BraTS20_Training_001",
    "BraTS2021_00003",
    "OPENMS_07",
    "OPENMS_L01",
    "FG6692",
    "IXI012-HH-1211",
    "900-00-1961",
    "100307",
    "case_1",
    "patient01",
    "site01_001",
    "2021_001",
    "HC_M001",
    "control_scan_001",
    "control_baseline_001",
    "study2_patient_003",
    "TCGA_DU_A5TY",
    "phantom_builtin_0042",
    "ses-1",
    "-",
    "",
)


@pytest.mark.parametrize(
    ("name", "patient"), [(name, patient) for patient, names in VISITS.items() for name in names]
)
def test_visits_of_one_patient(name: str, patient: str) -> None:
    assert patient_of(name) == patient


@pytest.mark.parametrize("name", OWN)
def test_patients_of_their_own(name: str) -> None:
    assert patient_of(name) == name


@pytest.mark.parametrize("name", ["ses-1", "Timepoint_1", "20210301", "2021-03-01", "01", "T2"])
def test_a_visit_alone(name: str) -> None:
    assert is_visit_alone(name)


@pytest.mark.parametrize("name", ["P001", "BraTS20_Training_001", "case_1", "sub-01"])
def test_no_visit_alone(name: str) -> None:
    assert not is_visit_alone(name)


@pytest.mark.parametrize("pattern", ["A\\d+", "(A\\d+)x", "^[^x]+"])
def test_patients_by_a_pattern(pattern: str) -> None:
    names = ["A1xfirst", "A1xsecond", "A2xfirst"]
    find = patient_by(pattern, names)
    assert [find(name) for name in names] == ["A1", "A1", "A2"]


@pytest.mark.parametrize(
    ("pattern", "said"), [("(", "regular expression"), ("B", "2 of 2"), ("A(z)?", "2 of 2")]
)
def test_patterns_that_find_nobody(pattern: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as error:
        patient_by(pattern, ["A1", "A2"])
    assert "A1" not in str(error.value)


def test_how_cases_are_grouped_is_said_without_names() -> None:
    assert grouping(["p", "p", "q"], "their names") == (
        "3 cases are visits of 2 patients by their names",
        True,
    )
    text, is_worth_a_warning = grouping(["p", "q"], "their names")
    assert not is_worth_a_warning
    assert "each is a patient of its own" in text


@pytest.mark.parametrize(
    ("name", "visit"),
    [
        ("sub-01_ses-baseline_run-2", "baseline"),
        ("sub-01_run-2", ""),
        ("P001_2020-03-05", "2020-03-05"),
        ("UCSD-PTGBM-0001_01", "01"),
        ("MSLESSEG_P14_T2", "T2"),
        ("BraTS2021_00003", ""),
    ],
)
def test_which_visit(name: str, visit: str) -> None:
    assert visit_of(name) == visit
