"""All cases of a folder by a pipeline that is there: what the bundle's configuration calls."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mmccd.core import LineConsole, Settings, error_class
from mmccd.jobs.cohort import run_cohort
from mmccd.jobs.find import RESERVED, cohort_members
from mmccd.jobs.inputs import each_once
from mmccd.jobs.runners.inline import inline

if TYPE_CHECKING:
    from mmccd.pipeline import AnomalyPipeline


def predict_folder(
    pipeline: AnomalyPipeline, dataset_dir: str | Path, output_dir: str | Path, force: bool = False
) -> list[Path]:
    """Run the pipeline over the source images of all cases, each into ``output_dir/CASE``, as
    ``mmccd predict`` does (:mod:`mmccd.jobs`).

    Cases are those of BraTS layout or of a datalist (:func:`~mmccd.data.cases.find_cases`) and, in
    a folder, each subfolder that holds DICOM files: one study, whose FLAIR series is taken. Log and
    errors call a study by its place in the sorted list, because archives name folders after
    patients. Cases that are complete already are skipped.

    Returns:
        The folders of the cases.

    Raises:
        MmccdError: the worst of the cases that failed, after all were run.
    """
    inputs = each_once(cohort_members(Path(dataset_dir), pipeline.source), RESERVED)
    settings = Settings(force=force, max_voxels=0)
    account = run_cohort(
        inputs, Path(output_dir), settings, inline(lambda _: pipeline), LineConsole()
    )
    failed = account.failures
    if failed:
        worst = next(one for one in failed if one.exit_code == account.exit_code)
        raise error_class(worst.exit_code or 1)(
            f"{dataset_dir}: {worst.error} ({len(failed)} of {len(inputs)} cases failed)"
        )
    return [Path(output_dir) / one.name for one in inputs]
