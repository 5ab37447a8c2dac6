"""The scores of whole cases as ``predict`` would make them, with the maps kept on disk."""

from __future__ import annotations

from pathlib import Path

from mmccd.data import Case, SliceRule
from mmccd.evaluation.candidates import Candidate, Setup
from mmccd.evaluation.scoring import MapStore, StoredMaps
from mmccd.evaluation.sets.find import DataSet
from mmccd.evaluation.subjects import Subject, load_with_neighbours
from mmccd.evaluation.variants import Scored, Variant, apply_variant
from mmccd.methods import Scorer

Loaded = tuple[Subject, Subject]
"""A case with the slices that are reported, and with those that smoothing needs."""


def maps_folder(output: Path) -> Path:
    """Where the maps of a run lie."""
    return output / "maps"


def validation_folder(validation: DataSet) -> str:
    """The part of it that has those of the validation cases."""
    return f"validation of {validation.name}"


class SetScoring:
    """Scores cases under all methods; each scorer is made once, and only where a map is missing.

    Args:
        setup: with the source.
        variant: the post-processing.
        folder: maps lie under ``FOLDER/SET/METHOD/CASE.npz``.
    """

    def __init__(self, setup: Setup, variant: Variant, folder: Path) -> None:
        self.setup, self.variant, self.folder = setup, variant, folder
        self._scorers: dict[str, Scorer] = {}

    def load(self, case: Case, split: str) -> Loaded | None:
        """All slices of a case that hold brain; None where none does.

        Raises:
            InputError, UnsuitableInputError: see :func:`~mmccd.data.slices.load_case`.
        """
        reach = self.variant.postprocessing.reach
        return load_with_neighbours(case, split, self.setup.source, SliceRule(), reach=reach)

    def maps(self, candidate: Candidate, data_set: str, loaded: Loaded) -> StoredMaps:
        """The maps of a loaded case, from disk where they are.

        Raises:
            OutputError: the maps cannot be written.
        """
        store = MapStore(self.folder / data_set)
        return store.score(candidate, loaded[1], lambda: self._scorer(candidate))

    def score(self, candidate: Candidate, data_set: str, loaded: Loaded, polarity: int) -> Scored:
        """The final scores of a loaded case.

        Raises:
            OutputError: the maps cannot be written.
        """
        reported, context = loaded
        maps = self.maps(candidate, data_set, loaded)
        variant = self.variant.of(candidate.method)
        return apply_variant(maps, context, variant, candidate, polarity).take(reported)

    def _scorer(self, candidate: Candidate) -> Scorer:
        if candidate.name not in self._scorers:
            self._scorers[candidate.name] = candidate.build()
        return self._scorers[candidate.name]
