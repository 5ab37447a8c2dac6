"""mmccd.models.noise: known answers, independence of batch and order, normality."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from scipy import stats

from mmccd.models.noise import ANCESTRAL, CONDITION, INITIAL, NO_MASK, normal_noise, philox4x32

MASK32 = 0xFFFFFFFF
FULL = (MASK32,) * 4

# Philox4x32-10 of Random123's kat_vectors: counter, key, output.
KNOWN_ANSWERS = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    (FULL, FULL[:2], (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


def philox_with_python_integers(counter: tuple[int, ...], key: tuple[int, ...]) -> tuple[int, ...]:
    """The generator as published, with integers of any length."""
    c, k = list(counter), list(key)
    for _ in range(10):
        first, second = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [
            (second >> 32) ^ c[1] ^ k[0],
            second & MASK32,
            (first >> 32) ^ c[3] ^ k[1],
            first & MASK32,
        ]
        k = [(k[0] + 0x9E3779B9) & MASK32, (k[1] + 0xBB67AE85) & MASK32]
    return tuple(c)


def noise_with_python_integers(
    seed: int, slice_: int, mask: int, step: int, stream: int, size: tuple[int, int]
) -> np.ndarray:
    """One image of noise, voxel by voxel: four voxels to a counter, Box-Muller on pairs of
    words.
    """
    values: list[float] = []
    for block in range(math.ceil(size[0] * size[1] / 4)):
        words = philox_with_python_integers(
            (block, slice_, mask, stream * 2**24 + step), (seed % 2**32, seed // 2**32)
        )
        uniform = [(word + 0.5) / 2**32 for word in words]
        for radius, angle in (uniform[:2], uniform[2:]):
            values += [
                math.sqrt(-2 * math.log(radius)) * f(2 * math.pi * angle)
                for f in (math.cos, math.sin)
            ]
    return np.array(values[: size[0] * size[1]]).reshape(size)


def image(
    seed: int = 1,
    slice_: int = 2,
    mask: int = 3,
    step: int = 4,
    stream: int = CONDITION,
    size: tuple[int, int] = (16, 16),
) -> torch.Tensor:
    """Noise of one image."""
    return normal_noise(seed, torch.tensor([slice_]), torch.tensor([mask]), step, stream, size)


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_philox_known_answers(
    counter: tuple[int, ...], key: tuple[int, int], expected: tuple[int, ...]
) -> None:
    words = philox4x32([torch.tensor([value]) for value in counter], key)
    assert tuple(int(word) for word in words) == expected
    assert philox_with_python_integers(counter, key) == expected


@settings(deadline=None, max_examples=50)
@given(st.tuples(*[st.integers(0, MASK32)] * 4), st.tuples(*[st.integers(0, MASK32)] * 2))
def test_philox_equals_integer_arithmetic(counter: tuple[int, ...], key: tuple[int, int]) -> None:
    words = philox4x32([torch.tensor([value]) for value in counter], key)
    assert tuple(int(word) for word in words) == philox_with_python_integers(counter, key)


@pytest.mark.parametrize(
    ("seed", "slice_", "mask", "step", "stream", "size"),
    [
        (0, 0, 0, 0, INITIAL, (4, 4)),
        (7, 79, NO_MASK, 0, INITIAL, (3, 5)),
        (2**64 - 1, 154, 113, 99, CONDITION, (5, 7)),
        (2**40 + 3, 1, 2, 999, ANCESTRAL, (1, 1)),
    ],
)
def test_equals_reference(
    seed: int, slice_: int, mask: int, step: int, stream: int, size: tuple[int, int]
) -> None:
    noise = image(seed, slice_, mask, step, stream, size)
    assert noise.shape == (1, 1, *size)
    assert noise.dtype == torch.float32
    expected = noise_with_python_integers(seed, slice_, mask, step, stream, size)
    np.testing.assert_allclose(noise[0, 0].numpy(), expected, rtol=0, atol=1e-6)


@settings(deadline=None, max_examples=25)
@given(
    st.lists(
        st.tuples(st.integers(0, 300), st.sampled_from([0, 1, 57, 127, NO_MASK])),
        min_size=1,
        max_size=12,
    ),
    st.randoms(),
)
def test_does_not_depend_on_batch_or_order(items: list[tuple[int, int]], random: object) -> None:
    size = (9, 14)
    alone = {
        item: normal_noise(5, torch.tensor([item[0]]), torch.tensor([item[1]]), 2, CONDITION, size)[
            0
        ]
        for item in items
    }
    random.shuffle(items)  # type: ignore[attr-defined]
    numbers = torch.tensor(items)
    together = normal_noise(5, numbers[:, 0], numbers[:, 1], 2, CONDITION, size)
    for item, noise in zip(items, together, strict=True):
        assert torch.equal(noise, alone[item])


def test_does_not_depend_on_batch_at_full_size() -> None:
    slices, masks = torch.arange(20) // 4, torch.arange(20) % 4
    together = normal_noise(5, slices, masks, 0, CONDITION, (128, 128))
    pairs = [
        normal_noise(5, slices[i : i + 2], masks[i : i + 2], 0, CONDITION, (128, 128))
        for i in range(0, 20, 2)
    ]
    assert torch.equal(together, torch.cat(pairs))


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 2},
        {"seed": 1 + 2**32},
        {"slice_": 3},
        {"mask": 4},
        {"mask": NO_MASK},
        {"step": 5},
        {"stream": INITIAL},
        {"stream": ANCESTRAL},
    ],
)
def test_differs_for_other_arguments(other: dict[str, int]) -> None:
    assert torch.equal(image(), image())
    first, second = image(size=(64, 64)).flatten(), image(size=(64, 64), **other).flatten()  # type: ignore[arg-type]
    correlation = float(torch.corrcoef(torch.stack([first, second]))[0, 1])
    assert abs(correlation) < 4 / math.sqrt(first.numel())


def test_is_standard_normal() -> None:
    noise = (
        normal_noise(11, torch.arange(32), torch.arange(32) % 5, 0, CONDITION, (128, 128))
        .double()
        .flatten()
    )
    count = noise.numel()
    assert abs(float(noise.mean())) < 4 / math.sqrt(count)
    assert abs(float(noise.var()) - 1) < 4 * math.sqrt(2 / count)
    assert abs(float((noise**4).mean()) - 3) < 4 * math.sqrt(96 / count)
    assert stats.kstest(noise.numpy(), "norm").pvalue > 1e-3


def test_neighbouring_voxels_are_independent() -> None:
    noise = normal_noise(
        11, torch.arange(32), torch.zeros(32, dtype=torch.int64), 0, CONDITION, (64, 64)
    ).double()
    for first, second in (
        (noise[..., 1:], noise[..., :-1]),
        (noise[..., 1:, :], noise[..., :-1, :]),
        (noise[1:], noise[:-1]),
    ):
        for power in (1, 2):
            sample = torch.stack([(first**power).flatten(), (second**power).flatten()])
            assert abs(float(torch.corrcoef(sample)[0, 1])) < 4 / math.sqrt(first.numel())
