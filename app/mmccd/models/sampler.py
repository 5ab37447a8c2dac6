"""The reverse diffusion process: the one loop in which noise becomes an image."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mmccd.models.schedule import MaskedDiffusionScheduler

OfStep = Callable[[int], Tensor]


def reverse(
    network: Callable[..., Tensor],
    image: Tensor,
    scheduler: MaskedDiffusionScheduler,
    condition: OfStep | None = None,
    noise: OfStep | None = None,
) -> Tensor:
    """From y at the first of the scheduler's timesteps down to y_0.

    Args:
        network: called as ``network(cat(y_t, condition), timesteps)``, or ``network(y_t,
            timesteps)`` where there is no condition; timesteps are int64 ``(batch,)``.
        image: y at the first timestep, ``(batch, 1, height, width)``.
        scheduler: with its timesteps set.
        condition: number of a step (0, 1, ...) to what the network sees beside y_t, of the shape
            of ``image``.
        noise: number of a step to the standard normal noise that the step adds, of the same shape;
            asked only where the scheduler's ``eta`` is above 0.

    Returns:
        y_0, float32, of the shape of ``image``.

    Raises:
        ValueError: the scheduler adds noise, and there is none.
    """
    if scheduler.eta > 0 and noise is None:
        raise ValueError(f"eta is {scheduler.eta}: expected the noise of each step, got none")
    for step, timestep in enumerate(scheduler.timesteps.tolist()):
        inputs = image if condition is None else torch.cat([image, condition(step)], dim=1)
        times = torch.full((len(image),), timestep, device=image.device, dtype=torch.int64)
        added = noise(step) if noise is not None and scheduler.eta > 0 else None
        prediction = network(inputs, times).float()
        image, _ = scheduler.step(prediction, timestep, image, noise=added)
    return image
