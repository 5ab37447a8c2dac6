"""Brains and heads whose background and zero point are not the usual ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from scipy import ndimage

from mmccd.brain import STRIPPED, Extraction, find_brain
from mmccd.brain.background import find_background
from mmccd.core.errors import UnsuitableInputError
from mmccd.core.volume import Volume
from mmccd.imaging import brain_values
from mmccd.io import read_nifti
from mmccd.io.dicom.padding import pad_with_air

Array = NDArray[np.float32]
SHAPE = (80, 96, 20)
AFFINE = np.diag([-2.0, -2.0, 6.0, 1.0])
_RADIUS = np.sqrt(
    sum(
        ((index - (n - 1) / 2) / (0.42 * n)) ** 2
        for index, n in zip(np.indices(SHAPE), SHAPE, strict=True)
    )
)
BRAIN = _RADIUS < 0.8
ROUND_VIEW = np.hypot(*[np.indices(SHAPE)[a] - (SHAPE[a] - 1) / 2 for a in (0, 1)]) > 46


def tissue() -> Array:
    """100 with texture, 8 and more."""
    noise = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=SHAPE), (2, 2, 0.5))
    return np.clip(100 + 20 * noise / noise.std(), 8, None).astype(np.float32)


def head() -> Array:
    """The brain within dark skull and bright scalp, noise outside."""
    air = np.abs(np.random.default_rng(1).normal(0, 4, SHAPE))
    outer = np.where(_RADIUS < 0.9, air + 6, np.where(_RADIUS < 1, 220.0, air))
    return np.where(BRAIN, tissue(), outer).astype(np.float32)


def zscored() -> Array:
    values = tissue()
    return ((values - values[BRAIN].mean()) / values[BRAIN].std()).astype(np.float32)


def refuse(volume: Volume) -> Extraction:
    raise AssertionError("taken for a head")


@pytest.mark.parametrize("background", [0.0, 37.0, -1024.0, -32768.0, 255.0, np.nan, np.inf])
@pytest.mark.parametrize("values", [tissue, zscored, lambda: tissue() + 1000])
def test_any_background_is_found(values: Callable[[], Array], background: float) -> None:
    volume = Volume(np.where(BRAIN, values(), np.float32(background)), AFFINE)
    found = find_brain(volume, extract=refuse)
    assert found.method == STRIPPED
    np.testing.assert_array_equal(found.mask, BRAIN)


@pytest.mark.parametrize("background", [-0.8, zscored()[BRAIN].min()])
def test_a_background_may_be_a_value_of_the_brain(background: float) -> None:
    volume = Volume(np.where(BRAIN, zscored(), np.float32(background)), AFFINE)
    found = find_brain(volume, extract=refuse)
    assert (found.mask != BRAIN).sum() <= 2  # at the edge they look alike


@pytest.mark.parametrize("values", [tissue, zscored])
@pytest.mark.parametrize("noisy", [True, False], ids=["noise", "ringing"])
def test_an_interpolated_background_is_found(values: Callable[[], Array], noisy: bool) -> None:
    data = np.where(BRAIN, values(), np.float32(0))
    if noisy:
        spread = 0.001 * np.abs(data).max()
        data = np.where(BRAIN, data, np.random.default_rng(0).normal(0, spread, SHAPE))
    else:
        data = ndimage.rotate(data, 7, reshape=False, order=3)
    found = find_brain(Volume(data.astype(np.float32), AFFINE), extract=refuse)
    assert found.method == STRIPPED
    assert found.mask.sum() == pytest.approx(BRAIN.sum(), rel=0.08)


def holed(background: float) -> Volume:
    data = np.where(BRAIN, tissue(), np.float32(background))
    data[38:42, 46:50, 9:11] = np.nan
    return Volume(data, AFFINE)


def test_nan_within_a_brain_on_nan_is_background() -> None:
    volume = holed(np.nan)
    found = find_brain(volume, extract=refuse)
    assert np.isfinite(brain_values(volume, found.mask)).all()


def test_nan_within_a_brain_on_zeros_is_refused() -> None:
    volume = holed(0.0)
    found = find_brain(volume, extract=refuse)
    with pytest.raises(UnsuitableInputError, match="32 voxels inside the brain are NaN"):
        brain_values(volume, found.mask)


@pytest.mark.parametrize("padding", [None, 0.0, -1024.0, -2000.0, 32767.0, np.nan])
@pytest.mark.parametrize("offset", [0.0, 100.0, 1000.0, -700.0])
def test_a_head_is_the_same_whatever_is_added_and_padded(
    offset: float, padding: float | None
) -> None:
    data = head() + np.float32(offset)
    if padding is not None:
        data = np.where(ROUND_VIEW, np.float32(padding), data)
    volume = Volume(data, AFFINE, provenance={"file": "head.nii"})
    with pytest.raises(UnsuitableInputError, match="is not skull-stripped"):
        find_brain(volume)
    above = find_background(volume).above(data)
    shown = np.ones(SHAPE, bool) if padding is None else ~ROUND_VIEW
    np.testing.assert_allclose(above[shown], head()[shown], atol=1)
    assert not above[~shown].any()


def test_padding_that_was_interpolated_is_air() -> None:
    data = np.where(ROUND_VIEW, np.float32(-1024), head())
    volume = Volume(ndimage.zoom(data, (0.9, 0.9, 1), order=1), AFFINE)
    assert abs(find_background(volume).zero) < 2
    volume = replace(volume, data=ndimage.zoom(data, (0.9, 0.9, 1), order=3))
    assert abs(find_background(volume).zero) < 60


@pytest.mark.parametrize(
    ("padding", "limit", "expected"),
    [
        (-2000, None, [-1990, 5, 9, -1990]),
        (-2000, -1990, [5, 5, 9, 5]),
        (5, None, [-2000, 5, 9, -1990]),
        (None, None, [-2000, 5, 9, -1990]),
    ],
)
def test_padding_of_dicom_is_air(
    padding: int | None, limit: int | None, expected: list[float]
) -> None:
    header = Dataset()
    header.PhotometricInterpretation = "MONOCHROME2"
    header.RescaleSlope, header.RescaleIntercept = "1", "0"
    if padding is not None:
        header["PixelPaddingValue"] = DataElement(0x00280120, "SS", padding)
    if limit is not None:
        header["PixelPaddingRangeLimit"] = DataElement(0x00280121, "SS", limit)
    given = np.array([-2000, 5, 9, -1990], np.float32)
    np.testing.assert_array_equal(pad_with_air(given, [header]), expected)


@pytest.mark.parametrize(("factor", "fits"), [(1e300, False), (1e-50, False), (1e20, True)])
@pytest.mark.parametrize("shape", [(6, 5, 4), (6, 5, 4, 1)])
def test_values_beyond_single_precision_are_refused(
    tmp_path: Path, factor: float, fits: bool, shape: tuple[int, ...]
) -> None:
    data = np.arange(120, dtype=np.float64).reshape(shape) * factor
    nib.save(nib.Nifti1Image(data, np.diag([1, 1, 5, 1])), tmp_path / "a.nii.gz")
    if fits:
        np.testing.assert_array_equal(
            read_nifti(tmp_path / "a.nii.gz").data, data.reshape(6, 5, 4).astype(np.float32)
        )
        return
    with pytest.raises(UnsuitableInputError, match="single precision") as caught:
        read_nifti(tmp_path / "a.nii.gz")
    assert caught.value.code == "image.range"


def test_a_large_volume_is_converted_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = np.random.default_rng(0).integers(0, 999, (6, 5, 40)).astype(np.int16)
    nib.save(nib.Nifti1Image(data, np.diag([1, 1, 5, 1])), tmp_path / "a.nii.gz")
    monkeypatch.setattr("mmccd.io.nifti._MOST_AT_ONCE", 100)
    monkeypatch.setattr("mmccd.io.nifti._PIECE", 200)
    np.testing.assert_array_equal(read_nifti(tmp_path / "a.nii.gz").data, data)
