"""mmccd.training.corruption.slips: wrong masks."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from scipy import ndimage
from tests.training.slices import SIZE, disc, healthy_slices
from torch import Tensor

from mmccd.imaging import Draws
from mmccd.training.corruption import slip, slips


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """One kind of slip on every slice."""

    def choose(kind: str) -> None:
        for name in ("RIM_SHARE", "CUT_SHARE", "HOLE_SHARE"):
            monkeypatch.setattr(slips, name, 1.0 if name.startswith(kind) else 0.0)

    return choose


def signal_slices(count: int) -> tuple[Tensor, Tensor]:
    """As a scanner gives them: air 0, tissue about 1."""
    image, brain = healthy_slices(count)
    return torch.where(brain, image / 4 + 1, 0), brain


def border(brain: Tensor, pixels: int, outside: bool) -> Tensor:
    """Pixels beside the border of a mask, eight neighbours counted."""
    mask = brain[0, 0].numpy()
    square = torch.ones(3, 3).numpy()
    if outside:
        return torch.from_numpy(ndimage.binary_dilation(mask, square, pixels) & ~mask)
    return torch.from_numpy(mask & ~ndimage.binary_erosion(mask, square, pixels))


def test_most_masks_are_right() -> None:
    image, brain = signal_slices(250)
    seen, mask = slip(image, brain, Draws(0))
    right = (mask == brain).flatten(1).all(1)
    expected = (1 - slips.RIM_SHARE) * (1 - slips.CUT_SHARE) * (1 - slips.HOLE_SHARE)
    assert float(right.float().mean()) == pytest.approx(expected, abs=0.04)
    assert torch.equal(seen[right], image[right])
    assert float(seen[~mask].abs().max()) == 0
    both = mask & brain
    assert torch.equal(seen[both], image[both])


def test_rims_lie_around_the_brain_in_parts(only: Callable[[str], None]) -> None:
    only("RIM")
    image, brain = signal_slices(60)
    seen, mask = slip(image, brain, Draws(1))
    assert torch.equal(mask & brain, brain)
    added = mask & ~brain
    allowed = border(brain, max(slips.RIM_PIXELS), outside=True)
    assert not added[:, 0, ~allowed].any()
    shares = added.sum((1, 2, 3)) / allowed.sum()
    assert 0.1 < float(shares.mean()) < 0.6
    means = torch.stack([one[part].mean() for one, part in zip(seen, added, strict=True)])
    # Air to fat: 0 to about 2.2 of the tissue's signal.
    assert float(means.nan_to_num().min()) < 0.4 and 1.5 < float(means.nan_to_num().max()) < 2.6


def test_rims_are_narrow_or_wide(only: Callable[[str], None]) -> None:
    only("RIM")
    image, brain = signal_slices(8)
    draws, widths = Draws(5), set()
    for _ in range(40):
        added = slip(image, brain, draws)[1] & ~brain
        widths |= {
            next(n for n in range(1, 6) if not added[:, 0, ~border(brain, n, outside=True)].any())
        }
    assert widths == set(slips.RIM_PIXELS)


def test_cuts_are_the_outermost_pixel_in_parts(only: Callable[[str], None]) -> None:
    only("CUT")
    image, brain = signal_slices(60)
    _, mask = slip(image, brain, Draws(2))
    assert not (mask & ~brain).any()
    lost = brain & ~mask
    allowed = border(brain, 1, outside=False)
    assert not lost[:, 0, ~allowed].any()
    assert 0.1 < float(lost.sum((1, 2, 3)).float().mean() / allowed.sum()) < 0.6


def test_holes_are_few_and_smooth(only: Callable[[str], None]) -> None:
    only("HOLE")
    image, brain = signal_slices(60)
    seen, mask = slip(image, brain, Draws(3))
    assert not (mask & ~brain).any()
    lost = brain & ~mask
    assert 0.01 < float(lost.sum() / brain.sum()) < 0.2
    parts = [ndimage.label(one)[1] for one in lost[:, 0].numpy()]
    assert max(parts) <= 4
    assert float(seen[lost].abs().max()) == 0


def test_the_input_stays_and_seeds_hold() -> None:
    image, brain = signal_slices(30)
    given, mask = image.clone(), brain.clone()
    first, again = slip(image, brain, Draws(4)), slip(image, brain, Draws(4))
    assert torch.equal(image, given) and torch.equal(brain, mask)
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not torch.equal(first[1], slip(image, brain, Draws(5))[1])


@pytest.mark.parametrize("kind", ["RIM", "CUT", "HOLE"])
@pytest.mark.parametrize(("count", "radius"), [(0, 50.0), (1, 50.0), (2, 1.0), (2, 0.0)])
def test_few_slices_and_small_brains(
    only: Callable[[str], None], kind: str, count: int, radius: float
) -> None:
    only(kind)
    brain = disc((64, 64), radius).expand(count, 1, SIZE, SIZE)
    seen, mask = slip(brain.float(), brain, Draws(0))
    assert seen.shape == mask.shape == brain.shape
    assert bool(seen.isfinite().all())
