"""One image from file to folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mmccd.core import Console, Result
from mmccd.io import read_nifti, read_volume
from mmccd.jobs.record import KEY, request
from mmccd.outputs import check_output, staged_output, write_outputs
from mmccd.pipeline import AnomalyPipeline


def predict_file(
    make_pipeline: Callable[[], AnomalyPipeline],
    path: str | Path,
    output: str | Path,
    brain_mask: str | Path | None = None,
    force: bool = False,
    console: Console | None = None,
    series: str | None = None,
) -> Result:
    """Run the pipeline over one NIfTI file or one DICOM study and write the output folder.

    Args:
        make_pipeline: called after input and output were checked, because loading the models takes
            longest.
        path: a FLAIR volume, see :func:`~mmccd.io.read.read_volume`.
        output: output folder, see :func:`~mmccd.outputs.folder.staged_output`.
        brain_mask: NIfTI mask on the volume's grid; its axes may be in another order, as those of a
            converted DICOM series are.
        force: replace the results of an earlier run.
        console: told of the stages ``read``, ``models``, ``brain``, ``cycle`` and ``write``, and
            how far the cycle is.
        series: series instance UID of the DICOM series to take.

    Returns:
        The result; its report has, under ``request``, what it was made of
        (:mod:`mmccd.jobs.record`).

    Raises:
        MmccdError: whatever makes the run fail; nothing is left behind.
    """
    console = console or Console()
    check_output(Path(output), force)
    console.stage("read")
    volume = read_volume(path, "flair", series)
    mask = read_nifti(brain_mask, "mask").with_axes_of(volume) if brain_mask is not None else None
    console.stage("models")
    pipeline = make_pipeline()
    made_of = request(pipeline, Path(path), Path(brain_mask) if brain_mask else None, series)
    with staged_output(output, force) as staging:
        result = pipeline.run(volume, mask, console.progress, stage=console.stage)
        console.stage("write")
        report = result.report.model_copy(update={KEY: made_of})
        return write_outputs(replace(result, report=report), staging)
