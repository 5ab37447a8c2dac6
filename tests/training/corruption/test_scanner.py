"""mmccd.training.corruption.scanner: what is no anomaly."""

from __future__ import annotations

import pytest
import torch
from tests.training.slices import disc, healthy_slices, ventricles
from torch import Tensor

from mmccd.imaging import Draws
from mmccd.training.corruption import jitter, normalise_slices, scan, scanner


def test_tissues_mostly_keep_their_order() -> None:
    image, brain = healthy_slices(100)
    seen = scan(image, Draws(0))
    assert seen.shape == image.shape and seen.dtype == torch.float32
    assert bool(seen.isfinite().all())
    white = disc((64, 64), 44) & ~disc((60, 64), 24)
    grey = brain[:1] & ~disc((64, 64), 47)
    means = [(seen * where).sum((1, 2, 3)) / where.sum() for where in (ventricles(), white, grey)]
    assert float((means[0] < means[1]).float().mean()) > 0.99
    assert float((means[1] < means[2]).float().mean()) > 0.9


def test_there_is_an_effect_on_every_slice_and_it_is_no_other_slice() -> None:
    image, brain = healthy_slices(40)
    seen = normalise_slices(torch.where(brain, scan(image, Draws(1)), 0), brain)
    before = normalise_slices(image, brain)
    change = (seen - before)[:, 0, brain[0, 0]].abs().mean(1)
    assert float(change.min()) > 0.005
    together = torch.stack(
        [
            torch.corrcoef(torch.stack([one[0, part[0]], other[0, part[0]]]))[0, 1]
            for one, other, part in zip(seen, before, brain, strict=True)
        ]
    )
    assert float(together.median()) > 0.8


def test_the_bias_is_smooth_and_its_range_as_stated() -> None:
    """On featureless tissue what remains varies slowly, up to about 40 % and more in few."""
    flat = torch.zeros(200, 1, 128, 128)
    seen = scan(flat, Draws(2))
    smooth = torch.nn.functional.avg_pool2d(seen, 16)
    spread = smooth.amax((1, 2, 3)) / smooth.mean((1, 2, 3)) - 1
    assert 0.05 < float(spread.median()) < 0.5
    assert float(spread.quantile(0.95)) < 1.0


def test_some_coils_are_poor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their fields are stronger and have finer parts, and are still smooth."""

    def fields(share: float) -> Tensor:
        monkeypatch.setattr(scanner, "POOR_COIL_SHARE", share)
        return scanner._uneven(400, 128, Draws(9))

    good, poor = fields(0.0), fields(1.0)
    spread = [float(part.std((1, 2, 3)).mean()) for part in (good, poor)]
    assert spread[0] < 0.13 and spread[1] > 1.8 * spread[0]
    assert float(poor.abs().max()) <= 0.3 * 2.2
    steps = [float((part.diff(dim=-1).abs().amax((1, 2, 3))).max()) for part in (good, poor)]
    assert steps[0] < steps[1] < 0.06
    some = fields(0.25).std((1, 2, 3)) > 0.18
    assert 0.1 < float(some.float().mean()) < 0.35


def test_the_input_stays() -> None:
    image, _ = healthy_slices(12)
    given = image.clone()
    scan(image, Draws(3))
    assert torch.equal(image, given)


@pytest.mark.parametrize("count", [0, 1])
def test_few_slices(count: int) -> None:
    image, brain = healthy_slices(count)
    draws = Draws(4)
    for _ in range(6):
        assert bool(scan(image, draws).isfinite().all())
        assert jitter(image, brain, draws).shape == image.shape


def test_seeded() -> None:
    image, _ = healthy_slices(5)
    first, again, other = (scan(image, Draws(seed)) for seed in (5, 5, 6))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_extreme_values_stay_finite() -> None:
    image = torch.tensor([-100.0, 50.0])[:, None, None, None].expand(2, 1, 128, 128)
    assert bool(scan(image, Draws(7)).isfinite().all())


def test_jitter_is_gain_and_offset() -> None:
    image, brain = healthy_slices(200)
    changed = jitter(image, brain, Draws(8))
    assert float(changed[~brain].abs().max()) == 0
    here = brain[0, 0]
    x, y = image[:, 0, here], changed[:, 0, here]
    centred = x - x.mean(1, keepdim=True)
    gain = (centred * y).sum(1) / centred.square().sum(1)
    offset = y.mean(1) - gain * x.mean(1)
    assert torch.allclose(gain[:, None] * x + offset[:, None], y, atol=1e-4)
    assert 0.85 <= float(gain.min()) < 0.88 and 1.15 < float(gain.max()) <= 1.1801
    assert -0.2001 <= float(offset.min()) < -0.17 and 0.17 < float(offset.max()) <= 0.2001


def test_slices_of_a_volume_lie_apart_and_small_ones_farther() -> None:
    image, large = healthy_slices(300)
    small = large & disc((64, 64), 18)
    for brain, farthest in ((large, 1.2), (small, 1.2 + 2 * (1 - int(small[0].sum()) / 3000))):
        seen = jitter(image * brain, brain, Draws(9), apart=1.0)
        here = brain[0, 0]
        moved = (seen - image)[:, 0, here].median(dim=1).values
        assert 0.8 * farthest < float(moved.abs().max()) < farthest + 0.2
        assert 0.35 < float((moved.abs() < 0.25).float().mean()) < 0.75, "half stay as usual"
