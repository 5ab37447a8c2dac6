"""The learning rate over a run."""

from __future__ import annotations


def warmup_stable_decay(iteration: int, warmup: int, total: int, decay_share: float = 0.5) -> float:
    """Factor of the learning rate: linear rise, constant, linear fall to 0 (Hu et al., MiniCPM,
    2024).

    A run that was cut short in its constant part goes on with a larger ``total`` as if it had been
    planned so.

    Args:
        iteration: index of the iteration, from 0.
        warmup: iterations of the rise.
        total: iterations of the whole run.
        decay_share: share of ``total`` in which the rate falls.
    """
    rise = (iteration + 1) / max(warmup, 1)
    fall = (total - iteration) / max(decay_share * total, 1.0)
    return max(0.0, min(1.0, rise, fall))
