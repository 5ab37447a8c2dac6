"""What the figures mean, in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mmccd.core import OperatingPoint, Report, ReportInput, WeightsEntry, as_percent
from mmccd.postprocessing import THIN_MM

_SIGNS = {
    "brighter": "Only tissue that is brighter than expected counts.",
    "darker": "Only tissue that is darker than expected counts.",
    "both": "Brighter and darker tissue counts.",
}
_WEIGHTED = {
    "brighter": "Tissue that is brighter than expected counts, and darker tissue {} times as much.",
    "darker": "Tissue that is darker than expected counts, and brighter tissue {} times as much.",
}
_CYCLE = (
    *("reading", "hiding", "veil_sd", "draws", "steps", "stride", "width", "sampler"),
    *("sign", "other_side", "rounds", "level"),
)


def map_unit(report: Report) -> str:
    """The unit of the map, as short as a colour bar's label has to be."""
    settings = report.settings
    if settings.postprocessing.get("units") == "slice_sd":
        return "SD of the slice's own error"
    if settings.combination:
        return "score"
    squared = settings.cycle.get("reading") == "code"
    kind = _normalisation(report).get("kind")
    unit = "SD of the brain's grey values" if kind == "paper" else "normalised grey values"
    return f"({unit})²" if squared else unit


def _normalisation(report: Report) -> dict[str, Any]:
    forward = report.weights.get("forward")
    return ((forward.normalisation if forward else None) or {}).get("flair", {})


def map_sentence(report: Report) -> str:
    """What a voxel of the map tells."""
    cycle = report.settings.cycle
    sign = (
        (_SIGNS | (_WEIGHTED if cycle.get("other_side") else {}))
        .get(cycle.get("sign", ""), "")
        .format(cycle.get("other_side"))
    )
    if weights := report.settings.combination:
        return f"{_sum_sentence(weights)} {sign}".strip()
    return (
        "How far the input is from what the models, which know healthy tissue only, make of it."
        f" Unit: {map_unit(report)}. {sign}".strip()
    )


def _sum_sentence(weights: dict[str, Any]) -> str:
    """What the sum is made of."""
    parts = {
        "intensity": "how bright the tissue is (0 to 1 from the 2nd to the 90th percentile of the"
        " brain)",
        "error": "how far it is from what the cycle, which knows healthy tissue only, makes of it"
        " (SD of the brain's grey values)",
        "decision": "how sure a network is that has seen synthetic anomalies only (0 to 1)",
    }
    named = [f"{weights[name]:g} × {text}" for name, text in parts.items() if weights.get(name)]
    return f"A score, the sum of {'; '.join(named)}."


def threshold_sentence(report: Report) -> str:
    """What the threshold means, for somebody who looks at brains."""
    value, calibration = f"{report.threshold.value:.4g}", report.threshold.calibration
    if calibration is None:
        return (
            f"The threshold {value} was given by the user. How much of a healthy brain lies above"
            " it is not known."
        )
    if report.threshold.point is not None:
        return _point_sentence(report, report.threshold.point)
    origin = calibration.origin
    cases = (
        f"{origin['cases']} validation cases ({origin['data']})"
        if "data" in origin
        else f"{origin['cases']} validation cases"
    )
    text = (
        f"In healthy brain of {cases}, {as_percent(origin['reached_rate'])} of the voxels lie above"
        f" the threshold {value}."
    )
    if "dice" in origin:
        text += (
            " It was chosen because it fits the lesions that were marked in them best (Dice"
            f" {origin['dice']:.2f})."
        )
    brain = report.volumes_ml.brain
    return (
        f"{text} In a healthy brain of this size ({brain:.0f} mL) that would be about"
        f" {brain * origin['reached_rate']:.0f} mL."
    )


def _point_sentence(report: Report, point: OperatingPoint) -> str:
    """What the operating point promises, what it reached, and what that is in this brain."""
    calibration = report.threshold.calibration
    data = calibration.origin.get("data") if calibration else None
    brain = report.volumes_ml.brain
    return (
        f"The threshold {report.threshold.value:.4g} is that of the operating point"
        f" {report.threshold.operating_point}: {point.meaning}{f' ({data})' if data else ''}."
        f" Taken together, {as_percent(point.pooled_rate)} of their healthy voxels lie above it, in"
        f" the worst case {as_percent(point.largest_share)}. In a healthy brain of this size"
        f" ({brain:.0f} mL) that would be about {brain * point.usual_share:.1f} mL,"
        f" {brain * point.largest_share:.1f} mL in the worst case."
    )


def promise_sentence(report: Report) -> str:
    """What the operating point means, in mL; empty of any other threshold."""
    point = report.threshold.point
    if point is None:
        return ""
    return f"Operating point {report.threshold.operating_point}: {point.per_litre}."


def confidence_sentence(report: Report) -> str:
    """What the confidence of a region is and is not; empty where none is known."""
    if not any(lesion.confidence for lesion in report.lesions):
        return ""
    return (
        "Confidence compares a region's mean with the thresholds of the operating points: high"
        " above that of specific, moderate above that of balanced, else low. It says how rarely"
        " healthy brain is so conspicuous, not how probable a lesion is."
    )


def returned_sentence(report: Report) -> str:
    """Whether what returned follows the input; empty of a method that reconstructs nothing."""
    found = report.returned_image
    if found is None:
        return ""
    return (
        "In the brain outside the segmentation, what returned follows the input with a correlation"
        f" of {found.correlation:.2f} (1: as the input, 0: not at all), its grey values are spread"
        f" {found.spread:.2f} times as widely, and the two differ by {found.error:.2f} on average"
        " (normalised units)."
    )


def input_sentence(report: Report) -> str:
    """Which input it is: a file by its name, a DICOM series by its description (which has no word
    of the patient's name) and number of images; by its format alone where names are left out.
    """
    notes = report.input
    if notes.format != "DICOM":
        return notes.file or f"{notes.format or 'A'} volume, its name is left out"
    images = (notes.model_extra or {}).get("files")
    count = "" if images is None else f", {images} image{'s' * (images != 1)}"
    if notes.series_description:
        return f"DICOM series \u201c{notes.series_description}\u201d{count}"
    left_out = "without a description" if notes.file else "its description is left out"
    return f"DICOM series, {left_out}{count}"


def warnings_without_names(report: Report) -> list[str]:
    """The run's warnings without the names of files and the descriptions of series: what is typed
    in by hand may name a patient, and what they say holds for the input, whatever it is called.
    """
    return list(report.without_names().warnings)


def settings_rows(report: Report) -> list[tuple[str, str]]:
    """Settings and versions as label and value; a choice of what is known to hold nothing of a
    patient.
    """
    settings = report.settings
    rows = {
        **_input_rows(report.input),
        "Translation": f"FLAIR to {settings.target.upper()} and back",
        "Preset": settings.preset,
        "Operating point": report.threshold.operating_point,
        **_method_rows(settings.cycle, settings.postprocessing),
        "Sum": _sum_row(settings.combination),
        "Seed": settings.seed,
        "Device": f"{settings.device}, {settings.precision}",
        **{f"Weights, {name}": _weights(entry) for name, entry in report.weights.items()},
        "Versions": ", ".join(f"{name} {version}" for name, version in report.versions.items()),
        "Time": ", ".join(f"{name} {value:.1f} s" for name, value in report.timings_s.items()),
    }
    return [(label, str(value)) for label, value in rows.items() if value not in (None, "")]


def _input_rows(notes: ReportInput) -> dict[str, str | None]:
    return {
        "Input": " × ".join(str(n) for n in notes.shape) + " voxels",
        "Voxel spacing": " × ".join(f"{value:g}" for value in notes.spacing_mm) + " mm",
        "Format": notes.format,
        "Brain": notes.brain_found_by,
        "Brain found with": notes.extractor,
        "Bias correction": "N4" if notes.bias_correction else "none",
    }


def _method_rows(cycle: dict[str, Any], post: dict[str, Any]) -> dict[str, str]:
    smallest = post.get("min_component_ml")
    return {
        "Cycle": ", ".join(f"{name} {cycle[name]}" for name in _CYCLE if name in cycle),
        "Median filter": _thick_and_thin(post, "median_size", _median),
        "Average across slices": _thick_and_thin(post, "across_mm", _across),
        "Small components": f"below {smallest:g} mL removed" if smallest else "kept",
    }


def _sum_row(weights: dict[str, Any] | None) -> str | None:
    """Weights of the sum; None where the map is the cycle's alone."""
    if not weights:
        return None
    named = [f"{name} {weights[name]:g}" for name in ("intensity", "error", "decision")]
    return ", ".join([*named, "decision without the cycle"] if weights.get("blind") else named)


def _thick_and_thin(post: dict[str, Any], name: str, worded: Callable[[Any], str]) -> str:
    """A setting in words, with that of thin slices where they have their own."""
    usual, thin = worded(post.get(name)), post.get(f"thin_{name}")
    return usual if thin is None else f"{usual}; in slices up to {THIN_MM:g} mm: {worded(thin)}"


def _median(size: int | None) -> str:
    return f"{size} × {size} model pixels" if size and size > 1 else "off"


def _across(width: float | None) -> str:
    return f"Gaussian of {width:g} mm" if width else "off"


def unusual_rows(report: Report) -> list[tuple[str, float, float]]:
    """Level in percent, volume above it, and what chance would give, both in mL; empty where the
    normal range is not known.
    """
    figures = report.unusual_ml or {}
    levels = [
        name.removeprefix("above_").removesuffix("_percent")
        for name in figures
        if name.startswith("above_")
    ]
    return [
        (level, figures[f"above_{level}_percent"], figures[f"expected_above_{level}_percent"])
        for level in levels
    ]


def _weights(entry: WeightsEntry) -> str:
    licence = " (for research only)" if entry.research_only else ""
    return f"{entry.source} to {entry.target}, SHA-256 {entry.sha256[:12]}…{licence}"
