"""The scores of whole cases as ``predict`` would make them, with the maps kept on disk."""

from __future__ import annotations

from pathlib import Path

from mmccd.data import Case, SliceRule
from mmccd.evaluation.candidates import Candidate
from mmccd.evaluation.scoring import MapStore
from mmccd.evaluation.sets.plan import SetsPlan
from mmccd.evaluation.subjects import Subject, load_with_neighbours
from mmccd.evaluation.variants import Scored, apply_variant
from mmccd.methods import Scorer

Loaded = tuple[Subject, Subject]
"""A case with the slices that are reported, and with those that smoothing needs."""


class SetScoring:
    """Scores cases under all methods; each scorer is made once, and only where a map is missing.

    Args:
        plan: source and post-processing.
        folder: maps lie under ``FOLDER/SET/METHOD/CASE.npz``.
    """

    def __init__(self, plan: SetsPlan, folder: Path) -> None:
        self.plan = plan
        self.folder = folder
        self._scorers: dict[str, Scorer] = {}

    def load(self, case: Case, split: str) -> Loaded | None:
        """All slices of a case that hold brain; None where none does.

        Raises:
            InputError, UnsuitableInputError: see :func:`~mmccd.data.slices.load_case`.
        """
        reach = self.plan.variant.postprocessing.reach
        return load_with_neighbours(case, split, self.plan.setup.source, SliceRule(), reach=reach)

    def score(self, candidate: Candidate, data_set: str, loaded: Loaded, polarity: int) -> Scored:
        """The final scores of a loaded case.

        Raises:
            OutputError: the maps cannot be written.
        """
        reported, context = loaded
        store = MapStore(self.folder / data_set)
        maps = store.score(candidate, context, lambda: self._scorer(candidate))
        variant = self.plan.variant.of(candidate.method)
        return apply_variant(maps, context, variant, candidate, polarity).take(reported)

    def _scorer(self, candidate: Candidate) -> Scorer:
        if candidate.name not in self._scorers:
            self._scorers[candidate.name] = candidate.build()
        return self._scorers[candidate.name]
