"""From files to files: one volume, or all cases of a folder."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from mmccd.cycle import Progress
from mmccd.data.cases import find_cases
from mmccd.errors import InputError
from mmccd.io.nifti import read_nifti
from mmccd.io.output import check_output, staged_output
from mmccd.pipeline import AnomalyPipeline
from mmccd.report.write import write_result
from mmccd.result import Result

logger = logging.getLogger(__name__)


def predict_file(
    make_pipeline: Callable[[], AnomalyPipeline],
    path: str | Path,
    output: str | Path,
    brain_mask: str | Path | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Result:
    """Run the pipeline over one NIfTI file and write the output folder.

    Args:
        make_pipeline: called after input and output were checked, because loading the models takes longest.
        path: a FLAIR volume.
        output: output folder, see :func:`~mmccd.io.output.staged_output`.
        brain_mask: NIfTI mask on the volume's grid.
        force: replace the results of an earlier run.
        progress: called with (passes done, in all).

    Raises:
        MmccdError: whatever makes the run fail; nothing is left behind.
    """
    check_output(Path(output), force)
    volume = read_nifti(path, "flair")
    mask = read_nifti(brain_mask, "mask") if brain_mask is not None else None
    pipeline = make_pipeline()
    with staged_output(output, force) as staging:
        result = pipeline.run(volume, mask, progress)
        write_result(result, staging)
    return result


def predict_folder(pipeline: AnomalyPipeline, dataset_dir: str | Path, output_dir: str | Path, force: bool = False) -> list[Path]:
    """Run the pipeline over the source images of all cases, each into ``output_dir/CASE``.

    Raises:
        MmccdError: the first case that fails ends the run; the ones before are complete.
    """
    cases = [case for case in find_cases(dataset_dir) if pipeline.source in case.images]
    if not cases:
        raise InputError(f"{dataset_dir}: no case has {pipeline.source}; expected CASE/CASE_{pipeline.source}.nii.gz")
    folders = []
    for number, case in enumerate(cases):
        folders.append(Path(output_dir) / case.name)
        predict_file(lambda: pipeline, case.images[pipeline.source], folders[-1], case.brain, force)
        logger.info("%d of %d: %s", number + 1, len(cases), case.name)
    return folders
