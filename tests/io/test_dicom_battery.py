"""The battery of docs/dicom.md: each bad or odd input gets the exit code and the words of the
table, and a twin without the defect is read.
"""

from __future__ import annotations

import copy
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import MediaStorageDirectoryStorage, RLELossless
from tests.io.dicom_files import (
    AXIAL,
    SECRETS,
    Change,
    assert_same_in_patient_space,
    multi_frame,
    put_pixels,
    save,
    save_all,
    single_frames,
    voxels,
    write_series,
)

from mmccd.apps.cli import cli
from mmccd.core.errors import MmccdError
from mmccd.io.read import read_volume

TABLE = Path(__file__).resolve().parents[2] / "docs" / "dicom.md"
ROW = re.compile(r"\| `([\w-]+)` \| (.+) \| (\d) \| (?:`(.+)`)? ?\|")
SUBFOLDER = "MUSTERMANN_4711"
CORONAL = AXIAL[:, [0, 2, 1, 3]]
SAGITTAL = AXIAL[:, [1, 2, 0, 3]] @ np.diag([1.0, 0.3, 5.5 / 0.9, 1.0])


@dataclass(frozen=True)
class Given:
    """An input: a path, the series that is asked for, and what has to be read from it."""

    path: Path
    series: str | None = None
    array: NDArray[np.generic] | None = None
    affine: NDArray[np.float64] | None = None


Build = Callable[[Path], Given]


def series(
    change: Change | None = None,
    affine: NDArray[np.float64] = AXIAL,
    syntax: str | None = None,
    **header: object,
) -> Build:
    """A FLAIR series of 6 slices in a subfolder named after the patient, with changes."""

    def build(folder: Path) -> Given:
        write_series(folder / SUBFOLDER, change, affine, **header)
        if syntax:
            for path in (folder / SUBFOLDER).iterdir():
                file = dcmread(path)
                file.compress(syntax, generate_instance_uid=False)
                file.save_as(path)
        return Given(folder, None, voxels(), affine)

    return build


def frames(change: Callable[[Dataset], object] | None = None) -> Build:
    """A multi-frame FLAIR."""

    def build(folder: Path) -> Given:
        dataset = multi_frame(voxels(), AXIAL)
        if change:
            change(dataset)
        save(dataset, folder / SUBFOLDER / "IM1")
        return Given(folder, None, voxels(), AXIAL)

    return build


def also(first: Build, change: Callable[[Given], object]) -> Build:
    """Another input with a change to its files."""

    def build(folder: Path) -> Given:
        given = first(folder)
        change(given)
        return given

    return build


def asking(first: Build, uid: str) -> Build:
    """Another input, with ``--series``."""

    def build(folder: Path) -> Given:
        given = first(folder)
        return Given(given.path, uid, given.array, given.affine)

    return build


def without(*names: str, slices: slice = slice(None)) -> Change:
    """Elements taken out."""

    def change(datasets: list[Dataset]) -> None:
        for dataset in datasets[slices]:
            for name in names:
                if name in dataset:
                    delattr(dataset, name)

    return change


def setting(slices: slice = slice(None), **values: object) -> Change:
    """Elements of some slices set."""

    def change(datasets: list[Dataset]) -> None:
        for dataset in datasets[slices]:
            for name, value in values.items():
                setattr(dataset, name, value)

    return change


def moved(index: int, axis: int, by: float) -> Change:
    """One slice shifted in mm."""

    def change(datasets: list[Dataset]) -> None:
        position = list(datasets[index].ImagePositionPatient)
        position[axis] += by
        datasets[index].ImagePositionPatient = position

    return change


def again(spread: Callable[[Dataset], object], count: int = 6) -> Change:
    """The first slices once more, under new UIDs, with a difference."""

    def change(datasets: list[Dataset]) -> None:
        for dataset in datasets[:count]:
            other = copy.deepcopy(dataset)
            other.SOPInstanceUID = f"{dataset.SOPInstanceUID}.9"
            spread(other)
            datasets.append(other)

    return change


def first_file(given: Given) -> Path:
    return sorted((given.path / SUBFOLDER).iterdir())[0]


def cut(at: bytes | int) -> Callable[[Given], object]:
    """The first file ends where some bytes stand, or so many bytes before its end."""

    def change(given: Given) -> None:
        raw = first_file(given).read_bytes()
        end = raw.index(at) if isinstance(at, bytes) else len(raw) - at
        first_file(given).write_bytes(raw[:end])

    return change


def adding(name: str, content: bytes) -> Callable[[Given], object]:
    """A further file."""
    return lambda given: (given.path / name).write_bytes(content)


def noise_for_pixels(given: Given) -> None:
    path = first_file(given)
    file = dcmread(path)
    raw = bytearray(file.PixelData)
    raw[24 : len(raw) - 8] = np.random.default_rng(0).bytes(len(raw) - 32)
    file.PixelData = bytes(raw)
    file.save_as(path)


def dicomdir(given: Given, more: int = 0) -> None:
    """A DICOMDIR for the files of the series, and for some that are not there."""
    files = [
        dcmread(path, stop_before_pixels=True)
        for path in sorted((given.path / SUBFOLDER).iterdir())
    ]
    uids = [str(file.SOPInstanceUID) for file in files] + [f"1.2.3.5.9{n}" for n in range(more)]
    patient, series_record = Dataset(), Dataset()
    patient.DirectoryRecordType, patient.PatientName, patient.PatientID = (
        "PATIENT",
        "Mustermann^Erika",
        "PID-4711",
    )
    series_record.DirectoryRecordType, series_record.SeriesInstanceUID = (
        "SERIES",
        str(files[0].SeriesInstanceUID),
    )
    records = [patient, series_record]
    for number, uid in enumerate(uids):
        record = Dataset()
        record.DirectoryRecordType, record.ReferencedSOPInstanceUIDInFile = "IMAGE", uid
        record.ReferencedFileID = [SUBFOLDER, f"IM{number:04d}"]
        records.append(record)
    directory = Dataset()
    directory.SOPClassUID, directory.SOPInstanceUID = MediaStorageDirectoryStorage, "1.2.3.99"
    directory.DirectoryRecordSequence = Sequence(records)
    save(directory, given.path / "DICOMDIR")


def dicomdir_alone(given: Given) -> None:
    dicomdir(given)
    shutil.rmtree(given.path / SUBFOLDER)


def niftis(folder: Path) -> Given:
    for name in ("a.nii.gz", "b.nii"):
        nib.save(nib.Nifti1Image(voxels().astype(np.int16), AXIAL), folder / name)
    return Given(folder)


def one_nifti(folder: Path) -> Given:
    niftis(folder)
    return Given(folder / "a.nii.gz", None, voxels(), AXIAL)


def without_preamble(given: Given) -> None:
    """Only the dataset, as an old archive keeps it: implicit little endian."""
    for path in (given.path / SUBFOLDER).iterdir():
        file = dcmread(path)
        plain = Dataset()
        plain.update({element.tag: element for element in file})
        plain.save_as(path, implicit_vr=True, little_endian=True)


def nested(given: Given) -> None:
    files = sorted((given.path / SUBFOLDER).iterdir())
    for number, file in enumerate(files):
        deep = given.path / f"{number % 2}" / "DICOM" / "ser"
        deep.mkdir(parents=True, exist_ok=True)
        file.rename(deep / f"{number}")
    (given.path / "readme.txt").write_text("Mustermann^Erika")
    (given.path / "VERSION").write_bytes(b"\x08\x00" + b"\xff" * 40)
    (given.path / "0" / "._0.dcm").write_bytes(b"\0\5\x16\7" * 40)
    (given.path / "0" / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0" * 40)
    nib.save(nib.Nifti1Image(voxels().astype(np.int16), np.eye(4)), given.path / "converted.nii.gz")


def copied(given: Given) -> None:
    shutil.copytree(given.path / SUBFOLDER, given.path / "copy of it")


def another_series(
    affine: NDArray[np.float64] = AXIAL, uid: str = "1.2.3.77", **header: object
) -> Callable[[Given], object]:
    """A second series beside the first."""

    def change(given: Given) -> None:
        datasets = single_frames(voxels(seed=1), affine, uid, 7, "t2_flair_other")
        for dataset in datasets:
            for name, value in header.items():
                setattr(dataset, name, value)
        save_all(datasets, given.path / "another")

    return change


def three_planes(datasets: list[Dataset]) -> None:
    for dataset, directions in zip(
        datasets, [[1, 0, 0, 0, 1, 0], [0, 1, 0, 0, 0, -1], [1, 0, 0, 0, 0, -1]] * 2, strict=True
    ):
        dataset.ImageOrientationPatient = directions


def tilted(datasets: list[Dataset]) -> None:
    for k, dataset in enumerate(datasets):
        position = list(dataset.ImagePositionPatient)
        position[1] += 1.0 * k
        dataset.ImagePositionPatient = position


def spread_out(factor: float) -> NDArray[np.float64]:
    return AXIAL @ np.diag([1.0, 1.0, factor, 1.0])


def palette(datasets: list[Dataset]) -> None:
    for dataset in datasets:
        dataset.PhotometricInterpretation = "PALETTE COLOR"
        for colour in ("Red", "Green", "Blue"):
            setattr(dataset, f"{colour}PaletteColorLookupTableDescriptor", [4096, 0, 16])
            setattr(dataset, f"{colour}PaletteColorLookupTableData", bytes(8192))


def rgb(datasets: list[Dataset]) -> None:
    for dataset in datasets:
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = (
            3,
            "RGB",
            0,
        )
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
        dataset.PixelData = bytes(dataset.Rows * dataset.Columns * 3)


def smaller(datasets: list[Dataset]) -> None:
    datasets[2].Rows = 9
    put_pixels(datasets[2], voxels()[:, :9, 2].T)


def unnamed(datasets: list[Dataset]) -> None:
    without(
        "SeriesDescription",
        "ProtocolName",
        "InversionTime",
        "RepetitionTime",
        "EchoTime",
        "ScanningSequence",
    )(datasets)


def only_three_of(count: int) -> Change:
    return lambda datasets: datasets.__delitem__(slice(count, None))


def two_echoes_in_frames(dataset: Dataset) -> None:
    groups = dataset.PerFrameFunctionalGroupsSequence
    for number, group in enumerate(groups):
        echo = Dataset()
        echo.EffectiveEchoTime = 100.0 + 20 * (number % 2)
        group.MREchoSequence = Sequence([echo])
        group.PlanePositionSequence[0].ImagePositionPatient = list(
            groups[number - number % 2].PlanePositionSequence[0].ImagePositionPatient
        )


def frame_moved(index: int, by: float) -> Callable[[Dataset], object]:
    def change(dataset: Dataset) -> None:
        for group in dataset.PerFrameFunctionalGroupsSequence[:index]:
            position = group.PlanePositionSequence[0]
            position.ImagePositionPatient = [
                *position.ImagePositionPatient[:2],
                position.ImagePositionPatient[2] + by,
            ]

    return change


def second_multi_frame(given: Given) -> None:
    dataset = multi_frame(voxels(seed=1), AXIAL)
    dataset.SOPInstanceUID = "1.2.3.6.2000"
    save(dataset, given.path / SUBFOLDER / "IM2")


def first_frame(change: Callable[[Dataset], object]) -> Callable[[Dataset], object]:
    return lambda dataset: change(dataset.PerFrameFunctionalGroupsSequence[0])


def without_groups(dataset: Dataset) -> None:
    group = dataset.PerFrameFunctionalGroupsSequence[0]
    dataset.ImagePositionPatient = group.PlanePositionSequence[0].ImagePositionPatient
    dataset.ImageOrientationPatient = group.PlaneOrientationSequence[0].ImageOrientationPatient
    dataset.PixelSpacing = group.PixelMeasuresSequence[0].PixelSpacing
    del dataset.PerFrameFunctionalGroupsSequence, dataset.SharedFunctionalGroupsSequence


def named(text: str, **times: float) -> Change:
    return setting(SeriesDescription=text, ProtocolName=text, **times)


GOOD = series()
T1 = series(named("t1_mprage_sag", InversionTime=900.0, RepetitionTime=2000.0, EchoTime=3.0))
CASES: dict[str, tuple[Build, Build]] = {
    "missing": (lambda folder: Given(folder / "nothing"), GOOD),
    "empty": (lambda folder: Given(folder), GOOD),
    "other-files": (
        also(lambda folder: Given(folder), adding("a.txt", b"text" * 99)),
        also(GOOD, adding("a.txt", b"text" * 99)),
    ),
    "cut-in-header": (also(GOOD, cut(b"1.2.3.5\0")), GOOD),
    "cut-before-matrix": (also(GOOD, cut(b"\x28\0\x10\0US")), GOOD),
    "cut-in-pixels": (also(GOOD, cut(10)), GOOD),
    "cut-in-rle": (also(series(syntax=RLELossless), cut(30)), series(syntax=RLELossless)),
    "broken-codestream": (
        also(series(syntax=RLELossless), noise_for_pixels),
        series(syntax=RLELossless),
    ),
    "zero-bytes": (also(GOOD, adding("IM9.dcm", b"")), also(GOOD, adding("IM9", b""))),
    "text-named-dcm": (
        also(GOOD, adding("IM9.dcm", b"text" * 99)),
        also(GOOD, adding("IM9.txt", b"text" * 99)),
    ),
    "no-pixels": (series(without("PixelData")), GOOD),
    "no-matrix": (series(without("Rows", "Columns")), GOOD),
    "no-series-uid": (series(without("SeriesInstanceUID")), GOOD),
    "dicomdir-lists-more": (also(GOOD, lambda given: dicomdir(given, 1)), also(GOOD, dicomdir)),
    "dicomdir-alone": (also(GOOD, dicomdir_alone), also(GOOD, dicomdir)),
    "unknown-series": (asking(GOOD, "1.2.3.999"), asking(GOOD, "1.2.3.5")),
    "ct": (series(Modality="CT"), GOOD),
    "report-only": (
        series(
            lambda datasets: (
                without("Rows", "Columns", "PixelData")(datasets),
                setting(Modality="SR")(datasets),
            )
        ),
        GOOD,
    ),
    "rgb": (series(rgb), GOOD),
    "palette": (series(palette), GOOD),
    "mosaic": (
        series(ImageType=["ORIGINAL", "PRIMARY", "M", "MOSAIC"]),
        series(ImageType=["ORIGINAL", "PRIMARY", "M"]),
    ),
    "localiser": (series(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), GOOD),
    "scout": (series(named("AAHead_Scout flair")), GOOD),
    "three-planes": (series(three_planes), GOOD),
    "mpr": (
        series(ImageType=["DERIVED", "SECONDARY", "MPR"]),
        series(ImageType=["ORIGINAL", "PRIMARY", "M"]),
    ),
    "phase": (
        series(ImageType=["ORIGINAL", "PRIMARY", "P"]),
        series(ImageType=["ORIGINAL", "PRIMARY", "M"]),
    ),
    "t1": (
        series(lambda d: (unnamed(d), named("T1 axial")(d))),
        series(lambda d: (unnamed(d), named("FLAIR axial")(d))),
    ),
    "t2": (
        series(lambda d: (unnamed(d), named("T2 tse")(d))),
        series(lambda d: (unnamed(d), named("T2 tse FLAIR")(d))),
    ),
    "t1-by-times": (
        series(lambda d: (unnamed(d), setting(RepetitionTime=500.0, EchoTime=10.0)(d))),
        series(
            lambda d: (
                unnamed(d),
                setting(RepetitionTime=9000.0, EchoTime=120.0, InversionTime=2400.0)(d),
            )
        ),
    ),
    "stir": (series(named("tirm", InversionTime=180.0)), series(named("tirm"))),
    "mprage": (
        series(named("3D", InversionTime=900.0, RepetitionTime=2000.0, EchoTime=3.0)),
        series(named("3D")),
    ),
    "t1-flair": (
        series(lambda d: (unnamed(d), named("Ax T1 FLAIR")(d))),
        series(lambda d: (unnamed(d), named("Ax T2 FLAIR")(d))),
    ),
    "double-inversion": (series(named("3D_DIR_spc")), series(named("3D_spc"))),
    "diffusion": (series(named("ep2d DWI")), series(named("ep2d"))),
    "two-unnamed": (
        also(
            series(unnamed),
            another_series(SeriesDescription="brain", ProtocolName="brain", InversionTime=None),
        ),
        series(unnamed),
    ),
    "ct-asked-for": (asking(series(Modality="CT"), "1.2.3.5"), asking(GOOD, "1.2.3.5")),
    "one-slice": (series(only_three_of(1)), GOOD),
    "two-slices": (series(only_three_of(2)), GOOD),
    "gap": (series(lambda datasets: datasets.pop(2)), series(affine=spread_out(2.0))),
    "uneven": (series(moved(3, 2, 1.0)), series(moved(3, 2, 0.01))),
    "every-second": (
        series(lambda datasets: datasets.__delitem__(slice(1, None, 2))),
        series(affine=spread_out(2.0)),
    ),
    "same-slice-twice": (series(again(lambda dataset: None, 1)), GOOD),
    "two-echoes": (series(again(lambda dataset: setattr(dataset, "EchoTime", 20.0))), GOOD),
    "two-times": (
        series(
            lambda d: (
                setting(TemporalPositionIdentifier=1)(d),
                again(lambda x: setattr(x, "TemporalPositionIdentifier", 2))(d),
            )
        ),
        series(TemporalPositionIdentifier=1),
    ),
    "uid-twice": (series(setting(slice(0, 2), SOPInstanceUID="1.2.3.5.1")), GOOD),
    "one-position": (series(ImagePositionPatient=[1, 2, 3]), GOOD),
    "tilt": (series(tilted), series(moved(3, 1, 0.05))),
    "turned-slice": (
        series(setting(slice(2, 3), ImageOrientationPatient=[1, 0, 0, 0, 0.99985, 0.01745])),
        series(setting(slice(2, 3), ImageOrientationPatient=[1, 0, 0, 0, 0.999999, 0.001])),
    ),
    "no-position": (series(without("ImagePositionPatient", slices=slice(1, 2))), GOOD),
    "no-orientation": (series(without("ImageOrientationPatient")), GOOD),
    "no-spacing": (series(without("PixelSpacing")), GOOD),
    "zero-spacing": (series(PixelSpacing=[0, 0]), GOOD),
    "two-coordinates": (series(setting(slice(1, 2), ImagePositionPatient=[1, 2])), GOOD),
    "skew-directions": (series(ImageOrientationPatient=[1, 0, 0, 0.5, 0.866, 0]), GOOD),
    "two-matrices": (series(smaller), GOOD),
    "two-pixel-spacings": (
        series(setting(slice(2, 3), PixelSpacing=[1.1, 0.8])),
        series(setting(slice(2, 3), PixelSpacing=[1.1, 0.90001])),
    ),
    "two-references": (series(setting(slice(2, 3), FrameOfReferenceUID="1.2.3.8")), GOOD),
    "huge-matrix": (series(Rows=65535, Columns=65535), GOOD),
    "zero-slope": (
        series(RescaleSlope=0, RescaleIntercept=0),
        series(RescaleSlope=1, RescaleIntercept=0),
    ),
    "infinite-slope": (
        series(RescaleSlope="1e300", RescaleIntercept=0),
        series(RescaleSlope="1e0", RescaleIntercept=0),
    ),
    "frames-two-echoes": (frames(two_echoes_in_frames), frames()),
    "frames-no-position": (
        frames(first_frame(lambda group: delattr(group, "PlanePositionSequence"))),
        frames(),
    ),
    "frames-two-planes": (
        frames(
            first_frame(
                lambda group: setattr(
                    group.PlaneOrientationSequence[0],
                    "ImageOrientationPatient",
                    [0, 1, 0, 0, 0, -1],
                )
            )
        ),
        frames(),
    ),
    "frames-gap": (frames(frame_moved(3, 5.5)), frames(frame_moved(3, 0.01))),
    "frames-no-groups": (frames(without_groups), frames()),
    "two-multi-frames": (also(frames(), second_multi_frame), frames()),
    "series-of-nifti": (asking(one_nifti, "1.2.3"), one_nifti),
    "nested": (also(GOOD, nested), GOOD),
    "dicomdir": (also(GOOD, dicomdir), GOOD),
    "broken-dicomdir": (
        also(GOOD, adding("DICOMDIR", bytes(128) + b"DICM" + b"\x02\0\0\0UL\4\0" * 9)),
        GOOD,
    ),
    "no-preamble": (also(GOOD, without_preamble), GOOD),
    "no-reference": (series(without("FrameOfReferenceUID")), GOOD),
    "no-name": (series(without("SeriesDescription", "ProtocolName")), GOOD),
    "no-times": (series(without("InversionTime", "RepetitionTime", "EchoTime")), GOOD),
    "zero-inversion": (series(InversionTime=0.0), GOOD),
    "nothing-said": (series(unnamed), GOOD),
    "two-flairs": (also(GOOD, another_series(CORONAL)), GOOD),
    "t1-asked-for": (
        asking(series(lambda d: (unnamed(d), named("T1 axial")(d))), "1.2.3.5"),
        asking(GOOD, "1.2.3.5"),
    ),
    "copies": (also(GOOD, copied), GOOD),
    "monochrome1": (
        series(
            lambda datasets: [
                put_pixels(d, 4095 - voxels()[:, :, k].T) for k, d in enumerate(datasets)
            ],
            PhotometricInterpretation="MONOCHROME1",
        ),
        GOOD,
    ),
    "lossy": (series(LossyImageCompression="01"), series(LossyImageCompression="00")),
    "thick-sagittal": (
        series(affine=SAGITTAL),
        series(affine=SAGITTAL @ np.diag([1.0, 1.0, 0.3, 1.0])),
    ),
    "gap-as-spacing": (series(SpacingBetweenSlices=1.5, SliceThickness=4.0), GOOD),
    "control-characters": (series(SeriesDescription="flair\n\x1b[31mred\r\tend"), GOOD),
    "name-in-description": (series(SeriesDescription="flair MUSTERMANN erika PID-4711"), GOOD),
    "bad-numbers": (series(lambda d: [x.add_new(0x00181314, "LO", "ninety") for x in d]), GOOD),
}
EXPECTED = {name: (int(code), says) for name, _, code, says in ROW.findall(TABLE.read_text())}


def test_the_table_and_the_cases_are_the_same() -> None:
    assert list(EXPECTED) == list(CASES)
    assert len(EXPECTED) == len(
        [line for line in TABLE.read_text().splitlines() if line.startswith("| `")]
    )


def assert_nothing_of_the_patient(text: str) -> None:
    for secret in (*SECRETS, SUBFOLDER, "IM0000"):
        assert secret.lower() not in text.lower()


@pytest.mark.parametrize("name", [name for name, (code, _) in EXPECTED.items() if code])
def test_refused_in_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str) -> None:
    """Through the command line: exit code and words of the table, one line, no output, nothing of
    the patient.
    """
    (tmp_path / "study").mkdir()
    given = CASES[name][0](tmp_path / "study")
    code, says = EXPECTED[name]
    words = [
        "predict",
        str(given.path),
        "--output",
        str(tmp_path / "out"),
        *(["--series", given.series] if given.series else []),
    ]
    assert cli.run(words) == code
    captured = capfd.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert says in captured.err
    assert str(given.path) in captured.err
    assert_nothing_of_the_patient(captured.err)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", [name for name, (code, _) in EXPECTED.items() if not code])
def test_odd_but_read(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, name: str
) -> None:
    given = CASES[name][0](tmp_path)
    says = EXPECTED[name][1]
    assert bool(assert_read(given, says)) == bool(says)
    assert_nothing_of_the_patient(capfd.readouterr().err + caplog.text)


@pytest.mark.parametrize("name", list(CASES))
def test_the_twin_is_read(tmp_path: Path, name: str) -> None:
    twin = CASES[name][1](tmp_path)
    code, says = EXPECTED[name]
    try:
        warning = assert_read(twin, "")
    except MmccdError as error:
        pytest.fail(f"the twin is refused: {error}")
    assert not says or code or says not in warning, "the twin has the oddity, too"


def assert_read(given: Given, says: str) -> str:
    """The volume is the one that the files were made from (to 1/50 voxel: some twins are not
    perfect), and its warning has these words.
    """
    volume = read_volume(given.path, "flair", given.series)
    assert given.array is not None
    assert given.affine is not None
    assert_same_in_patient_space(volume, given.array, given.affine, places=0.02)
    warning = "; ".join(finding.text for finding in volume.findings)
    assert_nothing_of_the_patient(json.dumps(volume.provenance) + warning)
    assert says in warning
    return warning
