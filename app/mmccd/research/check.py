"""All that can be known to be wrong with a study before anything starts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mmccd.bundle import find_bundles, read_preset
from mmccd.core import MmccdError, UnsuitableInputError, UsageError
from mmccd.data import Case, split_cases
from mmccd.evaluation import DataSet, Setup, find_sets, find_validation, read_name
from mmccd.research.networks import NETWORKS, plan_of
from mmccd.research.plan import Study, worst_first
from mmccd.training import tracking_packages


@dataclass(frozen=True)
class Checked:
    """A study whose files are there.

    Attributes:
        study: what is asked for.
        splits: cases of its data by split.
        sets: what is reported; empty where nothing is.
        validation: where thresholds are chosen, or None.
    """

    study: Study
    splits: dict[str, list[Case]]
    sets: list[DataSet]
    validation: DataSet | None


def check_study(study: Study, bundles: str | None) -> tuple[Checked | None, list[MmccdError]]:
    """Look at data, presets, settings, methods and packages.

    Args:
        study: with absolute paths.
        bundles: folder of the bundles that it will copy; None for the usual one.

    Returns:
        What was found, None where something is wrong; and all that is wrong, the worst first.
    """
    problems: list[MmccdError] = []

    def asked(look: Callable[[], Any]) -> Any:
        try:
            return look()
        except MmccdError as error:
            if str(error) not in map(str, problems):
                problems.append(error)
            return None

    asked(lambda: _check_contrasts(study))
    splits = asked(lambda: _splits(study))
    for name in study.presets:
        asked(partial(_check_preset, name, bundles))
    for check in (_check_settings, _check_tracking, _check_methods):
        asked(partial(check, study, bundles))
    plan = study.evaluation
    sets = (asked(lambda: find_sets(plan.sets)) if plan else None) or []
    validation = None
    if plan and splits and sets:
        validation = asked(lambda: _validation(study, sets, splits))
        asked(lambda: _refuse_trained(splits, sets))
    if problems:
        return None, worst_first(problems)
    return Checked(study, splits, sets, validation), []


def _check_contrasts(study: Study) -> None:
    if study.source == study.target:
        raise UsageError(
            f"target {study.target}: is the source itself; expected another contrast",
            code="study.key",
        )


def _check_preset(name: str, bundles: str | None) -> None:
    read_preset(find_bundles(bundles), name)


def _splits(study: Study) -> dict[str, list[Case]]:
    splits = split_cases(study.data, study.split_file)
    for name in ("train", "val"):
        found = splits.get(name, [])
        usable = [case for case in found if {study.source, study.target} <= set(case.images)]
        if not found or len(usable) < len(found):
            raise UnsuitableInputError(
                f"{study.data}: split {name}: {len(usable)} of {len(found)} cases have"
                f" {study.source} and {study.target}; expected at least one case, and both images"
                " of each; change the split or the contrasts",
                code="study.data",
            )
    return splits


def _check_settings(study: Study, bundles: str | None) -> None:
    """The first part of a setting's name is a top-level name of the network's train.json."""
    for network, bundle in NETWORKS.items():
        path = find_bundles(bundles) / bundle / "configs" / "train.json"
        settings = plan_of(study, network).settings
        known = set(json.loads(path.read_text())) if settings else set()
        for name in settings:
            if name.partition("#")[0] not in known:
                raise UsageError(
                    f"{network}.settings: {name!r} is no setting of {bundle}/configs/"
                    f"{path.name}; expected a top-level name of that file",
                    code="study.key",
                )


def _check_tracking(study: Study, bundles: str | None) -> None:
    tracking_packages(study.track)


def _check_methods(study: Study, bundles: str | None) -> None:
    """Names of methods that need no weights of the study itself can be tried at once."""
    if study.evaluation is None or study.evaluation.methods is None:
        return
    for name in study.evaluation.methods:
        read_name(name)


def _validation(study: Study, sets: list[DataSet], splits: dict[str, list[Case]]) -> DataSet:
    assert study.evaluation is not None
    if study.evaluation.validation is not None:
        return find_validation(study.evaluation.validation, sets)
    path = Path(study.data)
    return DataSet(path.parent.name if path.is_file() else path.name, tuple(splits["val"]))


def _refuse_trained(splits: dict[str, list[Case]], sets: list[DataSet]) -> None:
    """A patient who was trained or calibrated on is never reported."""
    known = {case.patient: name for name in ("train", "val") for case in splits[name]}
    for one in sets:
        names = [case.patient for case in one.cases if case.patient in known]
        if names:
            raise UnsuitableInputError(
                f"evaluation.sets: {one.name}: {len(names)} of {len(one.cases)} cases are of"
                f" patients in the split {known[names[0]]} of the training data; expected patients"
                " that no training has seen; leave them out",
                code="study.trained",
            )


def setup_of(study: Study, bundles: Path, preset: str, device: str, seed: int) -> Setup:
    """What all methods of an evaluation share."""
    return Setup(
        bundles,
        bundles / NETWORKS["forward"] / "runs",
        study.source,
        study.target,
        preset,
        device,
        seed,
    )
