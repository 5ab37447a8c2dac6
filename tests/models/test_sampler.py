"""mmccd.models.sampler: the one reverse process, against a loop by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from mmccd.models.sampler import reverse
from mmccd.models.schedule import MaskedDiffusionScheduler

SHAPE = (2, 1, 3, 4)


def scheduler(steps: int, eta: float = 0.0) -> MaskedDiffusionScheduler:
    made = MaskedDiffusionScheduler(eta=eta)
    made.set_timesteps(steps)
    return made


def draw(step: int) -> Tensor:
    """Another image for each step."""
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(step))


class Network:
    """Half of y_t, plus the condition where there is one; it remembers its timesteps."""

    def __init__(self) -> None:
        self.times: list[Tensor] = []

    def __call__(self, x: Tensor, times: Tensor) -> Tensor:
        self.times.append(times)
        return 0.5 * x[:, :1] + (x[:, 1:] if x.shape[1] > 1 else 0)


@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize("conditioned", [True, False])
def test_deterministic_by_hand(steps: int, conditioned: bool) -> None:
    """y_next = sqrt(a_next) y_0 + sqrt(1 - a_next) eps, with eps from y_t and y_0."""
    chosen, network, start = scheduler(steps), Network(), draw(99)
    found = reverse(network, start, chosen, draw if conditioned else None)
    image, times = start.double(), chosen.timesteps.tolist()
    for step, (now, after) in enumerate(zip(times, [*times[1:], -1], strict=True)):
        original = 0.5 * image + (draw(step) if conditioned else 0)
        level, following = chosen.level(now), chosen.level(after)
        noise = (image - math.sqrt(level) * original) / math.sqrt(1 - level)
        image = math.sqrt(following) * original + math.sqrt(1 - following) * noise
    torch.testing.assert_close(found.double(), image, rtol=0, atol=1e-5)
    assert [seen.tolist() for seen in network.times] == [[now, now] for now in times]
    assert {seen.dtype for seen in network.times} == {torch.int64}


def test_noise_of_each_step_where_the_scheduler_asks_for_it() -> None:
    steps: list[int] = []

    def noise(step: int) -> Tensor:
        steps.append(step)
        return draw(step)

    plain = reverse(Network(), draw(99), scheduler(3), noise=noise)
    assert steps == []
    noisy = reverse(Network(), draw(99), scheduler(3, eta=1.0), noise=noise)
    assert steps == [0, 1, 2]
    assert not torch.allclose(plain, noisy)
    with pytest.raises(ValueError, match="eta is 1.0"):
        reverse(Network(), draw(99), scheduler(3, eta=1.0))


def test_low_precision_ends_at_the_networks_output() -> None:
    """The prediction is brought to float32 before the step."""
    found = reverse(lambda x, times: Network()(x, times).bfloat16(), draw(99), scheduler(2))
    assert found.dtype == torch.float32
