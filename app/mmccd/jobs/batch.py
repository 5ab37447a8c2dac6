"""From files to files: one volume, or all cases of a folder."""

from __future__ import annotations

from pathlib import Path

from mmccd.core import LineConsole, error_class
from mmccd.jobs.case import predict_file
from mmccd.jobs.inputs import cohort_members, unique
from mmccd.jobs.run import failures, in_this_process, run_cohort
from mmccd.pipeline import AnomalyPipeline

__all__ = ["predict_file", "predict_folder"]


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
    sources = unique(cohort_members(Path(dataset_dir), pipeline.source))
    account = run_cohort(
        sources, Path(output_dir), in_this_process(lambda: pipeline), LineConsole(), force
    )
    failed = failures(account)
    if failed:
        worst = next(outcome for outcome in failed if outcome.exit_code == account.exit_code)
        raise error_class(account.exit_code)(
            f"{dataset_dir}: {worst.error} ({len(failed)} of {len(sources)} cases failed)"
        )
    return [Path(output_dir) / source.name for source in sources]
