"""Quality control: is this an image that the models can judge? Rules on its features; each gives
findings, which warn or refuse.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmccd.core import Finding, ModelError, UnsuitableInputError, Volume, first_line
from mmccd.quality.features import QUALITY, BrainSlices, measure, width_to_length

STATISTICS = Path("configs") / "input_statistics.json"
NAMES = {"flair": "FLAIR", "t1": "T1", "t2": "T2"}
MOST_TILT_DEGREES = 20.0
"""The stack's direction against the patient's axis; clinical FLAIR follows the skull base, up to
about 15 degrees.
"""
COARSEST_PIXEL_MM = 2.0
"""Distance of voxels within axial slices: the models see pixels of 1.875 mm."""
WAY_OUT = "or accept it with --unchecked"
UPSIDE_DOWN = "head.upside_down"
FACES = ("bottom", "top", "front", "back", "right", "left")


@dataclass(frozen=True)
class InputStatistics:
    """What brains on FLAIR look like, measured (docs/checks.md); ``configs/input_statistics.json``
    of the forward bundle.

    Attributes:
        classifier: ``features``, their ``mean`` and ``scale``, and for each contrast ``weights``
            and ``intercept`` of a logistic regression.
        reference: ``features``, ``mean`` and ``precision`` (inverse covariance) over brains on
            FLAIR.
        limits: numbers beyond which a finding is reported; see the file.
        origin: which data, which command.
    """

    classifier: dict[str, Any]
    reference: dict[str, Any]
    limits: dict[str, Any]
    origin: dict[str, Any]

    @classmethod
    def read(cls, bundle: Path) -> InputStatistics:
        """Those of a forward bundle.

        Raises:
            ModelError: the file is missing or damaged.
        """
        path = bundle / STATISTICS
        try:
            content = json.loads(path.read_text())
            return cls(*(content[key] for key in ("classifier", "reference", "limits", "origin")))
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise ModelError(
                f"{path}: cannot be read ({first_line(error)}); restore it from the distribution",
                code="bundle.damaged",
            ) from error

    def contrasts(self, measured: dict[str, float]) -> dict[str, float]:
        """Probability of each contrast."""
        values = (
            np.array([measured[name] for name in self.classifier["features"]])
            - self.classifier["mean"]
        ) / self.classifier["scale"]
        scores = {
            name: float(np.dot(entry["weights"], values) + entry["intercept"])
            for name, entry in self.classifier["contrasts"].items()
        }
        largest = max(scores.values())
        shares = {name: float(np.exp(score - largest)) for name, score in scores.items()}
        return {name: share / sum(shares.values()) for name, share in shares.items()}

    def out_of_distribution(self, measured: dict[str, float]) -> float:
        """Out-of-distribution score: Mahalanobis distance from the reference, divided by the root
        of the number of features; about 1 for what is usual.
        """
        offset = (
            np.array([measured[name] for name in self.reference["features"]])
            - self.reference["mean"]
        )
        return float(
            np.sqrt(
                max(0.0, float(offset @ np.asarray(self.reference["precision"]) @ offset))
                / len(offset)
            )
        )


@dataclass(frozen=True)
class Review:
    """All findings about an input, and the numbers they rest on."""

    findings: tuple[Finding, ...]
    figures: dict[str, Any]

    def settle(self, name: str, unchecked: bool = False) -> tuple[Finding, ...]:
        """The findings, where they let the input pass.

        Args:
            name: what to call the input.
            unchecked: refusals let it pass, too.

        Raises:
            UnsuitableInputError: a finding refuses the input.
        """
        for finding in self.findings:
            if finding.refuses and not unchecked:
                raise UnsuitableInputError(f"{name}: {finding.text}, {WAY_OUT}", finding.code)
        return self.findings


def review(
    slices: BrainSlices,
    statistics: InputStatistics,
    lower: NDArray[np.bool_] | None = None,
    chosen_by_user: bool = False,
) -> Review:
    """Look at a brain before anything is computed from it.

    Args:
        slices: the brain on the model grid.
        statistics: what is usual.
        lower: where cerebellum and brainstem are, on the same grid; None where nobody knows.
        chosen_by_user: whether the mask was given; who gives half a brain may want that, so its
            shape is no reason to refuse it, and nor is its contrast, which is measured with tissue
            maps that are fitted to a whole brain.
    """
    shape = (
        check_extent(slices, statistics.limits)
        + check_faces(slices, statistics.limits)
        + check_outline(slices, statistics.limits)
    )
    whole = not any(finding.refuses for finding in shape)
    if chosen_by_user:
        shape = [_as_warning(finding) for finding in shape]
    direction = check_direction(slices, lower) if lower is not None else []
    turned = any(finding.code == UPSIDE_DOWN for finding in direction)
    measured = measure(
        replace(slices, image=slices.image[::-1], mask=slices.mask[::-1]) if turned else slices
    )
    contrasts = statistics.contrasts(measured)
    score = statistics.out_of_distribution(measured)
    contrast = check_contrast(contrasts, statistics.limits)
    if chosen_by_user and not whole:
        contrast = [_as_warning(finding) for finding in contrast]
    found = shape + contrast + check_quality(measured, score, statistics.limits)
    found += check_thickness(slices, statistics.limits) + direction
    figures = {
        "contrast_probabilities": {name: round(value, 4) for name, value in contrasts.items()},
        "strangeness": round(score, 3),  # its name in version 1 of the report
        **{name: round(measured[name], 4) for name in QUALITY},
    }
    return Review(tuple(found), figures)


def check_contrast(contrasts: dict[str, float], limits: dict[str, Any]) -> list[Finding]:
    """Does it look like FLAIR: dark fluid, white matter darker than grey?"""
    flair = contrasts["flair"]
    if flair >= limits["flair_warn"]:
        return []
    likeliest = max(contrasts, key=lambda name: contrasts[name])
    said = (
        f"the contrast looks like {NAMES[likeliest]}"
        if likeliest != "flair"
        else "the contrast is hardly that of FLAIR"
    )
    text = (
        f"{said} (probability of FLAIR {flair:.2f}); expected FLAIR: dark fluid, grey matter"
        " brighter than white"
    )
    refuses = flair < limits["flair_refuse"]
    return [
        Finding(
            "contrast.not_flair" if refuses else "contrast.doubtful",
            f"{text}; give the FLAIR image" if refuses else f"{text}; check which image this is",
            "refusal" if refuses else "warning",
        )
    ]


def check_extent(slices: BrainSlices, limits: dict[str, Any]) -> list[Finding]:
    """Too few slices, or too little brain."""
    areas = slices.mask.any(axis=(1, 2))
    count, height = int(areas.sum()), int(areas.sum()) * slices.spacing[0]
    volume = float(slices.mask.sum() * np.prod(slices.spacing) / 1000)
    if height < limits["height_refuse_mm"]:
        expected = f"expected a whole brain (at least {limits['height_warn_mm']:.0f} mm)"
        text = f"the brain spans {count} axial slices, {height:.0f} mm; {expected}"
        return [Finding("brain.too_short", f"{text}; give a complete scan", "refusal")]
    findings = []
    if height < limits["height_warn_mm"]:
        findings.append(
            Finding(
                "brain.short",
                f"the brain spans {count} axial slices, {height:.0f} mm only; what lies beyond was"
                " not looked at",
            )
        )
    low, high = limits["brain_ml"]
    if not low <= volume <= high:
        findings.append(
            Finding(
                "brain.size",
                f"the brain has {volume:.0f} mL; expected {low:.0f} to {high:.0f} mL; check the"
                " voxel spacing in the header and the brain mask",
            )
        )
    return findings


def check_faces(slices: BrainSlices, limits: dict[str, Any]) -> list[Finding]:
    """A brain that ends in a flat face is cut: by the field of view, or by whoever blanked the
    rest.
    """
    findings = []
    for face, share in face_shares(slices).items():
        if share > limits["face_refuse"][face]:
            findings.append(
                Finding(
                    "brain.incomplete",
                    f"the brain is cut off at its {face} (a flat face of {share:.0%} of its"
                    " cross-section); expected a whole brain; give a complete scan",
                    "refusal",
                )
            )
        elif share > limits["face_warn"][face]:
            findings.append(
                Finding(
                    "brain.cut_off",
                    f"the brain is cut off at its {face} (a flat face of {share:.0%} of its"
                    " cross-section); what lies beyond was not looked at",
                )
            )
    return findings


def check_outline(slices: BrainSlices, limits: dict[str, Any]) -> list[Finding]:
    """A brain that is far too narrow or too short for its other extent: a side, the front or the
    back is missing.
    """
    low, high = limits["width_to_length"]
    found = width_to_length(slices)
    if low <= found <= high:
        return []
    part = "a side" if found < low else "its front or back"
    usual = f"usual are {low:.2f} to {high:.2f}"
    text = f"the brain is {found:.2f} times as wide as long ({usual}), so {part} is missing"
    text += "; expected a whole brain; give a complete scan"
    return [Finding("brain.outline", text, "refusal")]


def face_shares(slices: BrainSlices) -> dict[str, float]:
    """Area of the brain in its outermost slice, row and column (the outer 4 mm where they are
    thinner), relative to its largest cross-section that way.
    """
    result = {}
    for axis, names in enumerate((("bottom", "top"), ("front", "back"), ("right", "left"))):
        areas = slices.mask.sum(axis=tuple(other for other in range(3) if other != axis)).astype(
            float
        )
        inside = np.flatnonzero(areas)
        depth = max(1, round(4.0 / slices.spacing[axis]))
        for name, part in zip(names, (inside[:depth], inside[-depth:]), strict=True):
            result[name] = float(areas[part].mean() / areas.max())
    return result


def check_quality(
    measured: dict[str, float], score: float, limits: dict[str, Any]
) -> list[Finding]:
    """Uneven brightness, slices that do not fit together, a blurred or noisy image, or something
    else that training never showed.
    """
    findings = []
    if measured["bias"] > limits["bias"]:
        findings.append(
            Finding(
                "brightness.uneven",
                "the brightness varies strongly over the brain"
                f" ({measured['bias']:.1f} times as much as the tissue in one place, usual are up"
                f" to {limits['bias']:.1f}); maps may mark it; try --bias-correction",
            )
        )
    if measured["jump"] > limits["jump"]:
        findings.append(
            Finding(
                "brightness.jumps",
                f"the brightness jumps from slice to slice (by {measured['jump']:.0%} of its spread"
                f" within slices, usual are up to {limits['jump']:.0%}), as after motion; maps may"
                " mark it",
            )
        )
    low, high = limits["detail"]
    if not low <= measured["detail"] <= high:
        blurred = measured["detail"] < low
        word = "blurred" if blurred else "noisy"
        findings.append(
            Finding(
                "image.blurred" if blurred else "image.noisy",
                f"the image is {word} (detail {measured['detail']:.2f}, usual are {low:.2f} to"
                f" {high:.2f}); maps may be wrong",
            )
        )
    if score > limits["out_of_distribution"]:
        findings.append(
            Finding(
                "image.out_of_distribution",
                f"the image is unlike those that the models know (distance {score:.1f}, usual"
                f" are up to {limits['out_of_distribution']:.1f}); maps may be wrong",
            )
        )
    return findings


def check_thickness(slices: BrainSlices, limits: dict[str, Any]) -> list[Finding]:
    """Slices thicker than any in training."""
    most = limits["slice_mm"]
    if slices.spacing[0] <= most:
        return []
    return [
        Finding(
            "slices.thick",
            f"the slices are {slices.spacing[0]:.1f} mm apart, thicker than any in training (up to"
            f" {most:.0f} mm); small lesions are lost and maps may be wrong",
        )
    ]


def check_tilt(volume: Volume) -> list[Finding]:
    """Slices that are far from axial: the model sees them as they are."""
    direction = volume.affine[:3, volume.superior_axis]
    degrees = float(np.degrees(np.arccos(min(1.0, abs(direction[2]) / np.linalg.norm(direction)))))
    if degrees <= MOST_TILT_DEGREES:
        return []
    return [
        Finding(
            "slices.tilted",
            f"the slices are tilted by {degrees:.0f} degrees against axial ones (usual are up to"
            f" {MOST_TILT_DEGREES:.0f}); maps may be wrong",
        )
    ]


def check_plane(volume: Volume) -> list[Finding]:
    """Axial slices that have to be interpolated between thick ones of another plane, or between
    pixels that are far longer than wide.
    """
    in_plane = [mm for axis, mm in enumerate(volume.spacing) if axis != volume.superior_axis]
    if max(in_plane) <= COARSEST_PIXEL_MM:
        return []
    text = (
        f"the voxels are {max(in_plane):.1f} mm apart within axial slices (a coronal or sagittal"
        f" stack?); usual are up to {COARSEST_PIXEL_MM:.0f} mm; the model sees axial slices, which"
        " are coarse; small lesions are lost and maps may be wrong"
    )
    return [Finding("slices.not_axial", text)]


def check_direction(slices: BrainSlices, lower: NDArray[np.bool_]) -> list[Finding]:
    """Cerebellum and brainstem lie below and behind the middle of the brain; where they do not, the
    header is wrong.
    """
    inside = lower & slices.mask
    if inside.sum() * np.prod(slices.spacing) / 1000 < 15.0:
        return []
    offset = (np.argwhere(inside).mean(0) - np.argwhere(slices.mask).mean(0)) * slices.spacing
    findings = []
    if offset[0] > 10:
        findings.append(
            Finding(
                UPSIDE_DOWN,
                "the head is upside-down against its header (the cerebellum lies on top); left and"
                " right may be wrong, too; check the conversion",
            )
        )
    if offset[1] < -10:
        findings.append(
            Finding(
                "head.back_to_front",
                "front and back are exchanged against the header (the cerebellum lies in front);"
                " left and right may be wrong, too; check the conversion",
            )
        )
    return findings


def _as_warning(finding: Finding) -> Finding:
    return replace(finding, severity="warning")
