"""What the figures mean, in words."""

from __future__ import annotations

import re
from typing import Any

_SIGNS = {
    "brighter": "Only tissue that is brighter than expected counts.",
    "darker": "Only tissue that is darker than expected counts.",
    "both": "Brighter and darker tissue counts.",
}
_WEIGHTED = {
    "brighter": "Tissue that is brighter than expected counts, and darker tissue {} times as much.",
    "darker": "Tissue that is darker than expected counts, and brighter tissue {} times as much.",
}
_QUOTED = re.compile(r'(series (?:\d+|without number)) "[^"]*"')


def map_unit(report: dict[str, Any]) -> str:
    """The unit of the map, as short as a colour bar's label has to be."""
    settings = report["settings"]
    if settings.get("postprocessing", {}).get("units") == "slice_sd":
        return "SD of the slice's own error"
    squared = settings.get("cycle", {}).get("reading") == "code"
    kind = (
        report.get("weights", {})
        .get("forward", {})
        .get("normalisation", {})
        .get("flair", {})
        .get("kind")
    )
    unit = "SD of the brain's grey values" if kind == "paper" else "normalised grey values"
    return f"({unit})²" if squared else unit


def map_sentence(report: dict[str, Any]) -> str:
    """What a voxel of the map tells."""
    cycle = report["settings"].get("cycle", {})
    sign = (
        (_SIGNS | (_WEIGHTED if cycle.get("other_side") else {}))
        .get(cycle.get("sign", ""), "")
        .format(cycle.get("other_side"))
    )
    return (
        "How far the input is from what the models, which know healthy tissue only, make of it."
        f" Unit: {map_unit(report)}. {sign}".strip()
    )


def threshold_sentence(report: dict[str, Any]) -> str:
    """What the threshold means, for somebody who looks at brains."""
    threshold = report["threshold"]
    value = f"{threshold['value']:.4g}"
    calibration = threshold.get("calibration")
    if not calibration:
        return (
            f"The threshold {value} was given by the user. How much of a healthy brain lies above"
            " it is not known."
        )
    origin = calibration["origin"]
    cases = (
        f"{origin['cases']} validation cases ({origin['data']})"
        if "data" in origin
        else f"{origin['cases']} validation cases"
    )
    text = (
        f"In healthy brain of {cases}, {_percent(origin['reached_rate'])} of the voxels lie above"
        f" the threshold {value}."
    )
    if "dice" in origin:
        text += (
            " It was chosen because it fits the lesions that were marked in them best (Dice"
            f" {origin['dice']:.2f})."
        )
    brain = report["volumes_ml"]["brain"]
    return (
        f"{text} In a healthy brain of this size ({brain:.0f} mL) that would be about"
        f" {brain * origin['reached_rate']:.0f} mL."
    )


def warnings_without_names(report: dict[str, Any]) -> list[str]:
    """The run's warnings without the names of files and the descriptions of series: what is typed
    in by hand may name a patient.
    """
    notes = report.get("input", {})
    texts = []
    for text in report.get("warnings", []):
        if notes.get("file"):
            text = text.replace(str(notes["file"]), "the input")
        if notes.get("series_description"):
            text = text.replace(f' "{notes["series_description"]}"', "")
        texts.append(_QUOTED.sub(r"\1", text))
    return texts


def settings_rows(report: dict[str, Any]) -> list[tuple[str, str]]:
    """Settings and versions as label and value; a choice of what is known to hold nothing of a
    patient.
    """
    notes, settings, weights = (
        report.get("input", {}),
        report["settings"],
        report.get("weights", {}),
    )
    cycle, post = settings.get("cycle", {}), settings.get("postprocessing", {})
    rows = {
        "Input": " × ".join(str(n) for n in notes.get("shape", [])) + " voxels",
        "Voxel spacing": " × ".join(f"{value:g}" for value in notes.get("spacing_mm", [])) + " mm",
        "Format": notes.get("format"),
        "Brain": notes.get("brain_found_by"),
        "Brain found with": notes.get("extractor"),
        "Bias correction": "N4" if notes.get("bias_correction") else "none",
        "Translation": f"FLAIR to {settings['target'].upper()} and back",
        "Preset": settings.get("preset"),
        "Cycle": ", ".join(
            f"{name} {cycle[name]}"
            for name in (
                "reading",
                "steps",
                "stride",
                "width",
                "sampler",
                "sign",
                "other_side",
                "rounds",
            )
            if name in cycle
        ),
        "Median filter": (
            f"{post['median_size']} × {post['median_size']} model pixels"
            if post.get("median_size", 1) > 1
            else "off"
        ),
        "Average across slices": (
            f"Gaussian of {post['across_mm']:g} mm" if post.get("across_mm") else "off"
        ),
        "Small components": (
            f"below {post['min_component_ml']:g} mL removed"
            if post.get("min_component_ml")
            else "kept"
        ),
        "Seed": settings.get("seed"),
        "Device": f"{settings.get('device')}, {settings.get('precision')}",
        **{f"Weights, {name}": _weights(entry) for name, entry in weights.items()},
        "Versions": ", ".join(
            f"{name} {version}" for name, version in report.get("versions", {}).items()
        ),
        "Time": ", ".join(
            f"{name} {value:.1f} s" for name, value in report.get("timings_s", {}).items()
        ),
    }
    return [(label, str(value)) for label, value in rows.items() if value not in (None, "")]


def unusual_rows(report: dict[str, Any]) -> list[tuple[str, float, float]]:
    """Level in percent, volume above it, and what chance would give, both in mL; empty where the
    normal range is not known.
    """
    figures = report.get("unusual_ml") or {}
    levels = [
        name.removeprefix("above_").removesuffix("_percent")
        for name in figures
        if name.startswith("above_")
    ]
    return [
        (level, figures[f"above_{level}_percent"], figures[f"expected_above_{level}_percent"])
        for level in levels
    ]


def _weights(entry: dict[str, Any]) -> str:
    licence = " (for research only)" if entry.get("research_only") else ""
    return (
        f"{entry.get('source', '?')} to {entry.get('target', '?')}, SHA-256"
        f" {str(entry.get('sha256', '?'))[:12]}…{licence}"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"
