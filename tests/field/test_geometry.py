"""Headers whose units, matrices and sizes are not the usual ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from mmccd.core.errors import InputError, UnsuitableInputError
from mmccd.core.volume import Volume
from mmccd.io import read_volume, write_nifti
from mmccd.quality.rules import check_plane

DATA = np.arange(120, dtype=np.int16).reshape(6, 5, 4)
AFFINE = np.array([[-0.9, 0, 0, 80], [0, 0.9, 0, -90], [0, 0, 5.5, -60], [0, 0, 0, 1]])


def save(
    path: Path,
    sform: NDArray[np.float64] = AFFINE,
    qform: NDArray[np.float64] | None = None,
    codes: tuple[int, int] = (1, 1),
    **header: Any,
) -> Path:
    """A plain .nii with header fields as they are given."""
    image = nib.Nifti1Image(DATA, sform)
    image.set_qform(sform if qform is None else qform, code=codes[1])
    image.set_sform(sform, code=codes[0])
    content = bytearray(image.to_bytes())
    fields = nib.Nifti1Header(bytes(content[:348]), check=False)
    for name, value in header.items():
        fields[name] = value
    content[:348] = fields.binaryblock
    path.write_bytes(content)
    return path


def scaled(factor: float) -> NDArray[np.float64]:
    return np.diag([factor] * 3 + [1.0]) @ AFFINE


def codes_of(volume: Volume) -> list[str]:
    return [finding.code for finding in volume.findings]


@pytest.mark.parametrize(
    ("unit", "factor", "codes"),
    [(0, 1, []), (2, 1, []), (1, 0.001, ["nifti.units"]), (3, 1000, ["nifti.units"])],
)
def test_units_become_mm(tmp_path: Path, unit: int, factor: float, codes: list[str]) -> None:
    volume = read_volume(save(tmp_path / "a.nii", scaled(factor), xyzt_units=unit))
    np.testing.assert_allclose(volume.affine, AFFINE, rtol=1e-5)
    assert codes_of(volume) == codes
    write_nifti(volume, tmp_path / "b.nii.gz", "float32")
    assert nib.load(tmp_path / "b.nii.gz").header.get_xyzt_units()[0] == "mm"


def test_an_unknown_unit_is_said(tmp_path: Path) -> None:
    assert codes_of(read_volume(save(tmp_path / "a.nii", xyzt_units=5))) == ["nifti.units"]


@pytest.mark.parametrize(
    ("unit", "factor", "said"),
    [
        (2, 1000, "900 x 900 x 5500 mm"),
        (0, 1e6, "9e[+]05"),
        (0, 0.001, "0.0009"),
        (1, 1, "900 x 900 x 5500 mm apart .its header gives metres"),
        (3, 1, "0.0009 .* micrometres"),
    ],
)
def test_spacings_of_no_head_are_refused(
    tmp_path: Path, unit: int, factor: float, said: str
) -> None:
    with pytest.raises(UnsuitableInputError, match=said) as caught:
        read_volume(save(tmp_path / "a.nii", scaled(factor), xyzt_units=unit))
    assert caught.value.code == "image.spacing"


@pytest.mark.parametrize("codes", [(0, 1), (0, 0)])
@pytest.mark.parametrize("spacing", [0.0, np.nan])
def test_no_spacing_is_refused(tmp_path: Path, codes: tuple[int, int], spacing: float) -> None:
    pixdim = [1, 0.9, 0.9, spacing, 0, 0, 0, 0]
    with pytest.raises(UnsuitableInputError):
        read_volume(save(tmp_path / "a.nii", codes=codes, pixdim=pixdim))


def test_an_sform_alone_against_its_pixdim_is_said(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii", codes=(1, 0), pixdim=[1, 0, 0, 0, 0, 0, 0, 0])
    volume = read_volume(path)
    assert codes_of(volume) == ["nifti.two_orientations"]
    np.testing.assert_allclose(volume.affine, AFFINE, rtol=1e-6)


def test_a_contradiction_is_said(tmp_path: Path) -> None:
    other = AFFINE * [[-1], [1], [1], [1]]
    volume = read_volume(save(tmp_path / "a.nii", qform=other))
    assert codes_of(volume) == ["nifti.two_orientations"]
    assert "mirrored" in volume.findings[0].text
    assert "the sform was taken" in volume.findings[0].text
    np.testing.assert_allclose(volume.affine, AFFINE, rtol=1e-6)


def test_rounding_is_no_contradiction(tmp_path: Path) -> None:
    assert codes_of(read_volume(save(tmp_path / "a.nii", qform=AFFINE + 0.001))) == []


def test_an_identity_is_not_taken_against_a_qform(tmp_path: Path) -> None:
    volume = read_volume(save(tmp_path / "a.nii", np.eye(4), qform=AFFINE))
    assert "the qform was taken" in volume.findings[0].text
    np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-4)


@pytest.mark.parametrize("degrees", [15.0, 40.0])
def test_strong_shear_is_refused(tmp_path: Path, degrees: float) -> None:
    with pytest.raises(UnsuitableInputError, match=f"{degrees:.0f} degrees from a right"):
        read_volume(save(tmp_path / "a.nii", sheared(degrees), AFFINE, codes=(1, 0)))


def test_readers_of_the_results_agree_on_some_shear(tmp_path: Path) -> None:
    affine = sheared(4.0)
    volume = read_volume(save(tmp_path / "a.nii", affine, AFFINE, codes=(1, 0)))
    assert "image.sheared" in codes_of(volume)
    write_nifti(volume, tmp_path / "b.nii.gz", "float32")
    header = nib.load(tmp_path / "b.nii.gz").header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (1, 0)
    np.testing.assert_allclose(header.get_best_affine(), affine, rtol=1e-5)


def sheared(degrees: float) -> NDArray[np.float64]:
    matrix = np.eye(4)
    matrix[0, 1] = np.tan(np.radians(degrees))
    return AFFINE @ matrix


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_affine_that_is_not_finite_is_refused(tmp_path: Path, value: float) -> None:
    with pytest.raises(UnsuitableInputError, match="not finite"):
        read_volume(save(tmp_path / "a.nii", srow_x=[value] * 4))


@pytest.mark.parametrize("size", [32000, 2000])
def test_an_absurd_size_is_refused(tmp_path: Path, size: int) -> None:
    with pytest.raises(UnsuitableInputError) as caught:
        read_volume(save(tmp_path / "a.nii", dim=[3, size, size, size, 1, 1, 1, 1]))
    assert caught.value.code == "image.too_large"


@pytest.mark.parametrize("offset", [0, 1e6])
def test_voxels_elsewhere_are_refused(tmp_path: Path, offset: float) -> None:
    with pytest.raises(InputError) as caught:
        read_volume(save(tmp_path / "a.nii", vox_offset=offset))
    assert caught.value.code == "input.damaged"


def test_mirrored_axes_are_fine(tmp_path: Path) -> None:
    assert codes_of(read_volume(save(tmp_path / "a.nii", AFFINE @ np.diag([1, -1, -1, 1])))) == []


@pytest.mark.parametrize(
    ("spacing", "codes"), [((0.9, 0.9, 5.5), []), ((0.9, 5, 0.9), ["slices.not_axial"])]
)
def test_thick_slices_of_another_plane_are_said(
    spacing: tuple[float, float, float], codes: list[str]
) -> None:
    volume = Volume(DATA, np.diag([*spacing, 1.0]))
    assert [finding.code for finding in check_plane(volume)] == codes
