"""mmccd.io.itk_formats: the same volume from each format, and what is refused."""

from __future__ import annotations

import gzip
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from mmccd.core import InputError, UnsuitableInputError, UsageError
from mmccd.io.itk_formats import ENDINGS, volume_format
from mmccd.io.read import read_volume

SHAPE = (6, 5, 4)
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
NRRD_TYPES = {"u1": "uint8", "i2": "short", "u2": "ushort", "f4": "float", "f8": "double"}
META_TYPES = {"u1": "UCHAR", "i2": "SHORT", "u2": "USHORT", "f4": "FLOAT", "f8": "DOUBLE"}


def voxels(code: str = "f4") -> NDArray[np.generic]:
    """Whole numbers from 0 to 119, all different."""
    return np.arange(120).reshape(SHAPE).astype(code)


def words(numbers: NDArray[np.float64]) -> str:
    return " ".join(repr(float(number)) for number in numbers)


def nrrd_header(array: NDArray[np.generic], affine: NDArray[np.float64], **other: str) -> str:
    """By the format's definition, written without a library; ``other`` replaces or adds fields, and
    an empty one leaves it out.
    """
    lps = RAS_TO_LPS @ affine
    vectors = [f"({','.join(repr(float(n)) for n in column)})" for column in lps[:3].T]
    fields = {
        "type": NRRD_TYPES[array.dtype.str[1:]],
        "dimension": str(array.ndim),
        "space": "left-posterior-superior",
        "sizes": " ".join(map(str, array.shape)),
        "space directions": " ".join(vectors[:3]),
        "kinds": "domain domain domain",
        "endian": "little",
        "encoding": "raw",
        "space origin": vectors[3],
    } | {name.replace("_", " "): value for name, value in other.items()}
    lines = [f"{name}: {value}" for name, value in fields.items() if value]
    return "\n".join(["NRRD0004", *lines, "", ""])


def meta_header(
    array: NDArray[np.generic], affine: NDArray[np.float64], data: str = "LOCAL", **other: str
) -> str:
    """Likewise for MetaImage; the data file's name comes last."""
    lps = RAS_TO_LPS @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    fields = {
        "ObjectType": "Image",
        "NDims": str(array.ndim),
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "TransformMatrix": words((lps[:3, :3] / spacing).T.ravel()),
        "Offset": words(lps[:3, 3]),
        "ElementSpacing": words(spacing),
        "DimSize": " ".join(map(str, array.shape)),
        "ElementType": f"MET_{META_TYPES[array.dtype.str[1:]]}",
    } | other
    return "".join(f"{name} = {value}\n" for name, value in fields.items()) + (
        f"ElementDataFile = {data}\n"
    )


def raw(array: NDArray[np.generic]) -> bytes:
    return array.tobytes(order="F")


def save(path: Path, array: NDArray[np.generic], affine: NDArray[np.float64]) -> Path:
    """In the format of the ending."""
    ending = path.suffix
    if ending == ".nrrd":
        path.write_bytes(nrrd_header(array, affine).encode() + raw(array))
    elif ending == ".nhdr":
        path.write_text(nrrd_header(array, affine, data_file="data.raw"))
        path.with_name("data.raw").write_bytes(raw(array))
    elif ending == ".mha":
        path.write_bytes(meta_header(array, affine).encode() + raw(array))
    elif ending == ".mhd":
        path.write_text(meta_header(array, affine, "data.raw"))
        path.with_name("data.raw").write_bytes(raw(array))
    else:
        nib.save(nib.MGHImage(array, affine), path)
    return path


@st.composite
def affines(draw: st.DrawFn) -> NDArray[np.float64]:
    """Oblique, anisotropic, left- or right-handed, anywhere."""
    angles = [draw(st.floats(-180, 180)) for _ in range(3)]
    spacing = [draw(st.floats(0.3, 8)) for _ in range(3)]
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() * spacing
    affine[:3, draw(st.integers(0, 2))] *= draw(st.sampled_from([1.0, -1.0]))
    affine[:3, 3] = [draw(st.floats(-300, 300)) for _ in range(3)]
    return affine


AFFINE = np.eye(4)
AFFINE[:3, :3] = Rotation.from_euler("xyz", (2, -6, 90), degrees=True).as_matrix() @ np.diag(
    (0.9, 1.1, 4.8)
)
AFFINE[:3, 3] = (12.5, -7.0, 33.0)


class TestSameVolume:
    """NIfTI through nibabel is what the others are held against."""

    @pytest.mark.parametrize("ending", ENDINGS)
    @given(affine=affines(), code=st.sampled_from(["u1", "i2", "f4"]))
    @settings(max_examples=25, deadline=None)  # the first example loads ITK
    def test_as_from_nifti(self, ending: str, affine: NDArray[np.float64], code: str) -> None:
        array = voxels(code)
        with tempfile.TemporaryDirectory() as folder:
            nib.save(nib.Nifti1Image(array, affine), Path(folder) / "a.nii.gz")
            expected = read_volume(Path(folder) / "a.nii.gz", "flair")
            volume = read_volume(save(Path(folder) / f"a{ending}", array, affine), "flair")
        np.testing.assert_array_equal(volume.data, expected.data)
        assert volume.data.dtype == np.float32
        assert volume.same_grid(expected)
        assert volume.modality == "flair"

    @pytest.mark.parametrize("code", NRRD_TYPES)
    @pytest.mark.parametrize("ending", [".nrrd", ".mha"])
    def test_every_type_of_voxel(self, tmp_path: Path, ending: str, code: str) -> None:
        volume = read_volume(save(tmp_path / f"a{ending}", voxels(code), AFFINE))
        np.testing.assert_array_equal(volume.data, voxels())
        assert volume.provenance["file"] == f"a{ending}"
        assert volume.findings == ()

    def test_a_left_is_a_left(self, tmp_path: Path) -> None:
        """Signs, spelled out: ITK's x grows to the patient's left, ours to the right."""
        text = nrrd_header(voxels(), np.eye(4), space_origin="(10,20,30)")
        (tmp_path / "a.nrrd").write_bytes(text.encode() + raw(voxels()))
        assert read_volume(tmp_path / "a.nrrd").affine[:3, 3].tolist() == [-10, -20, 30]

    def test_other_patient_spaces(self, tmp_path: Path) -> None:
        text = nrrd_header(
            voxels(),
            np.eye(4),
            space="right-anterior-superior",
            space_directions="(1,0,0) (0,2,0) (0,0,3)",
            space_origin="(10,20,30)",
        )
        (tmp_path / "a.nrrd").write_bytes(text.encode() + raw(voxels()))
        expected = [[1, 0, 0, 10], [0, 2, 0, 20], [0, 0, 3, 30], [0, 0, 0, 1]]
        np.testing.assert_allclose(read_volume(tmp_path / "a.nrrd").affine, expected)

    @pytest.mark.parametrize(
        ("units", "factor", "found"),
        [
            ('"mm" "mm" "mm"', 1, []),
            ('"" "" ""', 1, []),
            ('"um" "um" "um"', 1000, [("note", "um")]),
            ('"\N{MICRO SIGN}m" "microns" "micrometres"', 1000, [("note", "micron")]),
            ('"cm" "cm" "cm"', 0.1, [("note", "cm")]),
            ('"m" "m" "m"', 0.001, [("note", "lengths in m;")]),
            ('"parsec" "mm" "mm"', 1, [("warning", "not known; mm was taken")]),
        ],
    )
    def test_units_of_nrrd(
        self, tmp_path: Path, units: str, factor: float, found: list[tuple[str, str]]
    ) -> None:
        scaled = np.diag([factor, factor, factor, 1]) @ AFFINE
        text = nrrd_header(voxels(), scaled, space_units=units)
        (tmp_path / "a.nrrd").write_bytes(text.encode() + raw(voxels()))
        self.in_mm(tmp_path / "a.nrrd", found)

    @pytest.mark.parametrize(
        ("unit", "factor", "found"),
        [
            ("mm", 1, []),
            ("?", 1, []),
            ("um", 1000, [("note", "um")]),
            ("cm", 0.1, [("note", "cm")]),
        ],
    )
    def test_units_of_meta_image(
        self, tmp_path: Path, unit: str, factor: float, found: list[tuple[str, str]]
    ) -> None:
        text = meta_header(
            voxels(), np.diag([factor, factor, factor, 1]) @ AFFINE, DistanceUnits=unit
        )
        (tmp_path / "a.mha").write_bytes(text.encode() + raw(voxels()))
        self.in_mm(tmp_path / "a.mha", found)

    @staticmethod
    def in_mm(path: Path, found: list[tuple[str, str]]) -> None:
        volume = read_volume(path)
        np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-5)
        assert [finding.severity for finding in volume.findings] == [kind for kind, _ in found]
        for finding, (_, text) in zip(volume.findings, found, strict=True):
            assert finding.code == "image.units"
            assert text in finding.text

    def test_units_of_a_space_without_name(self, tmp_path: Path) -> None:
        """There the file gives spacings and units of its axes, each its own."""
        text = nrrd_header(
            voxels(),
            np.eye(4),
            space="",
            space_directions="",
            space_origin="",
            spacings="100 0.2 3",
            units='"um" "cm" "mm"',
        )
        (tmp_path / "a.nrrd").write_bytes(text.encode() + raw(voxels()))
        np.testing.assert_allclose(read_volume(tmp_path / "a.nrrd").spacing, (0.1, 2, 3))

    @pytest.mark.parametrize("unit", ["um", "m"])
    def test_units_that_cannot_be_right(self, tmp_path: Path, unit: str) -> None:
        """Lengths in mm under another name are told with the numbers that come of it."""
        text = nrrd_header(voxels(), AFFINE, space_units=" ".join([f'"{unit}"'] * 3))
        (tmp_path / "a.nrrd").write_bytes(text.encode() + raw(voxels()))
        with pytest.raises(
            UnsuitableInputError, match=rf"mm apart \(the header gives lengths in {unit}"
        ) as caught:
            read_volume(tmp_path / "a.nrrd")
        assert caught.value.code == "image.spacing"

    def test_compressed(self, tmp_path: Path) -> None:
        packed = gzip.compress(raw(voxels()))
        text = nrrd_header(voxels(), AFFINE, encoding="gzip")
        (tmp_path / "a.nrrd").write_bytes(text.encode() + packed)
        packed = zlib.compress(raw(voxels()))
        text = meta_header(
            voxels(), AFFINE, CompressedData="True", CompressedDataSize=str(len(packed))
        )
        (tmp_path / "a.mha").write_bytes(text.encode() + packed)
        for name in ("a.nrrd", "a.mha"):
            np.testing.assert_array_equal(read_volume(tmp_path / name).data, voxels())

    @pytest.mark.parametrize("ending", [".nrrd", ".mha"])
    def test_one_volume_in_a_fourth_axis(self, tmp_path: Path, ending: str) -> None:
        volume = read_volume(self.with_time(tmp_path / f"a{ending}", 1))
        np.testing.assert_array_equal(volume.data, voxels())
        np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-5)

    @pytest.mark.parametrize("ending", [".nrrd", ".mha", ".mgz"])
    def test_several_volumes(self, tmp_path: Path, ending: str) -> None:
        with pytest.raises(UnsuitableInputError, match="several volumes|numbers per voxel"):
            read_volume(self.with_time(tmp_path / f"a{ending}", 3))

    @staticmethod
    def with_time(path: Path, times: int) -> Path:
        array = np.stack([voxels()] * times, axis=3)
        if path.suffix == ".mgz":
            nib.save(nib.MGHImage(array, AFFINE), path)
        elif path.suffix == ".nrrd":
            lps = RAS_TO_LPS @ AFFINE
            vectors = " ".join(f"({','.join(map(repr, map(float, c)))})" for c in lps[:3, :3].T)
            text = nrrd_header(
                array,
                AFFINE,
                space_directions=f"{vectors} none",
                kinds="domain domain domain list",
            )
            path.write_bytes(text.encode() + raw(array))
        else:
            lps = RAS_TO_LPS @ AFFINE
            spacing = np.append(np.linalg.norm(lps[:3, :3], axis=0), 1.0)
            turn = np.eye(4)
            turn[:3, :3] = lps[:3, :3] / spacing[:3]
            text = meta_header(
                array,
                AFFINE,
                TransformMatrix=words(turn.T.ravel()),
                Offset=words(np.append(lps[:3, 3], 0.0)),
                ElementSpacing=words(spacing),
            )
            path.write_bytes(text.encode() + raw(array))
        return path


class TestWhichFormat:
    def test_the_content_counts_before_the_name(self, tmp_path: Path) -> None:
        for ending in (".nrrd", ".mha"):
            named = save(tmp_path / f"a{ending}", voxels(), AFFINE).rename(tmp_path / "b.nii")
            np.testing.assert_array_equal(read_volume(named).data, voxels())

    def test_the_name_where_the_content_says_nothing(self, tmp_path: Path) -> None:
        for ending, kind in ENDINGS.items():
            path = tmp_path / f"a{ending.upper()}"
            path.write_bytes(b"nothing")
            assert volume_format(path) == kind

    def test_nifti_is_none_of_them(self, tmp_path: Path) -> None:
        nib.save(nib.Nifti1Image(voxels(), AFFINE), tmp_path / "a.nii")
        assert volume_format(tmp_path / "a.nii") is None

    def test_a_series_is_for_dicom(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="is not DICOM"):
            read_volume(save(tmp_path / "a.nrrd", voxels(), AFFINE), series_uid="1.2")


class TestRefused:
    @pytest.mark.parametrize("ending", ENDINGS)
    def test_cut_off(self, tmp_path: Path, ending: str, capfd: pytest.CaptureFixture[str]) -> None:
        path = save(tmp_path / f"a{ending}", voxels("i2"), AFFINE)
        data = path.with_name("data.raw") if ending in (".nhdr", ".mhd") else path
        data.write_bytes(data.read_bytes()[:-40])
        with pytest.raises(InputError, match="damaged or cut off") as error:
            read_volume(path)
        assert "\n" not in str(error.value)
        assert capfd.readouterr() == ("", ""), "the error is the only word about it"

    @pytest.mark.parametrize("ending", [".nhdr", ".mhd"])
    def test_a_header_without_its_data(self, tmp_path: Path, ending: str) -> None:
        path = save(tmp_path / f"a{ending}", voxels(), AFFINE)
        path.with_name("data.raw").unlink()
        with pytest.raises(InputError, match="needs its data file beside it") as error:
            read_volume(path)
        assert "\n" not in str(error.value)

    @pytest.mark.parametrize("ending", ENDINGS)
    def test_no_such_content(self, tmp_path: Path, ending: str) -> None:
        path = tmp_path / f"a{ending}"
        path.write_bytes(b"not an image" * 50)
        with pytest.raises(InputError, match=f"a{ending}: is damaged"):
            read_volume(path)

    def test_vectors(self, tmp_path: Path) -> None:
        array = np.stack([voxels()] * 3, axis=0)
        text = nrrd_header(
            array,
            np.eye(4),
            space_directions="none (1,0,0) (0,1,0) (0,0,1)",
            kinds="vector domain domain domain",
        )
        (tmp_path / "a.nrrd").write_bytes(text.encode() + raw(array))
        text = meta_header(voxels(), AFFINE, ElementNumberOfChannels="3")
        (tmp_path / "a.mha").write_bytes(text.encode() + raw(array))
        for name in ("a.nrrd", "a.mha"):
            with pytest.raises(UnsuitableInputError, match="3 numbers per voxel"):
                read_volume(tmp_path / name)

    def test_two_dimensions(self, tmp_path: Path) -> None:
        array = voxels()[:, :, 0]
        text = "NRRD0004\ntype: float\ndimension: 2\nsizes: 6 5\nendian: little\nencoding: raw\n\n"
        (tmp_path / "a.nrrd").write_bytes(text.encode() + raw(array))
        text = (
            "ObjectType = Image\nNDims = 2\nDimSize = 6 5\nElementType = MET_FLOAT\n"
            "ElementDataFile = LOCAL\n"
        )
        (tmp_path / "a.mha").write_bytes(text.encode() + raw(array))
        for name in ("a.nrrd", "a.mha"):
            with pytest.raises(UnsuitableInputError, match="fewer than 3 slices"):
                read_volume(tmp_path / name)

    def test_no_place_in_the_patient(self, tmp_path: Path) -> None:
        text = nrrd_header(voxels(), np.eye(4), space_directions="(1,0,0) (1,0,0) (0,0,1)")
        (tmp_path / "a.nrrd").write_bytes(text.encode() + raw(voxels()))
        with pytest.raises((UnsuitableInputError, InputError)) as error:
            read_volume(tmp_path / "a.nrrd")
        assert "\n" not in str(error.value)

    def test_no_patient_space_is_said(self, tmp_path: Path) -> None:
        text = (
            "NRRD0004\ntype: float\ndimension: 3\nsizes: 6 5 4\nspacings: 1 2 3\n"
            "endian: little\nencoding: raw\n\n"
        )
        (tmp_path / "a.nrrd").write_bytes(text.encode() + raw(voxels()))
        volume = read_volume(tmp_path / "a.nrrd")
        assert volume.spacing == pytest.approx((1, 2, 3))
        (finding,) = volume.findings
        assert finding.code == "nrrd.no_orientation"

    def test_no_ras_flag_is_said(self, tmp_path: Path) -> None:
        path = save(tmp_path / "a.mgh", voxels(), AFFINE)
        content = bytearray(path.read_bytes())
        content[28:30] = b"\0\0"
        path.write_bytes(content)
        (finding,) = read_volume(path).findings
        assert finding.code == "mgh.no_orientation"


def test_itk_is_loaded_where_it_is_used() -> None:
    code = (
        "import sys, mmccd.io, mmccd.imaging\n"
        "mmccd.io.read_volume, mmccd.imaging.correct_bias\n"
        "assert 'itk' not in sys.modules and 'SimpleITK' not in sys.modules"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
