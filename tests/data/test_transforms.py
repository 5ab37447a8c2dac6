"""mmccd.data.transforms: what changes, and what must not."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mmccd.data.transforms import RandomBrainIntensity, augmentation

BACKGROUND = -3.0
SEEDS = range(12)


@pytest.fixture
def pair() -> dict[str, Tensor]:
    """A brain of a quarter of the picture, off the middle, with the same smooth pattern in input
    and target.
    """
    rows, columns = torch.meshgrid(torch.arange(128.0), torch.arange(128.0), indexing="ij")
    brain = ((rows - 60) ** 2 / 45**2 + (columns - 56) ** 2 / 35**2 < 1)[None]
    pattern = (torch.sin(rows / 7) + torch.cos(columns / 9) + columns / 64)[None]
    image = torch.where(brain, pattern, BACKGROUND)
    return {
        "image": image,
        "label": torch.where(brain, 2 * pattern + 5, BACKGROUND),
        "brain": brain.float(),
    }


def changed(pair: dict[str, Tensor], seed: int, **strengths: float) -> dict[str, Tensor]:
    """One augmentation of the pair, with its random state set."""
    transform = augmentation(**strengths)
    transform.set_random_state(seed=seed)
    return transform({key: value.clone() for key, value in pair.items()})


def equal(one: dict[str, Tensor], other: dict[str, Tensor], tolerance: float = 0.0) -> bool:
    return all(
        torch.allclose(
            torch.as_tensor(one[key]), torch.as_tensor(other[key]), rtol=0, atol=tolerance
        )
        for key in one
    )


def flipped(pair: dict[str, Tensor]) -> dict[str, Tensor]:
    """Left and right exchanged: columns run from right to left."""
    return {key: value.flip(-1) for key, value in pair.items()}


def test_fixed_state_is_reproducible(pair: dict[str, Tensor]) -> None:
    assert all(equal(changed(pair, seed), changed(pair, seed)) for seed in SEEDS)
    different = [changed(pair, seed)["image"] for seed in SEEDS]
    assert sum(torch.equal(different[0], other) for other in different[1:]) == 0


def test_input_is_left_alone(pair: dict[str, Tensor]) -> None:
    before = {key: value.clone() for key, value in pair.items()}
    transform = augmentation()
    for seed in SEEDS:
        transform.set_random_state(seed=seed)
        transform(pair)
    assert equal(pair, before)


def test_shapes_and_types(pair: dict[str, Tensor]) -> None:
    for seed in SEEDS:
        result = changed(pair, seed)
        assert set(result) == set(pair)
        assert all(
            tuple(value.shape) == (1, 128, 128) and value.dtype == torch.float32
            for value in result.values()
        )


def test_zero_strengths_leave_only_the_flip(pair: dict[str, Tensor]) -> None:
    kinds = set()
    for seed in SEEDS:
        result = changed(pair, seed, rotation_degrees=0, scaling=0, shift_pixels=0, intensity=0)
        same, mirrored = equal(result, pair, 1e-4), equal(result, flipped(pair), 1e-4)
        assert same or mirrored
        kinds.add(same)
    assert kinds == {True, False}


def test_all_move_together(pair: dict[str, Tensor]) -> None:
    """The target stays the same function of the input, and both end where the brain ends."""
    for seed in SEEDS:
        result = changed(pair, seed, intensity=0)
        # Away from the edge, where interpolation mixes brain and background.
        inner = torch.nn.functional.avg_pool2d(result["brain"][None], 5, 1, 2)[0] > 0.99
        outer = torch.nn.functional.avg_pool2d(result["brain"][None], 5, 1, 2)[0] < 0.01
        assert inner.sum() > 3000
        assert torch.allclose(result["label"][inner], 2 * result["image"][inner] + 5, atol=1e-3)
        assert (result["label"][outer] == BACKGROUND).all()


def test_background_keeps_its_value(pair: dict[str, Tensor]) -> None:
    for seed in SEEDS:
        result = changed(pair, seed, shift_pixels=20.0)
        outer = torch.nn.functional.avg_pool2d(result["brain"][None], 5, 1, 2)[0] < 0.01
        assert outer.sum() > 5000
        assert torch.allclose(result["image"][outer], torch.tensor(BACKGROUND), atol=1e-4)
        assert torch.allclose(result["label"][outer], torch.tensor(BACKGROUND), atol=1e-4)


def test_strengths_are_limits(pair: dict[str, Tensor]) -> None:
    """A shift of at most 4 pixels moves the brain's centre by at most that; scaling by a tenth
    changes its area by about a fifth.
    """
    columns = torch.arange(128.0)
    centre = float((pair["brain"][0].sum(0) * columns).sum() / pair["brain"].sum())
    moved = []
    for seed in range(40):
        result = changed(pair, seed, rotation_degrees=0, scaling=0, shift_pixels=4.0)
        found = float((result["brain"][0].sum(0) * columns).sum() / result["brain"].sum())
        moved.append(min(abs(found - centre), abs(127 - found - centre)))
        scaled = changed(pair, seed, rotation_degrees=0, scaling=0.1, shift_pixels=0)
        assert 0.75 < float(scaled["brain"].sum() / pair["brain"].sum()) < 1.3
    assert max(moved) <= 4.1
    assert max(moved) > 2.0


def test_intensity_changes_the_input_in_the_brain_only(pair: dict[str, Tensor]) -> None:
    transform = RandomBrainIntensity(scale=0.1, shift=0.1, prob=1.0)
    inside = pair["brain"] > 0.5
    gains, shifts = [], []
    for seed in range(60):
        transform.set_random_state(seed=seed)
        result = transform(pair)
        assert torch.equal(result["label"], pair["label"])
        assert torch.equal(result["brain"], pair["brain"])
        assert (result["image"][~inside] == BACKGROUND).all()
        x, y = pair["image"][inside], result["image"][inside]
        gain = float(((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum())
        shift = float(y.mean() - gain * x.mean())
        assert torch.allclose(y, gain * x + shift, atol=1e-4)
        gains.append(gain)
        shifts.append(shift)
    assert 0.9 - 1e-4 <= min(gains) < 0.93
    assert 1.07 < max(gains) <= 1.1 + 1e-4
    assert -0.1 - 1e-4 <= min(shifts) < -0.07
    assert 0.07 < max(shifts) <= 0.1 + 1e-4


def test_intensity_change_happens_with_its_probability(pair: dict[str, Tensor]) -> None:
    transform = RandomBrainIntensity(prob=0.5)
    transform.set_random_state(seed=0)
    untouched = sum(torch.equal(transform(pair)["image"], pair["image"]) for _ in range(200))
    assert 70 < untouched < 130
    never = RandomBrainIntensity(prob=0.0)
    assert all(torch.equal(never(pair)["image"], pair["image"]) for _ in range(20))
