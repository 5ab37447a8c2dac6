"""The maps of several data sets made ahead, a case at a time, by whoever can reach the folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from mmccd.data import Case
from mmccd.evaluation.candidates import Candidate, Setup, make_candidates
from mmccd.evaluation.plain_rows import with_plain_rows
from mmccd.evaluation.sets.choice import choosing
from mmccd.evaluation.sets.plan import SetsPlan
from mmccd.evaluation.sets.scoring import SetScoring, maps_folder, validation_folder
from mmccd.evaluation.variants import Variant


@dataclass(frozen=True)
class MapJob:
    """The maps of one case under some methods; it can go to another process or machine.

    Attributes:
        setup: what the methods share.
        methods: their names.
        variant: the post-processing, which says how far neighbouring slices are needed.
        case: its files.
        folder: all maps lie below it.
        data_set: the part of it that the case's maps lie in.
    """

    setup: Setup
    methods: tuple[str, ...]
    variant: Variant
    case: Case
    folder: Path
    data_set: str


def map_jobs(plan: SetsPlan, output: Path) -> list[MapJob]:
    """All maps that :func:`~mmccd.evaluation.evaluate_sets` will look for in ``output``, with
    absolute paths.
    """
    candidates, setup = with_plain_rows(plan.candidates, plan.setup), _absolute(plan.setup)
    folder = maps_folder(output.absolute())

    def jobs(data_set: str, cases: Sequence[Case], methods: Sequence[Candidate]) -> list[MapJob]:
        names = tuple(one.name for one in methods)
        return [
            MapJob(setup, names, plan.variant, _anywhere(case), folder, data_set) for case in cases
        ]

    found, chosen = [], choosing(candidates, plan.variant)
    if plan.validation is not None and chosen:
        found += jobs(validation_folder(plan.validation), plan.validation.cases, chosen)
    for one in plan.sets:
        found += jobs(one.name, one.cases, candidates)
    return found


def make_maps(job: MapJob, device: str) -> None:
    """Make what is missing of a job's maps on a device.

    A map counts only with the hash of its weights: what a machine with other weights has made is
    not used by who asked for it.

    Raises:
        MmccdError: a file that cannot be read or written, weights that are not there.
    """
    setup = replace(job.setup, device=device)
    scoring = _scoring(setup, job.variant, job.folder)
    loaded = scoring.load(job.case, "test")
    if loaded is None:
        return
    for candidate in _candidates(job.methods, setup):
        scoring.maps(candidate, job.data_set, loaded)


def _absolute(setup: Setup) -> Setup:
    return replace(setup, bundles=setup.bundles.absolute(), runs=setup.runs.absolute())


def _anywhere(case: Case) -> Case:
    """A case whose files are found from any working folder."""
    label, brain = (file and file.absolute() for file in (case.label, case.brain))
    images = {name: file.absolute() for name, file in case.images.items()}
    return replace(case, images=images, label=label, brain=brain)


@lru_cache(maxsize=1)
def _scoring(setup: Setup, variant: Variant, folder: Path) -> SetScoring:
    """One for all jobs of a run: it keeps the networks."""
    return SetScoring(setup, variant, folder)


@lru_cache(maxsize=4)
def _candidates(methods: tuple[str, ...], setup: Setup) -> list[Candidate]:
    return make_candidates(methods, setup)
