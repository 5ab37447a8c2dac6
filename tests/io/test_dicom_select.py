"""mmccd.io.dicom.select: what counts as FLAIR, and which of several is taken."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from tests.io.dicom_files import AXIAL, save_all, single_frames, voxels

from mmccd.core.errors import InputError, UnsuitableInputError
from mmccd.io.dicom.contrast import FLAIR, OTHER, UNKNOWN, contrast
from mmccd.io.dicom.header import clean
from mmccd.io.dicom.scan import scan
from mmccd.io.dicom.select import choose

CORONAL = AXIAL[:, [0, 2, 1, 3]]
SAGITTAL = AXIAL[:, [1, 2, 0, 3]]
NO_TIMES = {
    "RepetitionTime": None,
    "EchoTime": None,
    "InversionTime": None,
    "ScanningSequence": None,
}
FLAIR_TIMES = {"RepetitionTime": 9000.0, "EchoTime": 120.0, "InversionTime": 2500.0}


def add(
    folder: Path,
    number: int,
    description: str = "",
    shape: tuple[int, int, int] = (6, 5, 6),
    affine: Any = AXIAL,
    **header: object,
) -> str:
    """A series in a subfolder; returns its UID."""
    uid = f"1.2.3.{number}"
    datasets = single_frames(voxels(shape), affine, uid, number, description)
    for dataset in datasets:
        for name, value in header.items():
            setattr(dataset, name, value)
    save_all(datasets, folder / str(number))
    return uid


NAMES = [
    ("t2_flair_tra", NO_TIMES, FLAIR),
    ("Ax FLAIR", NO_TIMES, FLAIR),
    ("AX T2FLAIR FS", NO_TIMES, FLAIR),
    ("3D_Brain_VIEW_FLAIR_SHC", NO_TIMES, FLAIR),
    ("t2_tirm_tra_dark-fluid", NO_TIMES, FLAIR),
    ("t2_space_dark_fluid_sag", NO_TIMES, FLAIR),
    ("t2_spc_da-fl_sag_p2_iso", NO_TIMES, FLAIR),
    ("FLAIR post contrast", NO_TIMES, FLAIR),
    ("cor T1 FLAIR", NO_TIMES, OTHER),
    ("flair", {**FLAIR_TIMES, "InversionTime": 750.0}, OTHER),
    ("flair", {**FLAIR_TIMES, "InversionTime": 0.0}, FLAIR),
    ("flair", {**FLAIR_TIMES, "InversionTime": 1500.0}, FLAIR),
    ("flair", {**FLAIR_TIMES, "InversionTime": 3000.0}, FLAIR),
    ("flair", {**FLAIR_TIMES, "InversionTime": 3001.0}, OTHER),
    ("", FLAIR_TIMES, FLAIR),
    ("t2_tirm_tra", FLAIR_TIMES, FLAIR),
    ("", {**FLAIR_TIMES, "RepetitionTime": 3999.0}, OTHER),
    ("", {**FLAIR_TIMES, "EchoTime": 59.0}, OTHER),
    ("", {**FLAIR_TIMES, "InversionTime": None}, UNKNOWN),
    ("", NO_TIMES, UNKNOWN),
    ("brain", NO_TIMES, UNKNOWN),
    ("ax t2 tse", {**FLAIR_TIMES, "InversionTime": None}, OTHER),
    ("t1_mprage", NO_TIMES, OTHER),
    ("MP-RAGE", NO_TIMES, OTHER),
    ("PD", NO_TIMES, OTHER),
    ("ep2d_diff_3scan_trace", FLAIR_TIMES, OTHER),
    ("ADC", NO_TIMES, OTHER),
    ("t2_spc_dir_ns_sag", FLAIR_TIMES, OTHER),
    ("pcasl 3d", {**FLAIR_TIMES, "InversionTime": 1800.0}, OTHER),
    ("SWI", NO_TIMES, OTHER),
    ("t2_stir_cor", NO_TIMES, OTHER),
    ("direct flair", NO_TIMES, FLAIR),
]


@pytest.mark.parametrize(("description", "times", "kind"), NAMES)
def test_contrast(tmp_path: Path, description: str, times: dict[str, Any], kind: str) -> None:
    add(tmp_path, 1, description, (3, 3, 3), **times)
    found = contrast(scan(tmp_path).series[0])
    assert found.kind == kind
    assert bool(found.reason) == (kind != FLAIR)


class TestRank:
    """Of several FLAIR series; the one that should win has the larger number, so that the order of
    numbers does not decide.
    """

    @pytest.mark.parametrize(
        ("worse", "better"),
        [
            pytest.param(
                {"description": "flair", **NO_TIMES}, {"description": "flair"}, id="name and times"
            ),
            pytest.param(
                {"affine": SAGITTAL @ [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 6, 0], [0, 0, 0, 1]]},
                {},
                id="axial before thick sagittal",
            ),
            pytest.param(
                {"affine": CORONAL @ [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 4, 0], [0, 0, 0, 1]]},
                {"affine": SAGITTAL},
                id="thin before thick",
            ),
            pytest.param({"affine": SAGITTAL}, {}, id="axial before thin sagittal"),
            pytest.param({"shape": (6, 5, 4)}, {"shape": (6, 5, 7)}, id="more slices"),
        ],
    )
    def test_the_better_one(
        self, tmp_path: Path, worse: dict[str, Any], better: dict[str, Any]
    ) -> None:
        add(tmp_path, 1, **{"description": "flair", **worse})
        uid = add(tmp_path, 2, **{"description": "flair", **better})
        choice = choose(scan(tmp_path), tmp_path)
        assert choice.series.uid == uid
        (finding,) = choice.findings
        assert finding.code == "dicom.several_series"
        assert 'series 1 "flair"' in finding.text

    def test_the_earlier_one_of_equals(self, tmp_path: Path) -> None:
        add(tmp_path, 12, "flair")
        uid = add(tmp_path, 3, "flair")
        assert choose(scan(tmp_path), tmp_path).series.uid == uid

    def test_a_broken_one_is_no_candidate(self, tmp_path: Path) -> None:
        add(tmp_path, 1, "flair", (6, 5, 2))
        uid = add(tmp_path, 2, "flair")
        choice = choose(scan(tmp_path), tmp_path)
        assert choice.series.uid == uid
        assert choice.findings == ()

    def test_flair_before_the_unknown(self, tmp_path: Path) -> None:
        add(tmp_path, 1, "brain", (6, 5, 20), **NO_TIMES)
        uid = add(tmp_path, 2, "flair", **NO_TIMES)
        choice = choose(scan(tmp_path), tmp_path)
        assert choice.series.uid == uid
        assert choice.findings == ()


class TestErrors:
    """What is said where nothing fits."""

    def test_every_series_is_listed_with_its_reason(self, tmp_path: Path) -> None:
        add(tmp_path, 1, "localizer")
        add(tmp_path, 2, "t1", **NO_TIMES)
        add(tmp_path, 3, "ct", Modality="CT")
        with pytest.raises(UnsuitableInputError) as caught:
            choose(scan(tmp_path), tmp_path)
        message = str(caught.value)
        for words in (
            'series 1 "localizer" (UID 1.2.3.1): a localiser',
            "not FLAIR (named t1)",
            "modality CT",
            "--series UID",
        ):
            assert words in message
        assert "\n" not in message

    def test_a_long_list_is_cut(self, tmp_path: Path) -> None:
        for number in range(20):
            add(tmp_path, number, "t1", (3, 3, 3), **NO_TIMES)
        with pytest.raises(UnsuitableInputError, match="and 8 more"):
            choose(scan(tmp_path), tmp_path)

    def test_only_damaged_series_are_unreadable(self, tmp_path: Path) -> None:
        add(tmp_path, 1, "flair", Rows=None)
        for file in (tmp_path / "1").iterdir():
            whole = file.read_bytes()
            file.write_bytes(whole[: whole.index(b"\xe0\x7f\x10\x00")])
        with pytest.raises(InputError):
            choose(scan(tmp_path), tmp_path)
        add(tmp_path, 2, "t1", **NO_TIMES)
        with pytest.raises(UnsuitableInputError):
            choose(scan(tmp_path), tmp_path)

    def test_an_unknown_uid_lists_those_that_are_there(self, tmp_path: Path) -> None:
        add(tmp_path, 1, "flair")
        with pytest.raises(InputError, match=re.escape('series 1 "flair" (UID 1.2.3.1)')):
            choose(scan(tmp_path), tmp_path, "1.2.3.9")


class TestClean:
    """Text from a header in a message."""

    @pytest.mark.parametrize(
        ("text", "secrets", "result"),
        [
            ("t2 flair", (), "t2 flair"),
            ("  a \r\n\t b\x1b[31m\0 ", (), "a b [31m"),
            ("x" * 100, (), "x" * 37 + "..."),
            ("x" * 40, (), "x" * 40),
            ("flair Doe JOHN", ("doe", "john"), "flair *** ***"),
            ("flair doe-john", ("doe", "doe-john"), "flair ***"),
            ("Gehirn 脑 é", (), "Gehirn 脑 é"),
            ("a(b", ("(b",), "a***"),
            ("\u202eflair\u200b", (), "flair"),
        ],
    )
    def test_table(self, text: str, secrets: tuple[str, ...], result: str) -> None:
        assert clean(text, secrets) == result

    @pytest.mark.parametrize(
        ("text", "result"),
        [
            ("t2_flair 20240305", "t2_flair ***"),
            ("flair_2024-03-05", "flair_***"),
            ("Kopf vom 5.3.24", "Kopf vom ***"),
            ("FLAIR 03/05/2024", "FLAIR ***"),
            ("FLAIR 5 Mar 2024", "FLAIR ***"),
            ("control 05032024", "control ***"),
            ("20240305101112", "***"),
            ("t2_space_1.0x1.0x1.0", "t2_space_1.0x1.0x1.0"),
            ("FLAIR 3D 0.9 0.9 1.2", "FLAIR 3D 0.9 0.9 1.2"),
            ("TR 9000 TE 120", "TR 9000 TE 120"),
            ("series 1912345678", "series 1912345678"),
        ],
    )
    def test_dates(self, text: str, result: str) -> None:
        assert clean(text) == result
