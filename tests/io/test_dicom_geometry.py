"""mmccd.io.dicom: voxels and their places, against the arrays the files were made from, against
ITK, and against real conversions.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import itk
import itk.itkGDCMImageIOPython
import itk.itkImageSeriesReaderPython
import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from scipy.spatial.transform import Rotation
from tests.io.dicom_files import (
    AXIAL,
    RAS_TO_LPS,
    assert_same_in_patient_space,
    multi_frame,
    put_pixels,
    save,
    save_all,
    single_frames,
    voxels,
    write_series,
)

from mmccd.core.volume import Volume
from mmccd.io.dicom.read import read_dicom
from mmccd.io.dicom.scan import scan

PLANES = {"axial": (0, 1, 2), "sagittal": (1, 2, 0), "coronal": (0, 2, 1)}
RAW = ("FG6692", "OPENMS_L01", "OPENMS_L12")
REAL = ("siemens_flair3d_4slices", "philips_4slices", "philips_enhanced_multiframe")


def permuted(
    array: NDArray[np.generic], affine: NDArray[np.float64], order: tuple[int, int, int]
) -> tuple[NDArray[np.generic], NDArray[np.float64]]:
    """The same image with its axes in another order: the last one becomes the stack."""
    return array.transpose(order), affine[:, [*order, 3]]


def turned(affine: NDArray[np.float64], angles: tuple[float, float, float]) -> NDArray[np.float64]:
    """The image turned in the patient by Euler angles in degrees."""
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    return turn @ affine


def series_files(folder: Path) -> list[str]:
    """The files of a folder's first series, as ITK's GDCM sorts them."""
    names = itk.itkGDCMImageIOPython.itkGDCMSeriesFileNames.New()
    names.SetUseSeriesDetails(False)
    names.SetDirectory(str(folder))
    return list(names.GetFileNames(names.GetSeriesUIDs()[0]))


def read_with_itk(names: list[str]) -> Volume:
    """One volume from files in this order."""
    reader = itk.itkImageSeriesReaderPython.itkImageSeriesReaderIF3.New()
    reader.SetImageIO(itk.itkGDCMImageIOPython.itkGDCMImageIO.New())
    reader.SetFileNames(names)
    reader.Update()
    image = reader.GetOutput()
    affine = np.eye(4)
    turn = image.GetDirection().GetVnlMatrix()
    affine[:3, :3] = [[turn.get(row, axis) for axis in range(3)] for row in range(3)]
    affine[:3, :3] *= tuple(image.GetSpacing())
    affine[:3, 3] = tuple(image.GetOrigin())
    return Volume(itk.array_from_image(image).transpose(2, 1, 0), RAS_TO_LPS @ affine)


def second_opinion(folder: Path) -> Volume:
    """What ITK's GDCM reads."""
    return read_with_itk(series_files(folder))


class TestPlanes:
    """All acquisition planes, straight and oblique, as single frames and as one multi-frame
    file.
    """

    @pytest.mark.parametrize("plane", PLANES)
    @pytest.mark.parametrize("angles", [(0, 0, 0), (9, -5, 12), (-20, 14, 3)])
    def test_single_frames(
        self, tmp_path: Path, plane: str, angles: tuple[float, float, float]
    ) -> None:
        array, affine = permuted(voxels((12, 10, 14)), turned(AXIAL, angles), PLANES[plane])
        volume = read_dicom(save_all(single_frames(array, affine), tmp_path), "flair")
        assert_same_in_patient_space(volume, array, affine)
        opinion = second_opinion(tmp_path)
        assert opinion.same_grid(volume), "not only the same places: the same order of axes, too"
        np.testing.assert_array_equal(volume.data, opinion.data)
        assert volume.provenance["plane"] == plane
        assert volume.modality == "flair"
        assert volume.data.dtype == np.float32
        assert volume.spacing == pytest.approx(np.linalg.norm(affine[:3, :3], axis=0))

    @pytest.mark.parametrize("plane", PLANES)
    def test_multi_frame(self, tmp_path: Path, plane: str) -> None:
        array, affine = permuted(voxels((12, 10, 14)), turned(AXIAL, (9, -5, 12)), PLANES[plane])
        file = save(multi_frame(array, affine), tmp_path / "enhanced")
        for path in (file, tmp_path):
            assert_same_in_patient_space(read_dicom(path), array, affine)
        assert_same_in_patient_space(second_opinion(tmp_path), array, affine)

    def test_a_left_is_a_left(self, tmp_path: Path) -> None:
        """Signs, spelled out: DICOM's x grows to the patient's left, NIfTI's to the right."""
        array = np.zeros((8, 8, 4), dtype=np.uint16)
        array[2, 5, 3] = 100
        datasets = single_frames(array, np.eye(4))
        for k, dataset in enumerate(datasets):
            dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
            dataset.ImagePositionPatient = [-30, -40, 10 + 3 * k]
            dataset.PixelSpacing = [2, 1]
            dataset.SpacingBetweenSlices = 3
        volume = read_dicom(save_all(datasets, tmp_path))
        (place,) = np.argwhere(volume.data == 100)
        # LPS: x = -30 + 2 * 1, y = -40 + 5 * 2, z = 10 + 3 * 3.
        np.testing.assert_allclose((volume.affine @ [*place, 1])[:3], [28, 30, 19])


class TestGeometryProperties:
    """Any right-angled grid, in any order of files."""

    @settings(max_examples=25, deadline=None)
    @given(
        angles=st.tuples(*[st.floats(-180, 180)] * 3),
        spacing=st.tuples(st.floats(0.3, 3), st.floats(0.3, 3), st.floats(0.4, 10)),
        origin=st.tuples(*[st.floats(-300, 300)] * 3),
        flips=st.tuples(*[st.booleans()] * 3),
        shape=st.tuples(st.integers(2, 7), st.integers(2, 7), st.integers(3, 7)),
        seed=st.integers(0, 2**16),
        enhanced=st.booleans(),
    )
    def test_round_trip(
        self,
        tmp_path_factory: pytest.TempPathFactory,
        angles: tuple[float, float, float],
        spacing: tuple[float, float, float],
        origin: tuple[float, float, float],
        flips: tuple[bool, bool, bool],
        shape: tuple[int, int, int],
        seed: int,
        enhanced: bool,
    ) -> None:
        affine = turned(np.diag([*np.where(flips, -1, 1) * spacing, 1]), angles)
        affine[:3, 3] = origin
        array = voxels(shape, seed)
        folder = tmp_path_factory.mktemp("series")
        if enhanced:
            save(multi_frame(array, affine), folder / "enhanced")
        else:
            datasets = single_frames(array, affine)
            np.random.default_rng(seed).shuffle(datasets)
            save_all(datasets, folder)
        assert_same_in_patient_space(read_dicom(folder), array, affine)


class TestValues:
    """Numbers: types, scaling, inversion, syntaxes."""

    def test_slopes_of_each_slice(self, tmp_path: Path) -> None:
        slopes = [0.5, 1.25, 2.0, 0.1, 3.3, 1.0]

        def scale(datasets: list[Dataset]) -> None:
            for dataset, slope in zip(datasets, slopes, strict=True):
                dataset.RescaleSlope, dataset.RescaleIntercept = slope, -7.5

        volume = read_dicom(write_series(tmp_path, scale))
        assert_same_in_patient_space(volume, voxels() * np.array(slopes) - 7.5, AXIAL, atol=2e-3)
        assert_same_in_patient_space(
            second_opinion_of_each(tmp_path), voxels() * np.array(slopes) - 7.5, AXIAL, atol=2e-3
        )

    def test_slopes_of_each_frame(self, tmp_path: Path) -> None:
        slopes = [0.5, 1.25, 2.0, 0.1, 3.3, 1.0]
        save(multi_frame(voxels(), AXIAL, slopes=slopes), tmp_path / "enhanced")
        assert_same_in_patient_space(
            read_dicom(tmp_path), voxels() * np.array(slopes), AXIAL, atol=2e-3
        )

    def test_real_world_values_do_not_replace_rescaled_ones(self, tmp_path: Path) -> None:
        def map_values(datasets: list[Dataset]) -> None:
            for dataset in datasets:
                item = Dataset()
                item.RealWorldValueFirstValueMapped, item.RealWorldValueLastValueMapped = 0, 4095
                item.RealWorldValueSlope, item.RealWorldValueIntercept = 0.001, 5.0
                dataset.RealWorldValueMappingSequence = [item]
                dataset.RescaleSlope, dataset.RescaleIntercept = 2.0, 0.0

        assert_same_in_patient_space(
            read_dicom(write_series(tmp_path, map_values)), 2.0 * voxels(), AXIAL
        )

    @pytest.mark.parametrize("bits", [8, 12, 16])
    @pytest.mark.parametrize("signed", [False, True])
    def test_monochrome1_is_inverted(self, tmp_path: Path, bits: int, signed: bool) -> None:
        """White is the lowest stored value: v becomes (lowest + highest of the stored type) - v."""
        low = -(2 ** (bits - 1)) if signed else 0
        total = 2 * low + 2**bits - 1
        array = voxels().astype(np.int32) % 2**bits + low
        volume = read_dicom(save_all(typed(total - array, bits, signed, "MONOCHROME1"), tmp_path))
        assert_same_in_patient_space(volume, array, AXIAL)
        assert [finding.code for finding in volume.findings] == ["dicom.inverted"]
        twin = read_dicom(save_all(typed(array, bits, signed, "MONOCHROME2"), tmp_path / "twin"))
        assert_same_in_patient_space(twin, array, AXIAL)
        assert twin.findings == ()

    def test_bits_above_the_stored_ones_do_not_count(self, tmp_path: Path) -> None:
        """Old files keep an overlay in them."""
        datasets = single_frames(voxels(), AXIAL)
        for dataset in datasets:
            dataset.PixelData = (np.frombuffer(dataset.PixelData, "<u2") | 0x7000).tobytes()
        assert_same_in_patient_space(read_dicom(save_all(datasets, tmp_path)), voxels(), AXIAL)

    @pytest.mark.parametrize(
        "syntax",
        [
            ImplicitVRLittleEndian,
            ExplicitVRLittleEndian,
            ExplicitVRBigEndian,
            DeflatedExplicitVRLittleEndian,
        ],
        ids=lambda uid: uid.name,
    )
    def test_native_syntaxes(self, tmp_path: Path, syntax: str) -> None:
        folder = save_all(single_frames(voxels(), AXIAL), tmp_path, syntax)
        assert_same_in_patient_space(read_dicom(folder), voxels(), AXIAL)
        assert_same_in_patient_space(second_opinion(folder), voxels(), AXIAL)

    @pytest.mark.parametrize(
        "syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless], ids=lambda uid: uid.name
    )
    @pytest.mark.parametrize("signed", [False, True])
    def test_compressed_syntaxes(self, tmp_path: Path, syntax: str, signed: bool) -> None:
        array = voxels((64, 48, 4)).astype(np.int32) - (2000 if signed else 0)
        for number, dataset in enumerate(typed(array, 12, signed, "MONOCHROME2")):
            file = dcmread(save(dataset, tmp_path / f"{number}"))
            file.compress(syntax, generate_instance_uid=False)
            file.save_as(tmp_path / f"{number}")
        volume = read_dicom(tmp_path)
        assert_same_in_patient_space(volume, array, AXIAL)
        assert volume.provenance["transfer_syntax"] == syntax.name

    @pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless], ids=lambda uid: uid.name)
    def test_compressed_frames(self, tmp_path: Path, syntax: str) -> None:
        array = voxels((64, 48, 4))
        file = dcmread(save(multi_frame(array, AXIAL), tmp_path / "enhanced"))
        file.compress(syntax, generate_instance_uid=False)
        file.save_as(tmp_path / "enhanced")
        assert_same_in_patient_space(read_dicom(tmp_path), array, AXIAL)

    def test_jpeg_lossless(self, tmp_path: Path) -> None:
        """The syntax most archives compress with; pydicom cannot write it, GDCM can."""
        gdcm = pytest.importorskip("gdcm")
        array = voxels((32, 24, 4))
        save_all(single_frames(array, AXIAL), tmp_path)
        for path in sorted(tmp_path.iterdir()):
            reader, change, writer = (
                gdcm.ImageReader(),
                gdcm.ImageChangeTransferSyntax(),
                gdcm.ImageWriter(),
            )
            reader.SetFileName(str(path))
            assert reader.Read()
            change.SetTransferSyntax(
                gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1)
            )
            change.SetInput(reader.GetImage())
            assert change.Change()
            writer.SetFileName(str(path))
            writer.SetFile(reader.GetFile())
            writer.SetImage(change.GetOutput())
            assert writer.Write()
            assert (
                dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID
                == JPEGLosslessSV1
            )
        assert_same_in_patient_space(read_dicom(tmp_path), array, AXIAL)


def typed(array: NDArray[np.generic], bits: int, signed: bool, photometric: str) -> list[Dataset]:
    """An axial series of a stored type."""
    datasets = single_frames(array, AXIAL)
    for k, dataset in enumerate(datasets):
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = (
            8 if bits <= 8 else 16,
            bits,
            bits - 1,
        )
        dataset.PixelRepresentation, dataset.PhotometricInterpretation = int(signed), photometric
        put_pixels(dataset, array[:, :, k].T)
        dataset["PixelData"].VR = "OW" if bits > 8 else "OB"
    return datasets


def second_opinion_of_each(folder: Path) -> Volume:
    """ITK, file by file: a series reader takes the first file's slope for all."""
    layers = [read_with_itk([name]).data[:, :, 0] for name in series_files(folder)]
    return second_opinion(folder).with_data(np.stack(layers, axis=2))


@pytest.fixture(scope="module", params=RAW)
def head(
    request: pytest.FixtureRequest, real_data: Path
) -> tuple[NDArray[np.uint16], NDArray[np.float64]]:
    image = nib.load(real_data / "raw" / request.param / f"{request.param}_flair.nii.gz")
    image = image.slicer[tuple(slice(max(0, n // 2 - 20), n // 2 + 20) for n in image.shape)]
    data = image.get_fdata(dtype=np.float32)
    return np.rint(data * (4095 / data.max())).astype(np.uint16), image.affine


class TestRealHeads:
    """Real intensities and real geometry, written as DICOM and read again: the middle of heads, at
    most 40 voxels an axis, because each slice is a file.
    """

    @pytest.mark.parametrize("plane", PLANES)
    def test_single_frames(
        self, tmp_path: Path, head: tuple[NDArray[np.uint16], NDArray[np.float64]], plane: str
    ) -> None:
        array, affine = permuted(*head, PLANES[plane])
        save_all(single_frames(array, affine), tmp_path)
        volume = read_dicom(tmp_path)
        assert_same_in_patient_space(volume, array, affine)
        assert_same_in_patient_space(second_opinion(tmp_path), array, affine)

    def test_turned_head(
        self, tmp_path: Path, head: tuple[NDArray[np.uint16], NDArray[np.float64]]
    ) -> None:
        array, affine = head[0], turned(head[1], (12, -8, 5))
        assert_same_in_patient_space(
            read_dicom(save_all(single_frames(array, affine), tmp_path)), array, affine
        )

    def test_multi_frame(
        self, tmp_path: Path, head: tuple[NDArray[np.uint16], NDArray[np.float64]]
    ) -> None:
        save(multi_frame(*head), tmp_path / "enhanced")
        assert_same_in_patient_space(read_dicom(tmp_path), *head)


class TestRealSeries:
    """Series as scanners wrote them, against conversions that are known to be right."""

    @pytest.mark.parametrize("name", REAL)
    def test_reference(self, real_data: Path, name: str) -> None:
        folder = real_data / "dicom" / name
        reference = nib.load(folder.with_name(f"{name}.reference.nii.gz"))
        data = reference.get_fdata(dtype=np.float32)
        volume = read_dicom(folder, "flair", scan(folder).series[0].uid)
        assert_same_in_patient_space(volume, data.reshape(data.shape[:3]), reference.affine)

    @pytest.mark.parametrize("name", REAL[:2])
    def test_chosen_without_being_asked_for(self, real_data: Path, name: str) -> None:
        volume = read_dicom(real_data / "dicom" / name)
        assert volume.provenance["plane"] in ("sagittal", "coronal")
        assert volume.findings == ()

    @pytest.mark.parametrize("name", ["compressed_rle", "compressed_j2k"])
    def test_compressed(self, real_data: Path, name: str) -> None:
        folder = real_data / "dicom" / name
        volume = read_dicom(folder)
        opinion = second_opinion(folder)
        assert_same_in_patient_space(volume, opinion.data, opinion.affine)
        assert volume.data.std() > 0


@pytest.mark.parametrize("digits", [3, 4, 5])
def test_orientations_that_are_rounded_differently(tmp_path: Path, digits: int) -> None:
    """Directions of each slice off by half the last digit: one volume, every voxel within a quarter
    of a pixel.
    """
    affine = turned(AXIAL, (9, -5, 12))
    datasets = single_frames(voxels(), affine)
    chance = np.random.default_rng(digits)
    for dataset in datasets:
        exact = np.array(dataset.ImageOrientationPatient, dtype=float)
        dataset.ImageOrientationPatient = list(
            np.round(exact + chance.uniform(-0.5, 0.5, 6) * 10.0**-digits, digits)
        )
    volume = read_dicom(save_all(datasets, tmp_path))
    corners = np.array(
        [[*corner, 1] for corner in itertools.product(*[(0, n - 1) for n in volume.shape])]
    )
    difference = (volume.affine - affine) @ corners.T
    assert np.abs(difference).max() < 0.25 * min(volume.spacing)
    np.testing.assert_array_equal(volume.data, voxels())
    directions = volume.affine[:3, :3] / np.linalg.norm(volume.affine[:3, :3], axis=0)
    np.testing.assert_allclose(directions.T @ directions, np.eye(3), atol=1e-9)


@pytest.mark.parametrize("order", ["reversed", "shuffled", "numbers that mislead"])
def test_the_order_of_files_does_not_matter(tmp_path: Path, order: str) -> None:
    changes: dict[str, Callable[[list[Dataset]], object]] = {
        "reversed": lambda datasets: datasets.reverse(),
        "shuffled": lambda datasets: np.random.default_rng(0).shuffle(datasets),
        "numbers that mislead": lambda datasets: [
            setattr(d, "InstanceNumber", (7 * n) % 6) for n, d in enumerate(datasets)
        ],
    }
    assert_same_in_patient_space(
        read_dicom(write_series(tmp_path, changes[order])), voxels(), AXIAL
    )
