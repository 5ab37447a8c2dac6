"""Which series is taken, and which files of a folder belong to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from tests.io.dicom_files import (
    AXIAL,
    assert_same_in_patient_space,
    multi_frame,
    save,
    save_all,
    single_frames,
    voxels,
    write_series,
)

from mmccd.apps.cli import cli
from mmccd.core import InputError, MmccdError, UnsuitableInputError, Volume
from mmccd.io import choose, read_volume, scan
from mmccd.jobs.find import find_inputs, find_studies

T1_TIMES = {"RepetitionTime": 500.0, "EchoTime": 9.0, "InversionTime": None}
NO_TIMES = {"RepetitionTime": None, "EchoTime": None, "InversionTime": None}
DERIVED = ["DERIVED", "SECONDARY", "MPR"]
PLAIN = ["ORIGINAL", "PRIMARY", "M"]


def add(
    folder: Path,
    number: int = 3,
    description: str = "Ax T2 FLAIR",
    shape: tuple[int, int, int] = (6, 5, 6),
    affine: Any = AXIAL,
    slices: slice = slice(None),
    **header: object,
) -> str:
    """A series in a subfolder; returns its UID."""
    uid = f"1.2.3.{number}"
    datasets = single_frames(voxels(shape), affine, uid, number, description)[slices]
    for dataset in datasets:
        dataset.FrameOfReferenceUID = "1.2.3.1000"
        for name, value in header.items():
            setattr(dataset, name, value)
    save_all(datasets, folder / str(number))
    return uid


def taken(folder: Path) -> tuple[int | None, list[str]]:
    """Number of the series that is taken, and the codes of the warnings."""
    choice = choose(scan(folder), folder)
    return choice.series.first.number, [finding.code for finding in choice.findings]


def refusal(folder: Path, kind: type[MmccdError] = UnsuitableInputError) -> MmccdError:
    with pytest.raises(kind) as caught:
        read_volume(folder)
    assert "\n" not in str(caught.value)
    return caught.value


GE, SIEMENS, PHILIPS = "GE MEDICAL SYSTEMS", "SIEMENS", "Philips Medical Systems"
PROTOCOLS = [
    ("Ax T2 FLAIR", "BRAIN W/O + SWAN + DTI", GE, True),
    ("Ax T2 FLAIR", "STROKE: DWI FLAIR MRA", GE, True),
    ("Ax T2 FLAIR", "BRAIN W/O + SWAN + DTI", "", True),
    ("Sag CUBE FLAIR", "SURVEY, T1, DIR", "GE HEALTHCARE", True),
    ("T2W_FLAIR", "Head Perfusion", PHILIPS, True),
    ("FLAIR_AX", "HEAD MRA", "TOSHIBA", True),
    ("t2_tirm_tra_dark-fluid", "ep2d_diff", SIEMENS, True),
    ("Ax 3mm", "BRAIN SWAN DTI", GE, True),
    ("Ax 3mm", "DWI FLAIR MRA", "Hitachi", True),
    ("Ax SWAN", "BRAIN WITH FLAIR", GE, False),
    ("Ax SWAN", "BRAIN WITH FLAIR", "", False),
    ("Ax DWI", "FLAIR", PHILIPS, False),
    ("Ax T1", "T2 FLAIR", SIEMENS, False),
    ("Ax T2", "FLAIR BRAIN", GE, False),
    ("ADC (10^-6 mm2/s)", "FLAIR", GE, False),
    ("Ax 3mm", "t2_swi", SIEMENS, False),
]


@pytest.mark.parametrize(("description", "protocol", "maker", "is_flair"), PROTOCOLS)
def test_protocol(
    tmp_path: Path, description: str, protocol: str, maker: str, is_flair: bool
) -> None:
    """The protocol's name may be that of the whole examination."""
    times: dict[str, object] = {} if is_flair else NO_TIMES
    add(tmp_path, 3, description, ProtocolName=protocol, Manufacturer=maker, **times)
    add(tmp_path, 4, "Ax T1", ProtocolName=protocol, Manufacturer=maker, **T1_TIMES)
    if is_flair:
        assert taken(tmp_path) == (3, [])
    else:
        assert refusal(tmp_path).code == "dicom.not_flair"


class TestBetter:
    """The better one has the larger number, and the worse one more slices."""

    @pytest.mark.parametrize(
        ("worse", "better"),
        [
            ({"ContrastBolusAgent": "Gadobutrol"}, {}),
            ({"ContrastBolusAgent": "Gadobutrol"}, {"ContrastBolusAgent": "NONE"}),
            ({"description": "Ax T2 FLAIR +C"}, {}),
            ({"description": "Ax FLAIR + C"}, {}),
            ({"description": "FLAIR POST GAD"}, {}),
            ({"description": "t2_flair_tra_KM"}, {"description": "t2_flair_tra_nativ"}),
            ({"description": "FLAIR GD"}, {"description": "FLAIR w/o contrast"}),
            ({"description": "FLAIR con contraste"}, {"description": "FLAIR sin contraste"}),
            (
                {"description": "FLAIR post", "ContrastBolusAgent": "Dotarem"},
                {"ContrastBolusAgent": "Dotarem"},
            ),
            ({"description": "t2_flair_tra_ND"}, {"description": "t2_flair_tra"}),
            ({"ImageType": [*PLAIN, "ND"]}, {"ImageType": [*PLAIN, "ND", "NORM"]}),
            ({"ImageType": DERIVED}, {}),
            ({"ImageType": ["DERIVED", "PRIMARY", "M"]}, {}),
        ],
    )
    def test_it_is_taken(
        self, tmp_path: Path, worse: dict[str, Any], better: dict[str, Any]
    ) -> None:
        add(tmp_path, 3, **{"shape": (6, 5, 8), **worse})
        add(tmp_path, 9, **better)
        number, codes = taken(tmp_path)
        assert number == 9
        assert codes in ([], ["dicom.several_series"])

    def test_the_others_are_listed(self, tmp_path: Path) -> None:
        add(tmp_path, 3)
        add(tmp_path, 9, "Ax T2 FLAIR +C", ContrastBolusAgent="Gadobutrol")
        (finding,) = choose(scan(tmp_path), tmp_path).findings
        assert 'series 9 "Ax T2 FLAIR +C" (axial, 6 slices, contrast agent)' in finding.text

    def test_after_contrast_agent_alone(self, tmp_path: Path) -> None:
        add(tmp_path, 9, "Ax T2 FLAIR +C", ContrastBolusAgent="Gadobutrol")
        assert taken(tmp_path) == (9, [])


class TestDerived:
    def test_alone(self, tmp_path: Path) -> None:
        add(tmp_path, 3, ImageType=DERIVED)
        add(tmp_path, 4, "Ax T1", **T1_TIMES)
        assert taken(tmp_path) == (3, ["dicom.derived"])
        assert "no original series looks like FLAIR" in read_volume(tmp_path).findings[0].text

    def test_several(self, tmp_path: Path) -> None:
        add(tmp_path, 3, "FLAIR cor", affine=AXIAL[:, [0, 2, 1, 3]], ImageType=DERIVED)
        add(tmp_path, 4, "FLAIR tra", ImageType=DERIVED)
        assert taken(tmp_path) == (4, ["dicom.derived", "dicom.several_series"])

    @pytest.mark.parametrize(
        ("header", "code"),
        [
            ({"ImageType": ["DERIVED", "SECONDARY", "MIP"]}, "dicom.derived"),
            ({"ImageType": ["DERIVED", "PRIMARY", "PROJECTION IMAGE"]}, "dicom.derived"),
            ({"ImageType": ["DERIVED", "SECONDARY", "SUBTRACTION"]}, "dicom.derived"),
            ({"ImageType": ["DERIVED", "PRIMARY", "LOCALIZER"]}, "dicom.localiser"),
            ({"ImageType": DERIVED, "description": "Ax T1", **T1_TIMES}, "dicom.derived"),
            ({"ImageType": DERIVED, "description": "brain", **NO_TIMES}, "dicom.derived"),
            ({"ImageType": ["ORIGINAL", "PRIMARY", "P"]}, "dicom.not_magnitude"),
        ],
    )
    def test_never(self, tmp_path: Path, header: dict[str, Any], code: str) -> None:
        add(tmp_path, **header)
        assert refusal(tmp_path).code == code


class TestParts:
    """Series that are one stack only together."""

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            (slice(0, None, 2), slice(1, None, 2)),
            (slice(0, 4), slice(4, None)),
            (slice(0, 2), slice(2, None)),
        ],
        ids=["every other slice", "halves", "the rest"],
    )
    @pytest.mark.parametrize("between", [None, 5.5], ids=["spacing not said", "spacing said"])
    def test_named(
        self, tmp_path: Path, first: slice, second: slice, between: float | None
    ) -> None:
        shape = (6, 5, 8)
        for number, slices in ((3, first), (4, second)):
            add(tmp_path, number, shape=shape, slices=slices, SpacingBetweenSlices=between)
        add(tmp_path, 5, "Ax T1", shape=shape, **T1_TIMES)
        text = str(refusal(tmp_path))
        assert "one stack together with the" in text
        assert 'of series 4 "Ax T2 FLAIR"' in text and 'of series 3 "Ax T2 FLAIR"' in text

    def test_three(self, tmp_path: Path) -> None:
        for number in range(3):
            add(tmp_path, number, shape=(6, 5, 12), slices=slice(number, None, 3))
        error = refusal(tmp_path)
        assert error.code == "dicom.split_series"
        assert "4 slices that form one stack together with the 8 of" in str(error)

    def test_a_whole_one_beside_them(self, tmp_path: Path) -> None:
        for number in range(2):
            add(tmp_path, number, shape=(6, 5, 8), slices=slice(number, None, 2))
        add(tmp_path, 7, "FLAIR again", (6, 5, 8))
        assert taken(tmp_path)[0] == 7

    def test_one_can_be_asked_for(self, tmp_path: Path) -> None:
        for number in range(2):
            uid = add(
                tmp_path,
                number,
                shape=(6, 5, 8),
                slices=slice(number, None, 2),
                SpacingBetweenSlices=None,
            )
        assert read_volume(tmp_path, series_uid=uid).shape == (6, 5, 4)

    def test_two_whole_ones_are_none(self, tmp_path: Path) -> None:
        add(tmp_path, 3)
        shifted = AXIAL.copy()
        shifted[2, 3] += 2.0
        add(tmp_path, 4, affine=shifted)
        assert taken(tmp_path) == (3, ["dicom.several_series"])


def own_uids(*names: str) -> Callable[[list[Dataset]], object]:
    """A UID of its own for each file."""

    def change(datasets: list[Dataset]) -> None:
        for number, dataset in enumerate(datasets):
            for name in names:
                setattr(dataset, name, f"1.2.77.{names.index(name)}.{number}")

    return change


class TestUidOfEachFile:
    @pytest.mark.parametrize(
        "names",
        [
            ("SeriesInstanceUID",),
            ("SeriesInstanceUID", "FrameOfReferenceUID"),
            ("SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID"),
        ],
    )
    @pytest.mark.parametrize("number", [5, None])
    def test_in_one_sentence(
        self, tmp_path: Path, names: tuple[str, ...], number: int | None
    ) -> None:
        write_series(tmp_path, own_uids(*names), SeriesNumber=number)
        error = refusal(tmp_path)
        assert error.code == "dicom.scattered_series"
        assert str(error).count("one slice each") == 1
        assert "6 series of one slice each with the same number and description" in str(error)

    def test_study_uids_alone(self, tmp_path: Path) -> None:
        write_series(tmp_path, own_uids("StudyInstanceUID"))
        assert refusal(tmp_path).code == "dicom.scattered_series"

    def test_asked_for(self, tmp_path: Path) -> None:
        write_series(tmp_path, own_uids("SeriesInstanceUID"))
        with pytest.raises(UnsuitableInputError, match="6 series of one slice"):
            read_volume(tmp_path, series_uid="1.2.77.0.4")

    def test_single_slices_of_several_series(self, tmp_path: Path) -> None:
        for number in range(4):
            add(tmp_path, number, shape=(6, 5, 1))
        assert refusal(tmp_path).code == "slices.few"


NO_IMAGES = {
    "raw data": "1.2.840.10008.5.1.4.1.1.66",
    "presentation state": "1.2.840.10008.5.1.4.1.1.11.1",
    "structured report": "1.2.840.10008.5.1.4.1.1.88.22",
    "key objects": "1.2.840.10008.5.1.4.1.1.88.59",
    "spectrum": "1.2.840.10008.5.1.4.1.1.4.2",
    "document": "1.2.840.10008.5.1.4.1.1.104.1",
    "segmentation": "1.2.840.10008.5.1.4.1.1.66.4",
    "registration": "1.2.840.10008.5.1.4.1.1.66.1",
    "maker's own": "1.3.46.670589.11.0.0.12.2",
    "maker's data": "1.3.12.2.1107.5.9.1",
}


class TestNoImage:
    @pytest.mark.parametrize("sop_class", NO_IMAGES.values(), ids=NO_IMAGES)
    @pytest.mark.parametrize(("modality", "series"), [("MR", "1.2.3.5"), ("PR", "1.2.3.99")])
    def test_passed_over(self, tmp_path: Path, sop_class: str, modality: str, series: str) -> None:
        write_series(tmp_path)
        other = Dataset()
        other.SOPClassUID, other.SOPInstanceUID = sop_class, "1.2.3.4.5"
        other.StudyInstanceUID, other.SeriesInstanceUID = "1.2.3", series
        other.Modality, other.SeriesNumber = modality, 5
        if sop_class != NO_IMAGES["maker's own"]:
            other.Rows, other.Columns = 10, 12
        save(other, tmp_path / "A_first")
        volume = read_volume(tmp_path)
        assert volume.shape == (12, 10, 6)
        assert volume.findings == ()
        assert len(volume.headers) == 6

    def test_nothing_else(self, tmp_path: Path) -> None:
        write_series(tmp_path, SOPClassUID=NO_IMAGES["raw data"])
        assert refusal(tmp_path).code == "dicom.no_images"


def scout(number: int = 0, shape: tuple[int, int, int] = (16, 16, 1)) -> list[Dataset]:
    """Sagittal images of the FLAIR's own series."""
    affine = AXIAL[:, [1, 2, 0, 3]] * [1, 0.3, 1, 1]
    files = single_frames(voxels(shape), affine)
    for file in files:
        file.SOPInstanceUID = f"{file.SOPInstanceUID}.{number}.9"
    return files


class TestStray:
    @pytest.mark.parametrize("shape", [(16, 16, 1), (12, 10, 1)], ids=["other size", "same size"])
    @pytest.mark.parametrize("name", ["A_first", "Z_last"])
    def test_a_reference_image(
        self, tmp_path: Path, shape: tuple[int, int, int], name: str
    ) -> None:
        write_series(tmp_path)
        save(scout(shape=shape)[0], tmp_path / name)
        volume = read_volume(tmp_path)
        assert_same_in_patient_space(volume, voxels(), AXIAL)
        assert [finding.code for finding in volume.findings] == ["dicom.left_out"]
        assert "1 of 7 images of series 5" in volume.findings[0].text
        assert len(volume.headers) == 6

    def test_a_picture_of_the_screen(self, tmp_path: Path) -> None:
        write_series(tmp_path)
        picture = single_frames(voxels((20, 20, 1)), AXIAL)[0]
        picture.SOPClassUID, picture.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3.5.999"
        picture.Modality = "OT"
        for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
            delattr(picture, keyword)
        save(picture, tmp_path / "A_first")
        assert [one.code for one in read_volume(tmp_path).findings] == ["dicom.left_out"]

    def test_what_may_be_a_slice_is_not_left_out(self, tmp_path: Path) -> None:
        write_series(tmp_path)
        other = single_frames(voxels((16, 16, 1)), AXIAL)[0]
        other.SOPInstanceUID = "1.2.3.5.999"
        save(other, tmp_path / "A_first")
        error = refusal(tmp_path)
        assert error.code == "dicom.several_sizes"
        assert "1 of 7 images have another one, 16x16, than 10x12" in str(error)

    def test_many(self, tmp_path: Path) -> None:
        write_series(tmp_path)
        save_all([scout(number)[0] for number in range(3)], tmp_path / "more")
        assert refusal(tmp_path).code == "dicom.several_sizes"

    def test_too_few_slices_beside_it(self, tmp_path: Path) -> None:
        write_series(tmp_path, lambda datasets: datasets.__delitem__(slice(2, None)))
        save(scout(shape=(12, 10, 1))[0], tmp_path / "A_first")
        refusal(tmp_path)


ATTRIBUTES = (
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "Modality",
)


class TestMissing:
    @pytest.mark.parametrize("keyword", ATTRIBUTES)
    @pytest.mark.parametrize(
        ("slices", "count", "empty"),
        [(slice(None), 6, False), (slice(2, 3), 1, True)],
        ids=["missing in all", "empty in one"],
    )
    def test_named_with_their_number(
        self, tmp_path: Path, keyword: str, slices: slice, count: int, empty: bool
    ) -> None:
        def change(datasets: list[Dataset]) -> None:
            for dataset in datasets[slices]:
                if empty:
                    dataset[keyword].value = None
                else:
                    delattr(dataset, keyword)

        write_series(tmp_path, change)
        error = refusal(tmp_path)
        assert error.code == "dicom.missing_attribute"
        assert f"{count} of 6 images have no {keyword}" in str(error)

    @pytest.mark.parametrize(
        "keyword", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"]
    )
    def test_geometry_is_named(self, tmp_path: Path, keyword: str) -> None:
        write_series(tmp_path, lambda datasets: delattr(datasets[1], keyword))
        assert keyword in str(refusal(tmp_path))

    def test_in_a_multi_frame_image(self, tmp_path: Path) -> None:
        dataset = multi_frame(voxels(), AXIAL)
        del dataset.PixelRepresentation
        save(dataset, tmp_path / "IM1")
        assert "1 of 1 images have no PixelRepresentation" in str(refusal(tmp_path))

    def test_cut_off_before_them_is_damage(self, tmp_path: Path) -> None:
        write_series(tmp_path)
        file = tmp_path / "IM0002"
        file.write_bytes(file.read_bytes()[: file.read_bytes().index(b"\x28\0\x03\x01US")])
        error = refusal(tmp_path, InputError)
        assert "cut off" in str(error)

    def test_a_multi_frame_image_beside_single_ones(self, tmp_path: Path) -> None:
        add(tmp_path, 3, "Ax T1", **T1_TIMES)
        save(multi_frame(voxels(), AXIAL), tmp_path / "IM1")
        assert taken(tmp_path) == (6, [])


def linked(folder: Path, gone: int | None = None) -> Path:
    """A folder of links to the files of a series, of which one is removed."""
    store = write_series(folder / "store")
    study = folder / "study"
    study.mkdir()
    for file in sorted(store.iterdir()):
        (study / file.name).symlink_to(Path("..") / "store" / file.name)
    if gone is not None:
        (store / f"IM{gone:04d}").unlink()
    return study


POINTER = "/annex/objects/MD5E-s4242--0123456789abcdef.dcm\n"
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 4242\n"


class TestLinks:
    def test_links_are_files(self, tmp_path: Path) -> None:
        assert read_volume(linked(tmp_path)).shape == (12, 10, 6)

    @pytest.mark.parametrize("gone", [0, 2, 5])
    def test_a_link_that_leads_nowhere(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str], gone: int
    ) -> None:
        study = linked(tmp_path, gone)
        assert cli.run(["predict", str(study), "--output", str(tmp_path / "out")]) == 3
        (line,) = capfd.readouterr().err.splitlines()
        assert "1 link(s) or placeholder(s) in it stand for files that are not there" in line
        assert "IM000" not in line
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize("text", [POINTER, LFS])
    @pytest.mark.parametrize("name", ["IM0001", "x.dcm"])
    def test_a_placeholder(self, tmp_path: Path, text: str, name: str) -> None:
        write_series(tmp_path)
        (tmp_path / name).write_text(text)
        assert refusal(tmp_path, InputError).code == "input.absent"

    def test_all_of_them(self, tmp_path: Path) -> None:
        study = linked(tmp_path)
        for file in (tmp_path / "store").iterdir():
            file.unlink()
        (tmp_path / "store").rmdir()
        assert refusal(study, InputError).code == "input.absent"
        inputs, is_cohort = find_inputs([str(tmp_path)], "flair")
        assert not is_cohort and inputs[0].path == tmp_path

    def test_a_link_in_a_circle(self, tmp_path: Path) -> None:
        write_series(tmp_path)
        (tmp_path / "round").symlink_to("round")
        (tmp_path / "up").symlink_to(tmp_path)
        assert refusal(tmp_path, InputError).code == "input.absent"
        (tmp_path / "round").unlink()
        assert read_volume(tmp_path).shape == (12, 10, 6)

    def test_a_link_to_a_folder(self, tmp_path: Path) -> None:
        write_series(tmp_path / "store")
        (tmp_path / "study").mkdir()
        (tmp_path / "study" / "flair").symlink_to(tmp_path / "store")
        (tmp_path / "study" / "again").symlink_to(tmp_path / "store")
        volume: Volume = read_volume(tmp_path / "study")
        assert volume.shape == (12, 10, 6)
        assert volume.findings == ()

    def test_what_is_never_dicom(self, tmp_path: Path) -> None:
        write_series(tmp_path)
        for name in ("notes.json", "converted.nii.gz", "readme.txt"):
            (tmp_path / name).symlink_to("nowhere")
        assert read_volume(tmp_path).shape == (12, 10, 6)

    def test_in_one_of_two_studies(self, tmp_path: Path) -> None:
        write_series(tmp_path / "in" / "a")
        write_series(tmp_path / "in" / "b", StudyInstanceUID="1.2.9", SeriesInstanceUID="1.2.9.1")
        (tmp_path / "in" / "b" / "IM9").symlink_to("nowhere")
        studies = find_studies(tmp_path / "in")
        assert sorted(len(study.files) for study in studies) == [6, 7]


def test_values_are_those_of_the_slices(tmp_path: Path) -> None:
    """Nothing of what is left out, or passed over, gets into the volume."""
    write_series(tmp_path)
    save(scout()[0], tmp_path / "A_first")
    np.testing.assert_array_equal(
        np.sort(read_volume(tmp_path).data.ravel()), np.sort(voxels().ravel())
    )
