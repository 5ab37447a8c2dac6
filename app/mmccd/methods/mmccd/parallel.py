"""The masked cycle on several devices."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from mmccd.core import ScoreMaps
from mmccd.methods.base import Cancelled, Progress, Slices
from mmccd.methods.mmccd.method import CycleScorer


@dataclass(frozen=True)
class ParallelScorer:
    """The masked cycle on several devices: the slices are dealt out to them in turn, one thread
    each.

    A slice's map does not depend on the other slices, so the result is that of one device up to
    rounding (1e-5 of the map's maximum in float32: batches are composed differently).

    Attributes:
        scorers: one for each device, of the same settings, precision, seed and weights; each with
            an inferer and networks of its own.
    """

    scorers: tuple[CycleScorer, ...]

    def __post_init__(self) -> None:
        if not self.scorers:
            raise ValueError("expected at least one scorer, got none")

    def score(
        self,
        slices: Slices,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> ScoreMaps:
        """See :meth:`mmccd.methods.Scorer.score`. An error on one device ends the work of the
        others, and is raised.
        """
        parts = _dealt(slices.brain, len(self.scorers))
        total = self.count(slices.brain)
        stop = threading.Event()
        tell = _SumOfProgress(progress, len(parts), total)

        def ended() -> bool:
            return stop.is_set() or (cancelled is not None and cancelled())

        with ThreadPoolExecutor(len(parts), thread_name_prefix="mmccd-device") as pool:
            try:
                futures = [
                    pool.submit(scorer.score, _part(slices, part), tell.of(number), ended)
                    for number, (scorer, part) in enumerate(zip(self.scorers, parts, strict=False))
                ]
                for future in wait(futures, return_when=FIRST_EXCEPTION).done:
                    future.result()
            finally:
                stop.set()
        return _joined([future.result() for future in futures], parts, len(slices.brain))

    def count(self, brain: Tensor) -> int:
        """What progress counts to for a brain mask."""
        return self.scorers[0].count(brain)


class _SumOfProgress:
    """Progress of several parts, told as that of the whole."""

    def __init__(self, progress: Progress | None, parts: int, total: int) -> None:
        self._progress, self._total = progress, total
        self._done = [0] * parts
        self._lock = threading.Lock()

    def of(self, part: int) -> Progress | None:
        """What a part has to call; None where nobody listens."""
        progress = self._progress
        if progress is None:
            return None

        def tell(done: int, total: int) -> None:
            with self._lock:
                self._done[part] = done
                progress(sum(self._done), self._total)

        return tell


def _dealt(brain: Tensor, hands: int) -> list[Tensor]:
    """Slice numbers of each part. Those with brain are dealt in turn, so that the parts have equal
    work; the first part takes those without.
    """
    there = brain.flatten(1).any(1)
    empty, full = torch.nonzero(~there)[:, 0], torch.nonzero(there)[:, 0]
    parts = [full[start::hands] for start in range(hands)]
    parts[0] = torch.cat([parts[0], empty])
    return [part for part in parts if len(part)]


def _part(slices: Slices, part: Tensor) -> Slices:
    """Some slices, with their numbers in the volume."""
    numbers = range(len(slices.brain)) if slices.numbers is None else slices.numbers
    return replace(
        slices,
        image=slices.image[part],
        brain=slices.brain[part],
        numbers=[numbers[index] for index in part.tolist()],
    )


def _joined(results: Sequence[ScoreMaps], parts: Sequence[Tensor], count: int) -> ScoreMaps:
    """The maps of all parts in the order of the volume."""
    maps = {}
    for field in fields(ScoreMaps):
        first = getattr(results[0], field.name)
        whole = first.new_empty(count, *first.shape[1:])
        for result, part in zip(results, parts, strict=True):
            whole[part] = getattr(result, field.name)
        maps[field.name] = whole
    return ScoreMaps(**maps)
