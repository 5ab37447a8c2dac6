"""A BIDS data set as a cohort, and its results as BIDS derivatives."""

from __future__ import annotations

import csv
import json
import logging
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from mmccd.core import Console, InputError, Report, Settings, UsageError, write_json
from mmccd.jobs.account import Account, now
from mmccd.jobs.cohort import COLUMNS, cohort_content, row_of, run_cohort
from mmccd.jobs.find import RESERVED
from mmccd.jobs.flairs import refuse_broken_links
from mmccd.jobs.index import PAGE, PICTURE, case_of
from mmccd.jobs.inputs import Input, free_name
from mmccd.jobs.outcome import Outcome, summarise
from mmccd.jobs.run import Runner, make_output_folder
from mmccd.jobs.states import State
from mmccd.outputs import (
    MARKER,
    WORK,
    IndexCase,
    Scan,
    check_dataset,
    dataset_name,
    publish_scan,
    write_dataset,
    write_index,
    write_table,
)

PARTICIPANT, GROUP = "participant", "group"
LEVELS = (PARTICIPANT, GROUP)
"""Levels of analysis, as BIDS-Apps have them."""
TABLE, PARTICIPANTS, LOGS = "group_FLAIR", "participants", "logs"
FAILED = str(State.FAILED)
_IDS: dict[str, dict[str, Any]] = {
    "bids_name": {"Description": "the image without _FLAIR"},
    "participant_id": {"Description": "participant"},
    "session_id": {"Description": "session, where the data set has sessions"},
}
_OF_PARTICIPANTS: dict[str, dict[str, Any]] = {
    "participant_id": {"Description": "participant"},
    "flair_images": {"Description": "how many FLAIRs the participant has"},
    "judged": {"Description": "how many of them have a result"},
    "failed": {"Description": "how many of them failed or were refused in the last run"},
    "anomaly_ml": {
        "Description": "volume above the threshold in the last of them, by name",
        "Units": "mL",
    },
    "anomaly_change_ml": {
        "Description": "the same, minus that in the first one; where there are several",
        "Units": "mL",
    },
}
_LEFT_OUT = ("number", "name")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BidsDataset:
    """A raw data set, the FLAIRs in it, and the derivative data set.

    Attributes:
        raw: folder with ``sub-*``, or with ``rawdata/sub-*``.
        output: of the derivatives.
        scans: all FLAIRs, sorted by name.
        work: where the results lie as ``mmccd predict`` writes them.
    """

    raw: Path
    output: Path
    scans: tuple[Scan, ...]
    work: Path

    @classmethod
    def of(cls, raw: Path, output: Path, work: Path | None = None) -> BidsDataset:
        """Find the FLAIRs of a raw data set.

        Raises:
            InputError: no folder, or no FLAIR with a name of BIDS in it.
            OutputError: ``output`` is the raw data set, or another program's.
        """
        scans = find_scans(raw)
        check_dataset(output, scans[0].root)
        return cls(raw, output, tuple(scans), work or output / WORK)

    def chosen(
        self, participants: Collection[str] = (), sessions: Collection[str] = ()
    ) -> list[Scan]:
        """The FLAIRs of some participants and sessions; of all where none is named.

        Args:
            participants: labels, with or without ``sub-``.
            sessions: labels, with or without ``ses-``.

        Raises:
            UsageError: a label that no FLAIR has, or none that has both.
        """
        subjects = _known("sub-", participants, {one.subject for one in self.scans})
        visits = _known("ses-", sessions, {one.session for one in self.scans if one.session})
        found = [
            one
            for one in self.scans
            if (not subjects or one.subject in subjects) and (not visits or one.session in visits)
        ]
        if not found:
            raise UsageError(
                f"{', '.join(sorted(subjects))} and {', '.join(sorted(visits))}: no FLAIR has both;"
                " expected sessions of these participants; choose others"
            )
        return found

    def folder(self, scan: Scan) -> Path:
        """Of a scan's results, as ``mmccd predict`` writes them."""
        return self.work / self.inputs[scan].name

    @cached_property
    def inputs(self) -> dict[Scan, Input]:
        """Each scan as the cohort's engine takes it; of all scans, so that a choice of them leaves
        the names of their folders as they are.
        """
        taken = set(RESERVED)
        return {one: Input(one.file, free_name(one.stem, taken)) for one in self.scans}

    def report(self, scan: Scan) -> Report | None:
        """What was published of a scan; None where there is nothing yet, or it is damaged."""
        path = self.output / scan.figure(MARKER)
        try:
            return Report.model_validate_json(path.read_text())
        except (OSError, ValueError):
            return None


def find_scans(raw: Path) -> list[Scan]:
    """The FLAIRs of a BIDS data set, sorted by name.

    Raises:
        InputError: no folder, no FLAIR in it, or none whose name is one of BIDS.
    """
    from mmccd.data import bids_cases

    if not raw.is_dir():
        raise InputError(f"{raw}: no such folder; expected a BIDS data set", code="input.missing")
    cases = [case for case in bids_cases(raw) if "flair" in case.images]
    named = [(case, Scan.of(case.images["flair"], case.name)) for case in cases]
    scans = [scan for _, scan in named if scan is not None]
    if not scans:
        raise InputError(
            f"{raw}: holds no FLAIR of BIDS; expected sub-*/[ses-*/]anat/sub-*_FLAIR.nii.gz;"
            " 'mmccd predict' takes other layouts",
            code="input.no_flair",
        )
    if len(scans) < len(named):
        logger.warning(
            "%s: %d FLAIRs have no name of BIDS and are left out", raw, len(named) - len(scans)
        )
    return sorted(scans, key=lambda one: one.stem)


def _known(prefix: str, labels: Iterable[str], there: Collection[str]) -> set[str]:
    wanted = {prefix + label.removeprefix(prefix) for label in labels}
    missing = sorted(wanted - set(there))
    if missing:
        shown = ", ".join(sorted(there)[:12]) or "none"
        raise UsageError(
            f"{', '.join(missing)}: no FLAIR has this label; expected some of {shown}"
            f"{' ...' if len(there) > 12 else ''}"
        )
    return wanted


def run_bids(
    dataset: BidsDataset, scans: Sequence[Scan], settings: Settings, run: Runner, console: Console
) -> Account:
    """Judge scans and write their derivatives; what is complete is skipped
    (:func:`~mmccd.jobs.cohort.run_cohort`), and what is complete when the run is ended is written.

    Args:
        dataset: where they are, and where results go.
        scans: of the data set.
        settings: of the prediction.
        run: see :mod:`mmccd.jobs.runners`.
        console: told of each scan.

    Returns:
        How they ended.

    Raises:
        MmccdError: as :func:`~mmccd.jobs.cohort.run_cohort`; a file cannot be written.
    """
    make_output_folder(dataset.output)
    inputs = [dataset.inputs[one] for one in scans]
    refuse_broken_links(str(dataset.raw), inputs)
    account: Account | None = None
    began = now()
    try:
        account = run_cohort(inputs, dataset.work, settings, run, console)
    finally:
        complete = [one for one in scans if (dataset.folder(one) / MARKER).is_file()]
        if account is not None or complete:
            outcomes = account.outcomes.values() if account is not None else ()
            publish(dataset, complete)
            write_tables(dataset, dict(zip(scans, outcomes, strict=False)))
    stamp = "".join(letter for letter in began if letter.isalnum())
    (dataset.output / LOGS).mkdir(exist_ok=True)
    write_json(
        dataset.output / LOGS / f"mmccd_{stamp}.json",
        {**cohort_content(account), "started": began, "settings": settings.result_key()},
    )
    return account


def write_group(dataset: BidsDataset) -> list[dict[str, Any]]:
    """Make anew what stands once in the data set, from the results that are there.

    Returns:
        The rows of ``group_FLAIR.tsv``.

    Raises:
        InputError: there is no data set of ours yet.
        OutputError: a file cannot be written.
    """
    if not any((dataset.output / scan.figure(MARKER)).is_file() for scan in dataset.scans):
        raise InputError(
            f"{dataset.output}: holds no results of these FLAIRs; expected those of"
            " 'mmccd bids BIDS_DIR OUT participant'; run that first",
            code="input.missing",
        )
    write_dataset(dataset.output, dataset.scans[0].root)
    return write_tables(dataset, {})


def publish(dataset: BidsDataset, complete: Iterable[Scan]) -> None:
    """Write what stands once in the data set, and the derivatives of scans that have a complete
    result.

    Raises:
        OutputError: a file cannot be written.
    """
    write_dataset(dataset.output, dataset.scans[0].root)
    for scan in complete:
        publish_scan(scan, dataset.folder(scan), dataset.output)


def write_tables(dataset: BidsDataset, ended: Mapping[Scan, Outcome]) -> list[dict[str, Any]]:
    """Write ``group_FLAIR.tsv``, ``participants.tsv``, their JSON and ``index.html``, of all scans
    of the data set.

    Args:
        dataset: with its published results.
        ended: how scans ended in this run; of others what is published counts.

    Returns:
        The rows of ``group_FLAIR.tsv``.

    Raises:
        OutputError: a file cannot be written.
    """
    outcomes = outcomes_of(dataset, ended)
    rows = [_row(scan, outcome) for scan, outcome in outcomes.items()]
    columns = {
        **_IDS,
        **{name: {"Description": text} for name, text in COLUMNS.items() if name not in _LEFT_OUT},
    }
    write_table(dataset.output / TABLE, rows, columns)
    subjects = dict.fromkeys(scan.subject for scan in dataset.scans)
    people = [
        _participant(subject, [row for row in rows if row["participant_id"] == subject])
        for subject in subjects
    ]
    # BIDS wants a row for each participant whose folder is there, and for no other one.
    there = [row for row in people if (dataset.output / row["participant_id"]).is_dir()]
    write_table(dataset.output / PARTICIPANTS, there, _OF_PARTICIPANTS)
    cases = [_index_case(dataset, scan, outcome) for scan, outcome in outcomes.items()]
    write_index(cases, dataset.output, dataset_name(dataset.scans[0].root))
    return rows


def _index_case(dataset: BidsDataset, scan: Scan, outcome: Outcome) -> IndexCase:
    """A row of the index; the visit is the day of the scan, where the raw data set says it."""
    case = case_of(outcome, _link(dataset, scan, PAGE), _link(dataset, scan, PICTURE))
    day = acquisition_day(scan)
    return replace(case, visit=day) if day else case


def acquisition_day(scan: Scan) -> str:
    """``2020-03-05`` from the ``acq_time`` in the raw data set's ``scans.tsv``; empty where it does
    not say.
    """
    anatomy = scan.file.parent
    stem = "_".join(filter(None, (scan.subject, scan.session)))
    try:
        with (anatomy.parent / f"{stem}_scans.tsv").open(encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file, dialect="excel-tab"))
    except (OSError, UnicodeDecodeError, csv.Error):
        return ""
    name = f"{anatomy.name}/{scan.file.name}"
    times = [row.get("acq_time") or "" for row in rows if row.get("filename") == name]
    found = re.match(r"\d{4}-\d\d-\d\d", times[0]) if times else None
    return found[0] if found else ""


def _link(dataset: BidsDataset, scan: Scan, name: str) -> str | None:
    place = scan.figure(name)
    return place.as_posix() if (dataset.output / place).is_file() else None


def outcomes_of(dataset: BidsDataset, ended: Mapping[Scan, Outcome]) -> dict[Scan, Outcome]:
    """How each scan of a data set stands: as it ended in this run, else by what is published, else
    as it failed in an earlier run.
    """
    failed = _failed_before(dataset)
    found = {}
    for number, scan in enumerate(dataset.scans, 1):
        here = ended.get(scan)
        if here is None or here.exit_code is None:
            report, here = dataset.report(scan), Outcome(number, scan.stem)
            if report is not None:
                here = here.ended(0, summary=summarise(report), warnings=report.warnings)
            elif scan in failed:
                here = here.ended(**failed[scan])
        found[scan] = here
    return found


def _failed_before(dataset: BidsDataset) -> dict[Scan, dict[str, Any]]:
    """Exit code, error and code of the scans that failed in the last run that had them, by the
    logs.
    """
    by_name = {one.name: scan for scan, one in dataset.inputs.items()}
    found: dict[Scan, dict[str, Any]] = {}
    for log in sorted((dataset.output / LOGS).glob("mmccd_*.json")):
        try:
            cases = json.loads(log.read_text())["cases"]
            rows = {by_name[row["name"]]: row for row in cases if row["name"] in by_name}
        except (OSError, ValueError, KeyError, TypeError):
            continue
        for scan, row in rows.items():
            found.pop(scan, None)
            if row.get("status") == FAILED and isinstance(row.get("exit_code"), int):
                found[scan] = {name: row.get(name) for name in ("exit_code", "error", "code")}
    return found


def _row(scan: Scan, outcome: Outcome) -> dict[str, Any]:
    ids = {
        "bids_name": scan.stem,
        "participant_id": scan.subject,
        "session_id": scan.session,
    }
    return {**ids, **row_of(outcome)}


def _participant(subject: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    volumes = [row["volume_ml"] for row in rows if row["volume_ml"] is not None]
    return {
        "participant_id": subject,
        "flair_images": len(rows),
        "judged": len(volumes),
        "failed": sum(row["status"] == FAILED for row in rows),
        "anomaly_ml": volumes[-1] if volumes else None,
        "anomaly_change_ml": round(volumes[-1] - volumes[0], 3) if len(volumes) > 1 else None,
    }
