"""``mmccd bids``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from mmccd import core
from mmccd.apps.cli.runner import make_runner
from mmccd.apps.cli.say import say, say_json
from mmccd.apps.parser import Only
from mmccd.core import Setting, complain, open_console

SHARED = Only(
    *("bundles", "preset", "target", "device", "threshold", "operating_point", "seed", "extractor"),
    *("bias_correction", "unchecked", "force", "workers", "scheduler", "threads"),
)
BidsDir = Annotated[str, Setting("folder of the raw BIDS data set", is_path=True)]
Out = Annotated[str, Setting("folder of the BIDS derivatives", is_path=True)]
Level = Annotated[
    str,
    Setting(
        "participant judges the FLAIRs; group makes the tables anew from what is"
        " there, as after several runs with other participants",
        "mmccd.jobs:LEVELS",
    ),
]
Participants = Annotated[
    str | None,
    Setting("which participants, with or without sub- (default: all)", unit="label", many=True),
]
Sessions = Annotated[
    str | None,
    Setting("which sessions, with or without ses- (default: all)", unit="label", many=True),
]
WorkDir = Annotated[
    str | None,
    Setting(
        "folder for the results as mmccd predict writes them, from which a run goes on (default:"
        " OUT/.mmccd)",
        is_path=True,
        short="-w",
    ),
]
Json = Annotated[bool, Setting("print the result as JSON")]


def bids(
    bids_dir: BidsDir,
    out: Out,
    level: Level,
    settings: Annotated[core.Settings, SHARED],
    participant_label: Participants = None,
    session_label: Sessions = None,
    work_dir: WorkDir = None,
    json: Json = False,
) -> int:
    """Find anomalies in the FLAIRs of a BIDS data set, and write BIDS derivatives (a BIDS-App).

    Examples:
        mmccd bids /data /data/derivatives/mmccd participant
        mmccd bids /data out participant --participant-label 01 02 --session-label baseline
        mmccd bids /data out group
    """
    from mmccd.jobs import PARTICIPANT, BidsDataset, cohort_content, run_bids, summary, write_group

    settings = settings.model_copy(update={"max_voxels": 0})
    dataset = BidsDataset.of(Path(bids_dir), Path(out), Path(work_dir) if work_dir else None)
    scans = dataset.chosen(_labels(participant_label), _labels(session_label))
    if level != PARTICIPANT:
        rows = write_group(dataset)
        if json:
            say_json({"status": "done", "exit_code": 0, "output": out, "images": rows})
        else:
            judged = sum(row["volume_ml"] is not None for row in rows)
            say(f"{len(rows)} FLAIRs, {judged} of them with a result; see {out}")
        return 0
    with open_console() as console:
        account = run_bids(dataset, scans, settings, make_runner(settings), console)
    for outcome in account.failures:
        complain(outcome.line(), outcome.exit_code or 1, code=outcome.code)
    if json:
        say_json({**cohort_content(account), "output": out})
    else:
        say(f"{summary(account)}; see {out}")
    return account.exit_code or 0


def _labels(text: str | None) -> list[str]:
    return text.replace(",", " ").split() if text else []
