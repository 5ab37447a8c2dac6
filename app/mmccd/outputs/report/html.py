"""``report.html``: one page that needs nothing else, with the volumes, a viewer and a threshold
that can be moved.
"""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Any

from mmccd import NOTICE
from mmccd.core import Result
from mmccd.imaging import GridTransform
from mmccd.outputs.report.embedded import Box
from mmccd.outputs.report.panels import draw_panels
from mmccd.outputs.report.risks import risks_of
from mmccd.outputs.report.view import RadiologicalView
from mmccd.outputs.report.viewer import viewer_figures, viewer_volumes
from mmccd.outputs.report.viewer_files import packed_viewer, viewer_script
from mmccd.outputs.report.wording import (
    confidence_sentence,
    input_sentence,
    map_sentence,
    map_unit,
    promise_sentence,
    returned_sentence,
    settings_rows,
    threshold_sentence,
    unusual_rows,
    warnings_without_names,
)
from mmccd.outputs.templates import part, templates

SLICES = 5
_PACKAGE = "mmccd.outputs.report"


def write_page(result: Result, path: str | Path) -> None:
    """Write the page.

    It holds voxels and figures of the run, and nothing of the input's headers but, where the report
    has it, which input it is: a file's name, or the description of a DICOM series.

    Args:
        result: a finished run.
        path: HTML file to make.

    Raises:
        OSError: the file cannot be written.
    """
    Path(path).write_text(render_page(result), encoding="utf-8")


def render_page(result: Result) -> str:
    """The page as text."""
    view = RadiologicalView.of(result)
    transform = GridTransform.fit(result.image, result.brain_mask.data > 0)
    report = result.report
    box = Box.around(result.brain_mask)
    page = {
        "notice": NOTICE,
        "report": report,
        "warnings": warnings_without_names(report),
        "input": input_sentence(report),
        "risks": risks_of(result),
        "promise_sentence": promise_sentence(report),
        "threshold_sentence": threshold_sentence(report),
        "confidence_sentence": confidence_sentence(report),
        "map_sentence": map_sentence(report),
        "map_unit": map_unit(report),
        "returned_sentence": returned_sentence(report),
        "settings": settings_rows(report),
        "unusual": unusual_rows(report),
        "panels": draw_panels(result, view, transform, SLICES),
        "slices": len(view.image),
        "data": _data(result, view, box, transform),
        "niivue_version": part(_PACKAGE, "niivue/VERSION").strip(),
        "licences": (
            part(_PACKAGE, "niivue/LICENSE")
            + "\n----\n\n"
            + part(_PACKAGE, "niivue/THIRD_PARTY_LICENSES.txt")
        ),
    }
    shared = [viewer_script(name).decode("utf-8") for name in ("segmentation.js", "viewing.js")]
    return (
        templates(_PACKAGE)
        .get_template("report.html")
        .render(
            page,
            niivue=b64encode(packed_viewer()).decode("ascii"),
            scripts=[*shared, part(_PACKAGE, "report.js")],
            style=part(_PACKAGE, "report.css"),
        )
    )


def _data(
    result: Result, view: RadiologicalView, box: Box, transform: GridTransform
) -> dict[str, Any]:
    """What the scripts read: volumes, and how the map becomes a segmentation."""
    volumes = viewer_volumes(result, view, box, transform)
    return {
        "volumes": {name: b64encode(content).decode("ascii") for name, content in volumes.items()},
        **viewer_figures(result, view, box),
    }
