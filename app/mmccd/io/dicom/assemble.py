"""The files of one series to one Volume, through highdicom."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
from highdicom.image import get_volume_from_series
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import UID

from mmccd.core import InputError, UnsuitableInputError
from mmccd.io.dicom.checks import orientation_of
from mmccd.io.dicom.elements import READ_ERRORS, quiet
from mmccd.io.dicom.header import read_dataset
from mmccd.io.dicom.padding import pad_with_air
from mmccd.io.dicom.scan import Series

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
# The checks have found orientations, steps and right angles equal to their own, narrower
# tolerances, which also allow for rounding; these are for highdicom.
_ORIENTATION_TOLERANCE = 1e-3
_STEP_TOLERANCE = 0.25
_PERPENDICULAR_TOLERANCE = 1e-2
_PIXELS = 0x7FE00000


def assemble(
    series: Series, path: Path
) -> tuple[NDArray[np.float32], NDArray[np.float64], tuple[Dataset, ...]]:
    """Decode the pixels of a series that passed the checks, and stack them.

    Args:
        series: see :func:`~mmccd.io.dicom.checks.volume_refusal`, which it passed.
        path: what the user gave, for messages.

    Returns:
        Voxels ``(columns, rows, slices)``, rescaled slice by slice, MONOCHROME1 inverted; the
        affine from their indices to mm, RAS; and the files' headers, their directions and pixel
        spacings made equal, without pixels.

    Raises:
        InputError: a file cannot be read to its end or its pixels cannot be decoded.
        UnsuitableInputError: the slices form no volume.
    """
    with quiet():
        datasets = [_read(instance.path, series, path) for instance in series.instances]
        try:
            _complete(datasets, series)
            for dataset in datasets:
                _check_pixels(dataset, series, path)
        except READ_ERRORS as error:
            raise _damaged(series, path, "a file has elements that cannot be read") from error
        headers = tuple(_without_pixels(dataset, series) for dataset in datasets)
        volume = _stack(datasets, series, path)
    if not np.isfinite(volume.array).all():
        raise UnsuitableInputError(
            f"{path}: {series.label} has values that are not finite after rescaling; expected"
            " finite ones; check slope and intercept",
            code="image.not_finite",
        )
    array, affine = _columns_rows_slices(volume)
    return pad_with_air(array, headers), affine, headers


def _without_pixels(dataset: Dataset, series: Series) -> Dataset:
    """The header as the file has it, but for directions and spacings; a frame of reference that was
    filled in is left out again.
    """
    header: Dataset = dataset[:_PIXELS]
    header.file_meta = dataset.file_meta
    if not series.first.frame_of_reference:
        del header.FrameOfReferenceUID
    return header


def _columns_rows_slices(
    volume: highdicom.Volume,
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """highdicom's (slices, rows, columns), LPS, with slices against the normal, as converters to
    NIfTI have it: slices along the normal, RAS.
    """
    affine = np.asarray(volume.affine, dtype=np.float64)
    flipped = affine.copy()
    flipped[:3, 3] += (volume.array.shape[0] - 1) * affine[:3, 0]
    flipped[:3, 0] *= -1
    array = np.asarray(volume.array[::-1], dtype=np.float32).transpose(2, 1, 0)
    return np.ascontiguousarray(array), _LPS_TO_RAS @ flipped[:, [2, 1, 0, 3]]


def _read(file: Path, series: Series, path: Path) -> Dataset:
    try:
        dataset = read_dataset(file)
    except READ_ERRORS as error:
        raise _damaged(series, path, "a file cannot be read") from error
    if "PixelData" not in dataset:
        raise _damaged(series, path, "a file has no pixel data or is cut off")
    return dataset


def _complete(datasets: list[Dataset], series: Series) -> None:
    """Fill in what highdicom wants and some scanners leave out, and make equal what the checks
    found equal but for rounding.
    """
    rows, columns = orientation_of(series.frames)
    columns = np.cross(np.cross(rows, columns), rows)
    directions = [*rows, *(columns / np.linalg.norm(columns))]
    spacing = [float(value) for value in series.frames[0].spacing]  # type: ignore[union-attr]
    # The same for all: checks refuse a series in which some have one and others do not.
    reference = highdicom.UID()
    for dataset in datasets:
        if not dataset.get("FrameOfReferenceUID"):
            dataset.FrameOfReferenceUID = reference
        for name in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
            for group in dataset.get(name) or []:
                for plane in group.get("PlaneOrientationSequence") or []:
                    plane.ImageOrientationPatient = directions
                for measures in group.get("PixelMeasuresSequence") or []:
                    measures.PixelSpacing = spacing
                    # Positions count; this one can contradict them.
                    measures.pop("SpacingBetweenSlices", None)
        if not series.first.multi_frame:
            dataset.ImageOrientationPatient = directions
            dataset.PixelSpacing = spacing


def _check_pixels(dataset: Dataset, series: Series, path: Path) -> None:
    """What pydicom lets pass: native pixels that end too early, and a slope that highdicom would
    read as 1.
    """
    if not UID(dataset.file_meta.TransferSyntaxUID).is_encapsulated:
        promised = (
            dataset.Rows
            * dataset.Columns
            * int(dataset.get("NumberOfFrames") or 1)
            * dataset.BitsAllocated
            // 8
        )
        if len(dataset.PixelData) < promised:
            raise _damaged(
                series,
                path,
                f"a file is cut off, it has {len(dataset.PixelData)} bytes of pixels, its header"
                f" promises {promised}",
            )
    if any(slope == 0 for slope in _slopes(dataset)):
        raise UnsuitableInputError(
            f"{path}: {series.label} has a rescale slope of 0; expected another number; export the"
            " series again",
            code="dicom.no_scale",
        )


def _slopes(dataset: Dataset) -> Iterator[float]:
    groups = [dataset]
    for name in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for group in dataset.get(name) or []:
            groups += group.get("PixelValueTransformationSequence") or []
    yield from (
        float(group.RescaleSlope) for group in groups if group.get("RescaleSlope") is not None
    )


def _stack(datasets: list[Dataset], series: Series, path: Path) -> highdicom.Volume:
    # Real-world values would replace the rescaled ones where a scanner writes both, but not for all
    # its series.
    options: dict[str, Any] = {
        "dtype": np.float32,
        "apply_real_world_transform": False,
        "apply_voi_transform": False,
        "apply_presentation_lut": True,
        "rtol": _STEP_TOLERANCE,
        "perpendicular_tol": _PERPENDICULAR_TOLERANCE,
    }
    try:
        if series.first.multi_frame:
            return highdicom.Image.from_dataset(datasets[0], copy=False).get_volume(**options)
        return get_volume_from_series(datasets, **options, orientation_tol=_ORIENTATION_TOLERANCE)
    except READ_ERRORS as error:
        kind = f"{series.first.transfer_syntax}, {type(error).__name__}"
        raise _damaged(
            series, path, f"the pixels cannot be decoded and stacked ({kind})"
        ) from error


def _damaged(series: Series, path: Path, found: str) -> InputError:
    return InputError(
        f"{path}: {series.label}: {found}; expected whole, readable files; copy or export the"
        " series again",
        code="input.damaged",
    )
