"""What is to be done with several data sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mmccd.bundle import read_preset
from mmccd.core import BALANCED
from mmccd.evaluation.candidates import Candidate, Setup
from mmccd.evaluation.sets.find import DataSet
from mmccd.evaluation.variants import Variant

PLAIN_ROWS = ("mmccd", "rule", "constant", "intensity")
"""Of a table, with the method of the preset before them."""


def default_set_methods(setup: Setup) -> list[str]:
    """The rows of a table for which none are named: the preset's method first, each once."""
    first = read_preset(setup.bundles, setup.preset).method
    return list(dict.fromkeys((first, *PLAIN_ROWS)))


@dataclass(frozen=True)
class SetsPlan:
    """Which methods are reported on which data sets.

    Attributes:
        sets: each reported whole.
        setup: what all methods share.
        candidates: the methods; the first is compared with the row ``rule``. The plain rows that
            are not among them come behind.
        variant: the preset's post-processing.
        validation: where methods without a threshold of their own, or with a side to choose,
            choose; None where nothing is chosen.
        rate: share of healthy validation voxels above a threshold that is chosen.
        draws: resamples of the bootstrap.
        command: how the run was started, for sets.json.
        points: operating points at which methods are reported.
    """

    sets: Sequence[DataSet]
    setup: Setup
    candidates: Sequence[Candidate]
    variant: Variant
    validation: DataSet | None = None
    rate: float = 0.02
    draws: int = 1000
    command: str = ""
    points: Sequence[str] = (BALANCED,)
