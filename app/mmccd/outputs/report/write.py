"""All files of a run into a folder."""

from __future__ import annotations

import json
from pathlib import Path

from mmccd.core import USUAL_CHOICE, OutputChoice, Result, writing
from mmccd.io import write_nifti
from mmccd.outputs.report.html import write_page
from mmccd.outputs.report.overview import write_overview
from mmccd.outputs.report.panels import write_thumbnail


def write_outputs(result: Result, folder: Path, choice: OutputChoice = USUAL_CHOICE) -> Result:
    """Write what is chosen: DICOM objects where the input was DICOM, then maps, masks, picture and
    page; and always the report.

    Args:
        result: a finished run.
        folder: an existing folder (the staging one).
        choice: what.

    Returns:
        The result with the report that was written.

    Raises:
        OutputError: a file cannot be written.
    """
    if result.image.headers and choice.objects:
        # highdicom takes a second to load, which NIfTI need not wait for.
        from mmccd.outputs.dicom.write import write_dicom

        result = write_dicom(result, folder, choice)
    if choice.images:
        write_images(result, folder)
    with writing(folder.parent):
        content = json.dumps(result.report.model_dump(mode="json"), indent=2)
        (folder / "report.json").write_text(content + "\n")
    return result


def write_images(result: Result, folder: Path) -> None:
    """Write maps, masks, picture and page.

    Args:
        result: a finished run.
        folder: an existing folder (the staging one).

    Raises:
        OutputError: a file cannot be written.
    """
    write_nifti(result.anomaly_map, folder / "anomaly_map.nii.gz", "float32")
    if result.percentile_map is not None:
        write_nifti(result.percentile_map, folder / "percentile_map.nii.gz", "float32")
    write_nifti(result.segmentation, folder / "segmentation.nii.gz", "uint8")
    write_nifti(result.brain_mask, folder / "brain_mask.nii.gz", "uint8")
    with writing(folder.parent):
        write_overview(result, folder / "overview.png")
        write_thumbnail(result, folder / "thumbnail.jpg")
        write_page(result, folder / "report.html")
