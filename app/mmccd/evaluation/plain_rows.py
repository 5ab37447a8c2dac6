"""The plain rows of every table: what a method has to beat."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from mmccd.core import ModelError
from mmccd.evaluation.candidates import Candidate, Setup, make_candidates
from mmccd.methods import find_method

logger = logging.getLogger(__name__)

CONSTANT = "constant"
"""The row that says what the reconstructed image is worth."""
PLAIN = (CONSTANT, "rule", "intensity")


def with_plain_rows(candidates: Sequence[Candidate], setup: Setup) -> list[Candidate]:
    """The methods of a comparison, and behind them those plain rows that are not among them.

    A plain row that these data cannot have is left out, and the log says why: a rule for another
    contrast, or a constant in the units of weights that are not there.

    Args:
        candidates: as they were named; a plain row with settings of its own is another row.
        setup: what they share.
    """
    named = {one.name for one in candidates}
    rows = list(candidates)
    for name in PLAIN:
        if name in named:
            continue
        sources = find_method(name).sources
        if sources and setup.source not in sources:
            _say_left_out(name, f"it is for {', '.join(sources)}, and {setup.source} is scored")
            continue
        try:
            rows += make_candidates([name], setup)
        except ModelError as error:
            _say_left_out(name, str(error))
    return rows


def _say_left_out(name: str, why: str) -> None:
    logger.warning("the row %s is left out: %s", name, why)
