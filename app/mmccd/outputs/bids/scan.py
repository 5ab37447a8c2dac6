"""The files of one finished run under their names of BIDS, with what says what they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmccd import NOTICE
from mmccd.core import Report, write_json
from mmccd.outputs.bids.names import BRAIN, FIGURES, IMAGES, MAP, MASK, PERCENTILE, Scan
from mmccd.outputs.folder import MARKER
from mmccd.outputs.place import place_file
from mmccd.outputs.report.wording import map_sentence, map_unit

_DESCRIPTIONS = {
    MASK: "Where the (smoothed) anomaly map is above the threshold. It marks what is unusual, of"
    " whatever cause, and is no diagnosis.",
    PERCENTILE: "0 to 100: the share of healthy voxels of the same place and brightness whose error"
    " is smaller.",
    BRAIN: "The brain; outside it nothing was judged.",
}


def publish_scan(scan: Scan, folder: Path, dataset: Path) -> None:
    """Put a result into a BIDS derivative data set; what is there already is left as it is.

    Files are linked where the file system can (they take no space twice), else copied. The report
    is the last: where it is, the scan is whole.

    Args:
        scan: what was judged.
        folder: of a complete result.
        dataset: the derivative data set.

    Raises:
        OutputError: a file cannot be written.
    """
    report = Report.model_validate_json((folder / MARKER).read_text())
    for name, ending in IMAGES.items():
        image = dataset / scan.image(ending)
        if not (folder / name).exists():
            remove(image)
            continue
        place_file(folder / name, image)
        write_json(dataset / scan.image(ending, ".json"), sidecar(scan, ending, report))
    for name in FIGURES:
        if (folder / name).exists():
            place_file(folder / name, dataset / scan.figure(name))


def sidecar(scan: Scan, ending: str, report: Report) -> dict[str, Any]:
    """What stands beside an image: BIDS's own keys, and how it was made."""
    content: dict[str, Any] = {
        "Description": _DESCRIPTIONS.get(ending) or _map_description(report),
        "Sources": [scan.uri],
        "SpatialReference": scan.uri,
        "Manual": False,
    }
    if ending in (MASK, BRAIN):
        content["Type"] = "Lesion" if ending == MASK else "Brain"
    if ending == BRAIN:
        return {
            **content,
            "VolumeML": report.volumes_ml.brain,
            "FoundBy": report.input.brain_found_by,
            "Extractor": report.input.extractor,
        }
    if ending == MASK:
        content |= {
            "VolumeML": report.volumes_ml.anomalous,
            "Regions": report.lesion_count,
            "Threshold": report.threshold.value,
            "ThresholdSource": report.threshold.source,
            "OperatingPoint": report.threshold.operating_point,
        }
    return {**content, "Units": _unit(ending, report), **_made_by(report), "Notice": NOTICE}


def _unit(ending: str, report: Report) -> str:
    return {MAP: map_unit(report), PERCENTILE: "percent"}.get(ending, "1")


def _map_description(report: Report) -> str:
    return (
        f"{map_sentence(report)} It is no probability, and not limited to 1; 0 outside the brain."
    )


def _made_by(report: Report) -> dict[str, Any]:
    settings = report.settings
    return {
        "Preset": settings.preset,
        "Target": settings.target,
        "Precision": settings.precision,
        "Seed": settings.seed,
        "WeightsSHA256": {name: entry.sha256 for name, entry in report.weights.items()},
        "Versions": dict(report.versions),
        "Warnings": [finding.code for finding in report.findings],
    }


def remove(image: Path) -> None:
    """Remove an image of an earlier run, and its sidecar."""
    image.unlink(missing_ok=True)
    Path(str(image).replace(".nii.gz", ".json")).unlink(missing_ok=True)
