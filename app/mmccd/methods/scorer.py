"""The protocol that the cycle and every baseline fulfil: slices in, anomaly map out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, fields
from typing import Protocol

import torch
from torch import Tensor, nn

from mmccd.core import CycleResult
from mmccd.methods.mmccd.cycle import MaskedCycleInferer, Progress


class Scorer(Protocol):
    """Anything that finds anomalies in normalised slices on the model grid."""

    def score(
        self,
        image: Tensor,
        brain: Tensor,
        progress: Progress | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> CycleResult:
        """Score all slices of a volume.

        Args:
            image: float32 ``(slices, 1, size, size)`` on the CPU.
            brain: bool of the same shape.
            progress: called with (done, in all).
            cancelled: True ends the run with a CancelledError.
        """
        ...


@dataclass(frozen=True)
class CycleScorer:
    """The masked cycle with its two networks.

    Attributes:
        inferer: the cycle.
        forward: f, in evaluation mode on ``device``.
        backward: g, likewise.
        device: where the passes run.
    """

    inferer: MaskedCycleInferer
    forward: nn.Module
    backward: nn.Module
    device: torch.device

    def score(
        self,
        image: Tensor,
        brain: Tensor,
        progress: Progress | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> CycleResult:
        """See :meth:`Scorer.score`."""
        return self.score_part(image, brain, None, progress, cancelled)

    def score_part(
        self,
        image: Tensor,
        brain: Tensor,
        slices: Sequence[int] | None,
        progress: Progress | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> CycleResult:
        """Score some slices of a volume; ``slices`` are their numbers in it (0, 1, ... where it is
        None), the rest is as in :meth:`score`.
        """
        return self.inferer(
            image.to(self.device),
            self.forward,
            self.backward,
            brain,
            slices=slices,
            progress=progress,
            cancelled=cancelled,
        )


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
        image: Tensor,
        brain: Tensor,
        progress: Progress | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> CycleResult:
        """See :meth:`Scorer.score`. An error on one device ends the work of the others, and is
        raised.
        """
        parts = _dealt(brain, len(self.scorers))
        total = self.scorers[0].inferer.count(brain)
        stop = threading.Event()
        tell = _SumOfProgress(progress, len(parts), total)

        def ended() -> bool:
            return stop.is_set() or (cancelled is not None and cancelled())

        with ThreadPoolExecutor(len(parts), thread_name_prefix="mmccd-device") as pool:
            try:
                futures = [
                    pool.submit(
                        scorer.score_part,
                        image[part],
                        brain[part],
                        part.tolist(),
                        tell.of(number),
                        ended,
                    )
                    for number, (scorer, part) in enumerate(zip(self.scorers, parts, strict=False))
                ]
                for future in wait(futures, return_when=FIRST_EXCEPTION).done:
                    future.result()
            finally:
                stop.set()
        return _joined([future.result() for future in futures], parts, brain.shape[0])


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


def _joined(results: Sequence[CycleResult], parts: Sequence[Tensor], count: int) -> CycleResult:
    """The maps of all parts in the order of the volume."""
    maps = {}
    for field in fields(CycleResult):
        first = getattr(results[0], field.name)
        whole = first.new_empty(count, *first.shape[1:])
        for result, part in zip(results, parts, strict=True):
            whole[part] = getattr(result, field.name)
        maps[field.name] = whole
    return CycleResult(**maps)
