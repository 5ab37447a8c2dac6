"""Whether the files of a series form one volume: every reason why not, found in the headers
alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmccd.io.dicom.classes import other_modality
from mmccd.io.dicom.header import MAX_FRAMES, NEEDED, Frame
from mmccd.io.dicom.origin import patients, studies
from mmccd.io.dicom.scan import Series
from mmccd.io.geometry import MAX_MATRIX, MAX_VOXELS, MIN_SLICES, SPACING_MM

ORIENTATION_TOLERANCE_DEG = 0.2
"""Scanners round the directions of each slice by themselves: to four digits that is up to 0.01
degrees, to three 0.1.
"""
SPACING_TOLERANCE = 0.02
"""Slices count as evenly spaced where no step differs from the median by more than this share of it
(and by 0.02 mm, the rounding of positions).
"""
ROUNDING_MM = 0.02
DUPLICATE_MM = 0.01
SHEAR_TOLERANCE = 0.002
"""Sideways drift of the stack, as a share of its length (0.11 degrees), beside 0.1 mm for rounding.
"""
SHEAR_ROUNDING_MM = 0.1


@dataclass(frozen=True)
class Refusal:
    """Why a series cannot be used.

    Attributes:
        code: stable name of the reason.
        reason: what was found and what was expected.
        damaged: the files are damaged or incomplete, rather than of the wrong kind.
    """

    code: str
    reason: str
    damaged: bool = False


def volume_refusal(series: Series) -> Refusal | None:
    """The first reason why a series is not one MR volume with a place in the patient; None where it
    is.
    """
    return (
        origin_refusal(series)
        or _kind(series)
        or _completeness(series)
        or _header_refusal(series)
        or _stack(series.frames, series.first.between_slices)
    )


def origin_refusal(series: Series) -> Refusal | None:
    """Why the files of a series are not those of one series of one patient and one visit, in words
    that tell nothing of them; None where they are.
    """
    if series.uids > 1:
        return Refusal(
            "dicom.scattered_series",
            f"{series.uids} series of one slice each with the same number and description, so"
            " series UIDs were rewritten file by file; expected one UID for all slices",
        )
    persons, visits = patients(series.origins), studies(series.origins)
    count = len(series.instances) + len(series.left_out)
    if persons > 1:
        return Refusal(
            "dicom.several_patients",
            f"slices of {persons} patients among its {count} images, expected those of one",
        )
    if visits > 1:
        return Refusal(
            "dicom.several_studies",
            f"slices of {visits} studies among its {count} images, expected those of one visit",
        )
    return None


def orientation_of(frames: Iterable[Frame]) -> NDArray[np.float64]:
    """The median orientation of frames that all have one, as two unit vectors ``(2, 3)``, LPS."""
    median = np.median(
        [frame.orientation for frame in frames if frame.orientation is not None], axis=0
    ).reshape(2, 3)
    return np.asarray(median / np.linalg.norm(median, axis=1, keepdims=True))


def _kind(series: Series) -> Refusal | None:
    instances = series.instances
    modalities = sorted({instance.modality for instance in instances})
    matrix = any(instance.rows and instance.columns for instance in instances)
    if not series.is_image or (not matrix and modalities != ["MR"]):
        return Refusal(
            "dicom.no_images", f"holds no images ({', '.join(modalities)}), expected MR images"
        )
    if missing := _missing_attributes(series):
        return missing
    if modalities != ["MR"]:
        return Refusal("dicom.not_mr", f"modality {', '.join(modalities)}, expected MR")
    if others := sorted({other_modality(one.sop_class) for one in instances} - {""}):
        return Refusal(
            "dicom.not_mr", f"images of {', '.join(others)} by their SOP class, expected MR"
        )
    empty = sum(not (instance.rows and instance.columns) for instance in instances)
    if empty:
        return Refusal(
            "input.damaged",
            f"{empty} of {len(instances)} files hold no image (cut off, or headers only), expected"
            " pixels in each",
            damaged=True,
        )
    colour = sorted(
        {
            i.photometric
            for i in instances
            if i.samples != 1 or not i.photometric.startswith("MONOCHROME")
        }
    )
    if colour:
        return Refusal(
            "image.colour",
            f"colour images ({colour[0] or 'no photometric interpretation'}), expected grey values"
            " (MONOCHROME1 or MONOCHROME2)",
        )
    if any("MOSAIC" in instance.image_type for instance in instances):
        return Refusal(
            "dicom.mosaic", "mosaic images (all slices in one picture), expected one slice an image"
        )
    return None


def _missing_attributes(series: Series) -> Refusal | None:
    total = len(series.instances)
    counts = {
        keyword: count
        for keyword in NEEDED
        if (count := sum(keyword in instance.missing for instance in series.instances))
    }
    if not counts:
        return None
    named = ", ".join(
        f"{count} of {total} images have no {keyword}" for keyword, count in counts.items()
    )
    return Refusal("dicom.missing_attribute", f"{named}, expected it in each")


def _completeness(series: Series) -> Refusal | None:
    if series.conflicting:
        return Refusal(
            "dicom.conflicting",
            f"{series.conflicting} files have another one's SOP instance UID but different content,"
            " expected one file an image",
        )
    if series.missing:
        return Refusal(
            "dicom.files_missing",
            f"the DICOMDIR lists {series.missing} more files that are not there, expected all of"
            " them",
            damaged=True,
        )
    return None


def _header_refusal(series: Series) -> Refusal | None:
    instances, frames = series.instances, series.frames
    if any(instance.multi_frame for instance in instances) and len(instances) > 1:
        return Refusal(
            "dicom.several_multi_frame",
            f"{len(instances)} files with multi-frame images among them, expected one such file or"
            " single images",
        )
    if not instances[0].multi_frame and len(frames) > len(instances):
        return Refusal(
            "dicom.no_geometry",
            "several frames in a file without positions for each, expected an enhanced object or"
            " single images",
        )
    sizes = Counter((instance.rows, instance.columns) for instance in instances)
    (rows, columns), most = sizes.most_common(1)[0]
    if len(sizes) > 1:
        odd = sizes.most_common(2)[1][0]
        return Refusal(
            "dicom.several_sizes",
            f"{len(sizes)} matrix sizes ({len(instances) - most} of {len(instances)} images have"
            f" another one, {odd[0]}x{odd[1]}, than {rows}x{columns}), expected one",
        )
    if (
        len(frames) > MAX_FRAMES
        or max(rows, columns) > MAX_MATRIX
        or rows * columns * len(frames) > MAX_VOXELS
    ):
        return Refusal(
            "image.too_large",
            f"{len(frames)} images of {rows}x{columns} pixels, expected at most"
            f" {MAX_MATRIX}x{MAX_MATRIX} and 2^28 voxels",
        )
    if len(frames) < MIN_SLICES:
        return Refusal(
            "slices.few",
            f"{len(frames)} {'slice' if len(frames) == 1 else 'slices'}, expected at least"
            f" {MIN_SLICES} of a whole head",
        )
    references = {instance.frame_of_reference for instance in instances}
    if len(references) > 1:
        return Refusal(
            "dicom.several_frames_of_reference",
            f"{len(references)} frames of reference (the patient was moved), expected one",
        )
    return _missing(frames) or _implausible(frames)


def _missing(frames: list[Frame]) -> Refusal | None:
    """Positions, orientations and spacings that are not there, or not numbers."""
    named = (
        ("position", "image position (ImagePositionPatient)"),
        ("orientation", "image orientation (ImageOrientationPatient)"),
        ("spacing", "pixel spacing (PixelSpacing)"),
    )
    for attribute, name in named:
        count = sum(getattr(frame, attribute) is None for frame in frames)
        if count:
            return Refusal(
                "dicom.no_geometry",
                f"{count} of {len(frames)} images have no {name}, expected one in each",
            )
    return None


def _implausible(frames: list[Frame]) -> Refusal | None:
    spacings = _stacked(frames, "spacing")
    if spacings.min() < SPACING_MM[0] or spacings.max() > SPACING_MM[1]:
        return Refusal(
            "dicom.spacing",
            f"pixel spacing {spacings.min():g} to {spacings.max():g} mm, expected"
            f" {SPACING_MM[0]} to {SPACING_MM[1]} mm",
        )
    if np.ptp(spacings, axis=0).max() > 1e-3 * spacings.min():
        return Refusal(
            "dicom.several_spacings",
            f"several pixel spacings ({spacings.min():g} to {spacings.max():g} mm), expected one",
        )
    orientations = _stacked(frames, "orientation").reshape(-1, 2, 3)
    lengths = np.linalg.norm(orientations, axis=2)
    scalar = np.abs(np.einsum("ij,ij->i", orientations[:, 0], orientations[:, 1]))
    if np.abs(lengths - 1).max() > 0.01 or scalar.max() > 0.01:
        return Refusal(
            "dicom.no_geometry",
            "an image orientation that is not two perpendicular unit vectors, expected row and"
            " column directions",
        )
    return None


def _stack(frames: list[Frame], between_slices: float | None) -> Refusal | None:
    """Whether slices with position and orientation lie one above the other, evenly."""
    return _directions(frames) or _steps(frames, between_slices)


def _directions(frames: list[Frame]) -> Refusal | None:
    typical = orientation_of(frames)
    all_of_them = _stacked(frames, "orientation").reshape(-1, 2, 3)
    lengths = np.linalg.norm(all_of_them, axis=2, keepdims=True)
    angles = np.degrees(
        2 * np.arcsin(np.clip(np.linalg.norm(all_of_them / lengths - typical, axis=2) / 2, 0, 1))
    ).max(axis=1)
    odd = int(np.count_nonzero(angles > ORIENTATION_TOLERANCE_DEG))
    if odd:
        return Refusal(
            "dicom.several_orientations",
            f"slices in several orientations, {odd} of {len(frames)} turned by up to"
            f" {angles.max():.2g} degrees (a localiser?), expected one to"
            f" {ORIENTATION_TOLERANCE_DEG} degrees",
        )
    return None


def _steps(frames: list[Frame], between_slices: float | None) -> Refusal | None:
    rows, columns = orientation_of(frames)
    normal = np.cross(rows, columns)
    positions = _stacked(frames, "position")
    order = np.argsort(positions @ normal, kind="stable")
    positions = positions[order]
    steps = np.diff(positions @ normal)
    if steps.max() <= DUPLICATE_MM:
        return Refusal(
            "dicom.one_position",
            f"{len(frames)} images at one position, expected a stack of slices",
        )
    doubled = np.flatnonzero(steps <= DUPLICATE_MM)
    if doubled.size:
        return Refusal("dicom.duplicates", _duplicates([frames[i] for i in order], doubled))
    return _shear(positions, normal) or _gaps(steps, between_slices)


def _duplicates(frames: list[Frame], doubled: NDArray[np.intp]) -> str:
    first, second = frames[doubled[0]].traits, frames[doubled[0] + 1].traits
    differing = [name for name in first if first[name] != second.get(name, first[name])]
    cause = (
        f"they differ in {differing[0]}: several volumes in one series"
        if differing
        else "the same slice twice"
    )
    return (
        f"{doubled.size} slice positions that occur more than once ({cause}), expected one volume"
    )


def _shear(positions: NDArray[np.float64], normal: NDArray[np.float64]) -> Refusal | None:
    offsets = positions - positions[0]
    along = offsets @ normal
    sideways = np.linalg.norm(offsets - along[:, None] * normal, axis=1)
    if (sideways > SHEAR_ROUNDING_MM + SHEAR_TOLERANCE * along).any():
        angle = np.degrees(np.arctan2(sideways[-1], along[-1]))
        return Refusal(
            "dicom.tilt",
            f"the slices are not stacked at right angles (off by {angle:.2g} degrees, gantry tilt),"
            " expected a right-angled stack",
        )
    return None


def even_steps(steps: NDArray[np.float64]) -> bool:
    """Whether steps between slices, in mm, are one and the same, and none is 0."""
    return bool(steps.min() > DUPLICATE_MM) and not _off(steps).size


def _off(steps: NDArray[np.float64]) -> NDArray[np.float64]:
    median = float(np.median(steps))
    return steps[np.abs(steps - median) > max(SPACING_TOLERANCE * median, ROUNDING_MM)]


def _gaps(steps: NDArray[np.float64], between_slices: float | None) -> Refusal | None:
    median, off = float(np.median(steps)), _off(steps)
    if not SPACING_MM[0] <= median <= SPACING_MM[1]:
        return Refusal(
            "dicom.spacing",
            f"slices {median:.4g} mm apart, expected {SPACING_MM[0]} to {SPACING_MM[1]} mm",
        )
    if off.size:
        return Refusal(
            "dicom.gaps",
            f"slices are missing or unevenly spaced ({off.size} of {steps.size} steps are not"
            f" {median:.4g} mm, the largest is {steps.max():.4g} mm), expected one spacing",
        )
    # Some scanners write the empty space between slices, which is less than a step, but never half
    # of one with contiguous slices.
    if between_slices and between_slices > 0:
        ratio = median / between_slices
        if round(ratio) >= 2 and abs(ratio - round(ratio)) <= SPACING_TOLERANCE:
            return Refusal(
                "dicom.gaps",
                f"the slices are {median:.4g} mm apart, but were acquired every"
                f" {between_slices:.4g} mm: some are missing, expected all",
            )
    return None


def _stacked(frames: list[Frame], attribute: str) -> NDArray[np.float64]:
    return np.array([getattr(frame, attribute) for frame in frames], dtype=np.float64)
