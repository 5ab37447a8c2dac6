"""``mmccd predict``."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from mmccd import core
from mmccd.apps.cli.runner import make_pipeline, make_runner
from mmccd.apps.cli.say import open_page, say, say_json, say_result
from mmccd.core import PhaseClock, Setting, UsageError, complain, open_console, phase_table

if TYPE_CHECKING:
    from mmccd.core import Report
    from mmccd.jobs import Input as OneInput

logger = logging.getLogger(__name__)

RESULTS = "mmccd_results"


Input = Annotated[
    str,
    Setting(
        "a 3-D NIfTI file (.nii or .nii.gz) or a folder with a DICOM study, with skull or without;"
        " several of them, a quoted pattern, or a folder of cases (BraTS layout), of DICOM studies"
        " or of NIfTI files, or a datalist: then each goes into a folder of its own"
        " (docs/cohort.md)",
        is_path=True,
    ),
]
Output = Annotated[
    str | None,
    Setting(
        "folder for the results; made if it is not there (default: NAME_mmccd, for several inputs"
        f" {RESULTS})",
        is_path=True,
        short="-o",
    ),
]
BrainMask = Annotated[
    str | None,
    Setting(
        "NIfTI mask of the brain on the input's grid (default: the brain is found); for one input",
        is_path=True,
    ),
]
Json = Annotated[bool, Setting("print the result as JSON")]
Open = Annotated[
    bool, Setting("open the report, or the index of several, in the browser once it is there")
]
Profile = Annotated[bool, Setting("say at the end where the time went; for one input")]


def predict(
    *input: Input,
    settings: core.Settings,
    output: Output = None,
    brain_mask: BrainMask = None,
    json: Json = False,
    open: Open = False,
    profile: Profile = False,
) -> int:
    """Find anomalies in FLAIR volumes: map, segmentation, picture and report of each.

    Examples:
        mmccd predict flair.nii.gz
        mmccd predict dicom_study -o out --preset fast --open
        mmccd predict head.nii.gz --brain-mask brain.nii.gz --threshold 0.8
        mmccd predict 'scans/*_flair.nii.gz' --output results --workers 2
        mmccd predict brats_folder --output results --json
    """
    from mmccd.jobs import find_inputs

    # A command line names no limit of the size: who gives a volume means it.
    settings = settings.model_copy(update={"max_voxels": 0})
    inputs, is_cohort = find_inputs(input, "flair")
    if not is_cohort:
        folder = Path(output or f"{inputs[0].name}_mmccd")
        clock = _since_the_start() if profile else PhaseClock()
        code = _predict_one(settings, inputs[0], folder, brain_mask, json, clock)
        if profile:
            logger.info("where the time went\n%s", phase_table(clock.seconds))
        if open:
            open_page(folder / "report.html")
        return code
    for flag, is_given in (
        ("--brain-mask", brain_mask is not None),
        ("--series", settings.series != "auto"),
        ("--study", settings.study != "auto"),
        ("--profile", profile),
    ):
        if is_given:
            raise UsageError(
                f"predict: {flag} is for one input, found {len(inputs)}; cases of BraTS layout"
                " bring their own masks (CASE_brain)"
            )
    folder = Path(output or RESULTS)
    code = _predict_cohort(settings, inputs, folder, json)
    if open:
        from mmccd.outputs import INDEX

        open_page(folder / INDEX)
    return code


def _predict_one(
    settings: core.Settings,
    one: OneInput,
    folder: Path,
    brain_mask: str | None,
    as_json: bool,
    clock: PhaseClock,
) -> int:
    from mmccd.jobs import predict_file

    series = _series(settings.series, one.path, settings.study)
    with open_console() as console:
        result = predict_file(
            lambda: make_pipeline(settings),
            one.path,
            folder,
            brain_mask or one.brain,
            settings.force,
            console,
            series,
            settings.study,
            clock,
            settings,
        )
    if as_json:
        say_json(_essentials(result.report, folder))
    else:
        say_result(result.report, str(folder))
    return 0


def _since_the_start() -> PhaseClock:
    """A clock that has counted since this process began, as far as the system tells when."""
    import psutil

    clock = PhaseClock()
    clock.skip({"start": max(time.time() - psutil.Process().create_time(), 0.0)})
    return clock


def _predict_cohort(
    settings: core.Settings, inputs: list[OneInput], folder: Path, as_json: bool
) -> int:
    from mmccd.jobs import NAME, TABLE, cohort_content, run_cohort, summary
    from mmccd.outputs import INDEX

    with open_console() as console:
        account = run_cohort(inputs, folder, settings, make_runner(settings), console)
    for outcome in account.failures:
        complain(outcome.line(), outcome.exit_code or 1, code=outcome.code)
    if as_json:
        files = [str(folder / name) for name in (NAME, TABLE, INDEX)]
        say_json({**cohort_content(account), "output": str(folder), "files": files})
    else:
        say(f"{summary(account)}; see {folder / INDEX}")
    return account.exit_code or 0


def _series(rule: str, path: Path, study: str) -> str | None:
    """The UID of the series that a rule means; None where the readers choose."""
    kind, _, wanted = rule.partition("=")
    if kind == "auto":
        return None
    if kind == "uid" or not path.is_dir():
        return wanted
    from mmccd.jobs import select_series

    return select_series(path, rule, 0, study)


def _essentials(report: Report, folder: Path) -> dict[str, Any]:
    """What a program needs to know of one result."""
    from mmccd.outputs import NAMES

    content = report.model_dump(mode="json")
    return {
        "status": report.status,
        "exit_code": 0,
        "output": str(folder),
        "files": {name: str(folder / name) for name in NAMES if (folder / name).exists()},
        **{name: content[name] for name in ("notice", "anomaly_found", "volumes_ml", "unusual_ml")},
        "threshold": report.threshold.value,
        "operating_point": report.threshold.operating_point,
        "settings": {
            name: content["settings"][name]
            for name in ("preset", "target", "precision", "device", "seed")
        },
        "timings_s": report.timings_s,
        "warnings": list(report.warnings),
    }
