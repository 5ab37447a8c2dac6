"""mmccd.io.nifti: what is read right, and what is refused with which error."""

from __future__ import annotations

import contextlib
import gzip
import random
import struct
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from mmccd.core.errors import InputError, MmccdError, OutputError, UnsuitableInputError
from mmccd.core.volume import Volume
from mmccd.io.nifti import is_nifti_name, read_nifti, write_nifti

SHAPE = (6, 5, 4)
OBLIQUE = np.eye(4)
OBLIQUE[:3, :3] = Rotation.from_euler("xyz", (2, -6, 90), degrees=True).as_matrix() @ np.diag(
    (0.9, 1.1, 4.8)
)
OBLIQUE[:3, 3] = (12.5, -7.0, 33.0)
RGB = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])


def values() -> NDArray[np.float64]:
    """Whole numbers from 0 to 119: every integer type holds them."""
    return np.arange(120, dtype=np.float64).reshape(SHAPE)


def save(
    path: Path,
    data: NDArray[np.generic] | None = None,
    affine: NDArray[np.float64] = OBLIQUE,
    header: nib.Nifti1Header | None = None,
) -> Path:
    """Write with nibabel alone."""
    stored = values().astype(np.float32) if data is None else data
    nib.save(
        nib.Nifti1Image(
            stored, affine, header, dtype=stored.dtype if stored.dtype.fields is None else None
        ),
        path,
    )
    return path


def patched(path: Path, offset: int, content: bytes) -> Path:
    """A plain .nii file with some of its bytes replaced."""
    raw = bytearray(save(path).read_bytes())
    raw[offset : offset + len(content)] = content
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("dtype", ["float32", "uint8", "int16", "float64"])
def test_round_trip(tmp_path: Path, dtype: str, ending: str) -> None:
    path = tmp_path / f"image{ending}"
    volume = Volume(values(), OBLIQUE, "flair")
    write_nifti(volume, path, dtype)
    read = read_nifti(path, "flair")
    np.testing.assert_array_equal(read.data, values())
    assert read.data.dtype == np.float32
    np.testing.assert_allclose(read.affine, OBLIQUE, atol=1e-6)
    assert read.same_grid(volume)
    assert read.modality == "flair"
    assert read.provenance == {"file": path.name, "format": "NIfTI", "data_type": dtype}


def test_other_programs_find_both_orientations_and_no_scaling(tmp_path: Path) -> None:
    path = tmp_path / "image.nii.gz"
    rotated = np.diag([-2.0, -2.0, 5.0, 1.0])
    rotated[:3, 3] = (90, 100, -50)
    write_nifti(Volume(values(), rotated), path, "uint8")
    header = nib.load(path).header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (1, 1)
    np.testing.assert_allclose(header.get_qform(), rotated, atol=1e-4)
    np.testing.assert_allclose(header.get_sform(), rotated, atol=1e-4)
    assert header.get_xyzt_units() == ("mm", "sec")
    assert header.get_slope_inter() == (None, None)
    assert header.get_data_dtype() == np.uint8


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "f4", "f8"])
def test_types_and_byte_orders(tmp_path: Path, dtype: str, order: str, ending: str) -> None:
    header = nib.Nifti1Header(endianness=order)
    header.set_data_dtype(np.dtype(dtype).newbyteorder(order))
    path = save(tmp_path / f"image{ending}", values().astype(dtype), header=header)
    raw = gzip.decompress(path.read_bytes()) if ending == ".nii.gz" else path.read_bytes()
    assert struct.unpack(f"{order}i", raw[:4]) == (348,), "the file has the byte order of this test"
    read = read_nifti(path)
    np.testing.assert_array_equal(read.data, values())
    assert read.data.dtype == np.dtype("=f4")


@pytest.mark.parametrize(("slope", "inter"), [(0.25, -10.0), (2.0, 0.0), (1.0, 1000.0), (0.0, 5.0)])
@pytest.mark.parametrize("order", ["<", ">"])
def test_scale_factors_are_applied(tmp_path: Path, slope: float, inter: float, order: str) -> None:
    header = nib.Nifti1Header(endianness=order)
    header.set_data_dtype(np.dtype("i2"))
    path = save(tmp_path / "image.nii", values().astype(np.int16), header=header)
    raw = bytearray(path.read_bytes())
    raw[112:120] = struct.pack(f"{order}ff", slope, inter)
    path.write_bytes(raw)
    # A slope of 0 means that the numbers are not scaled.
    expected = slope * values() + inter if slope else values()
    np.testing.assert_allclose(read_nifti(path).data, expected, rtol=1e-6)


def test_one_volume_in_four_dimensions(tmp_path: Path) -> None:
    read = read_nifti(save(tmp_path / "image.nii.gz", values()[..., None].astype(np.float32)))
    np.testing.assert_array_equal(read.data, values())


def test_nan_is_read_as_it_is(tmp_path: Path) -> None:
    data = values().astype(np.float32)
    data[0, 0, 0] = np.nan
    np.testing.assert_array_equal(read_nifti(save(tmp_path / "image.nii", data)).data, data)


def test_a_header_without_orientation_is_noted(tmp_path: Path) -> None:
    path = patched(tmp_path / "image.nii", 252, struct.pack("<hh", 0, 0))
    (finding,) = read_nifti(path).findings
    assert finding.code == "nifti.no_orientation"
    assert read_nifti(save(tmp_path / "other.nii")).findings == ()


def test_names() -> None:
    assert all(
        is_nifti_name(Path(name)) for name in ("a.nii", "a.nii.gz", "A.NII.GZ", "dir/a.b.nii")
    )
    assert not any(is_nifti_name(Path(name)) for name in ("a.gz", "nii", "a.nii.zip", "a.dcm"))


def text(path: Path) -> Path:
    path.write_text("this is no image\n" * 100)
    return path


def empty(path: Path) -> Path:
    path.touch()
    return path


def folder(path: Path) -> Path:
    path.mkdir()
    return path


def truncated(path: Path, keep: float) -> Path:
    """The first part of a file; noise, so that compression does not end it early."""
    save(path, np.random.default_rng(0).random((40, 40, 40)).astype(np.float32))
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * keep)])
    return path


def flipped(path: Path) -> Path:
    """A byte in the compressed data is wrong."""
    raw = bytearray(truncated(path, 1.0).read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    path.write_bytes(raw)
    return path


REFUSED: list[tuple[str, str, Callable[[Path], Path], type[MmccdError]]] = [
    ("missing", "image.nii.gz", lambda path: path, InputError),
    ("folder", "image.nii.gz", folder, InputError),
    ("empty", "image.nii.gz", empty, InputError),
    ("empty", "image.nii", empty, InputError),
    ("text", "image.nii.gz", text, InputError),
    ("text", "image.nii", text, InputError),
    ("text", "image.txt", text, InputError),
    ("half", "image.nii.gz", lambda path: truncated(path, 0.5), InputError),
    ("half", "image.nii", lambda path: truncated(path, 0.5), InputError),
    ("only the header's first bytes", "image.nii", lambda path: truncated(path, 0.001), InputError),
    ("all but the checksum", "image.nii.gz", lambda path: truncated(path, 0.99999), InputError),
    ("flipped byte", "image.nii.gz", flipped, InputError),
    (
        "MGH",
        "image.mgz",
        lambda path: nib.save(nib.MGHImage(values().astype(np.float32), OBLIQUE), path) or path,
        InputError,
    ),
    (
        "two volumes",
        "image.nii",
        lambda path: save(path, np.zeros((*SHAPE, 2), dtype=np.float32)),
        UnsuitableInputError,
    ),
    (
        "five dimensions",
        "image.nii",
        lambda path: save(path, np.zeros((*SHAPE, 1, 3), dtype=np.float32)),
        UnsuitableInputError,
    ),
    (
        "one plane",
        "image.nii",
        lambda path: save(path, np.zeros((30, 30), dtype=np.float32)),
        UnsuitableInputError,
    ),
    (
        "two slices",
        "image.nii",
        lambda path: save(path, np.zeros((30, 30, 2), dtype=np.float32)),
        UnsuitableInputError,
    ),
    (
        "two rows",
        "image.nii",
        lambda path: save(path, np.zeros((30, 2, 30), dtype=np.float32)),
        UnsuitableInputError,
    ),
    (
        "colour",
        "image.nii",
        lambda path: save(path, np.zeros(SHAPE, dtype=RGB)),
        UnsuitableInputError,
    ),
    (
        "complex",
        "image.nii",
        lambda path: save(path, np.zeros(SHAPE, dtype=np.complex64)),
        UnsuitableInputError,
    ),
    (
        "singular affine",
        "image.nii",
        lambda path: patched(path, 296, struct.pack("<4f", 0, 0, 0, 0)),
        UnsuitableInputError,
    ),
    (
        "parallel axes",
        "image.nii",
        lambda path: patched(path, 280, struct.pack("<8f", *[1, 1, 0, 0] * 2)),
        UnsuitableInputError,
    ),
    (
        "affine of zeros",
        "image.nii",
        lambda path: patched(path, 280, struct.pack("<12f", *[0] * 12)),
        UnsuitableInputError,
    ),
    (
        "affine with NaN",
        "image.nii",
        lambda path: patched(path, 280, struct.pack("<f", float("nan"))),
        UnsuitableInputError,
    ),
    (
        "unknown type",
        "image.nii",
        lambda path: patched(path, 70, struct.pack("<h", 77)),
        InputError,
    ),
]


@pytest.mark.parametrize(
    ("name", "make", "error"),
    [case[1:] for case in REFUSED],
    ids=[f"{case[0]}, {case[1]}" for case in REFUSED],
)
def test_refusals(
    tmp_path: Path, name: str, make: Callable[[Path], Path], error: type[MmccdError]
) -> None:
    path = make(tmp_path / name)
    with pytest.raises(error) as caught:
        read_nifti(path)
    assert type(caught.value) is error
    message = str(caught.value)
    assert message.startswith(str(path)), "the message names the file"
    assert "\n" not in message


def test_a_damaged_header_never_ends_in_another_error(tmp_path: Path) -> None:
    """Wrong bytes anywhere but in the dimensions: read or refused, nothing else."""
    chance = random.Random(0)
    raw = save(tmp_path / "image.nii").read_bytes()
    positions = [position for position in range(352) if not 40 <= position < 56]
    refused = 0
    for number in range(300):
        damaged = bytearray(raw)
        for position in chance.sample(positions, 3):
            damaged[position] = chance.randrange(256)
        path = tmp_path / f"{number}.nii"
        path.write_bytes(damaged)
        refused += 1
        with contextlib.suppress(InputError, UnsuitableInputError):
            read_nifti(path)
            refused -= 1
    assert 0 < refused < 300


@pytest.mark.parametrize("name", ["no/such/folder/image.nii.gz", "file/image.nii.gz"])
def test_what_cannot_be_written(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError) as caught:
        write_nifti(Volume(values(), OBLIQUE), tmp_path / name, "float32")
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)
