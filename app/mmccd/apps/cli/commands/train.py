"""``mmccd train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from mmccd import core
from mmccd.apps.cli.say import say
from mmccd.apps.parser import Only
from mmccd.core import MmccdError, Setting, complain, open_console

SHARED = Only("device", "bundles", "force", "workers", "scheduler", "threads")
StudyFile = Annotated[str, Setting("JSON file of the study (docs/training.md)", is_path=True)]
Output = Annotated[
    str | None,
    Setting(
        "folder of the study; made if it is not there (default: NAME_mmccd beside you, by the name"
        " of the study's file)",
        is_path=True,
    ),
]
DryRun = Annotated[
    bool, Setting("check the study, print how long it takes and how much memory, and end")
]


def train(
    study: StudyFile,
    settings: Annotated[core.Settings, SHARED],
    output: Output = None,
    dry_run: DryRun = False,
) -> int:
    """Train f, g and, where a preset needs it, d; calibrate and evaluate them, as a study says. The
    same command goes on where it stopped; --force starts trainings anew whose settings changed.
    Workers share the maps of the evaluation.

    Examples:
        mmccd train study.json --dry-run
        mmccd train study.json --output first_study
        mmccd train study.json --scheduler tcp://host:8786
    """
    path = Path(study)
    from mmccd.jobs import Workers
    from mmccd.research import check_study, estimate, open_run, read_study

    asked, problems = read_study(path)
    checked = None
    if asked is not None:
        checked, problems = check_study(asked, settings.bundles)
    if checked is None:
        return _say_all(problems)
    folder = Path(output or f"{path.stem}_mmccd")
    workers = Workers.of(settings)
    run = open_run(checked, folder, settings.device, settings.bundles, workers)
    if not settings.force:
        run.refuse_changed()
    if not run.left:
        say(f"nothing is left to do; see {folder}")
        return 0
    say(estimate(run, settings.device).text())
    if dry_run:
        return 0
    with open_console() as console:
        run.go(console)
    say(f"done; see {folder}")
    return 0


def _say_all(problems: list[MmccdError]) -> int:
    """A line for each; the worst one's exit code."""
    for problem in problems:
        complain(" ".join(str(problem).split()), problem.exit_code)
    return problems[0].exit_code
