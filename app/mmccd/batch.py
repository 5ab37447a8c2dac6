"""From files to files: one volume, or all cases of a folder."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from mmccd.cycle import Progress
from mmccd.data.cases import find_cases
from mmccd.errors import InputError, MmccdError
from mmccd.io.dicom.starts import holds_dicom
from mmccd.io.nifti import read_nifti
from mmccd.io.output import check_output, staged_output
from mmccd.io.read import read_volume
from mmccd.pipeline import AnomalyPipeline
from mmccd.report.write import write_outputs
from mmccd.result import Result

logger = logging.getLogger(__name__)


def predict_file(
    make_pipeline: Callable[[], AnomalyPipeline],
    path: str | Path,
    output: str | Path,
    brain_mask: str | Path | None = None,
    force: bool = False,
    progress: Progress | None = None,
    series: str | None = None,
) -> Result:
    """Run the pipeline over one NIfTI file or one DICOM study and write the output folder.

    Args:
        make_pipeline: called after input and output were checked, because loading the models takes longest.
        path: a FLAIR volume, see :func:`~mmccd.io.read.read_volume`.
        output: output folder, see :func:`~mmccd.io.output.staged_output`.
        brain_mask: NIfTI mask on the volume's grid; its axes may be in another order, as those of a converted DICOM series are.
        force: replace the results of an earlier run.
        progress: called with (passes done, in all).
        series: series instance UID of the DICOM series to take.

    Raises:
        MmccdError: whatever makes the run fail; nothing is left behind.
    """
    check_output(Path(output), force)
    volume = read_volume(path, "flair", series)
    mask = read_nifti(brain_mask, "mask").with_axes_of(volume) if brain_mask is not None else None
    pipeline = make_pipeline()
    with staged_output(output, force) as staging:
        return write_outputs(pipeline.run(volume, mask, progress), staging)


def predict_folder(pipeline: AnomalyPipeline, dataset_dir: str | Path, output_dir: str | Path, force: bool = False) -> list[Path]:
    """Run the pipeline over the source images of all cases, each into ``output_dir/CASE``.

    Cases are those of BraTS layout or of a datalist (:func:`~mmccd.data.cases.find_cases`) and, in a folder, each subfolder that holds DICOM files: one
    study, whose FLAIR series is taken. Log and errors call a study by its place in the sorted list, because archives name folders after patients.

    Raises:
        MmccdError: the first case that fails ends the run; the ones before are complete.
    """
    sources = _sources(Path(dataset_dir), pipeline.source)
    if not sources:
        raise InputError(
            f"{dataset_dir}: no case has {pipeline.source}; expected CASE/CASE_{pipeline.source}.nii.gz, or a DICOM study in each subfolder"
        )
    folders = []
    for number, (name, (source, brain)) in enumerate(sorted(sources.items()), 1):
        shown = f"DICOM study {number}" if source.is_dir() else name
        folders.append(Path(output_dir) / name)
        try:
            predict_file(lambda: pipeline, source, folders[-1], brain, force)
        except MmccdError as error:
            raise type(error)(str(error).replace(str(source), f"{dataset_dir}: {shown}")) from error
        logger.info("%d of %d: %s", number, len(sources), shown)
    return folders


def _sources(root: Path, source: str) -> dict[str, tuple[Path, Path | None]]:
    """The source image and brain mask of each case, and the folder of each DICOM study, by name; a subfolder with both is a case."""
    studies: dict[str, tuple[Path, Path | None]]
    studies = {folder.name: (folder, None) for folder in root.iterdir() if folder.is_dir() and holds_dicom(folder)} if root.is_dir() else {}
    try:
        cases = find_cases(root)
    except InputError:
        if not studies:
            raise
        cases = []
    return {**studies, **{case.name: (case.images[source], case.brain) for case in cases if source in case.images}}
