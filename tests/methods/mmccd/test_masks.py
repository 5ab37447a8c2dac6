"""mmccd.methods.mmccd.masks: the published counts, coverage, and the strips of training."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings, strategies as st

from mmccd.methods.mmccd.masks import random_strip_masks, strip_masks, strip_starts, width_range


@st.composite
def strips(draw: st.DrawFn) -> tuple[int, int, int]:
    """(size, width, stride) that are valid together."""
    size = draw(st.integers(1, 70))
    width = draw(st.integers(1, size))
    return size, width, draw(st.integers(1, width))


@pytest.mark.parametrize(
    ("border", "each", "last"),
    [("full", 57, 112), ("cut", 64, 126)],
)
def test_published_counts(border: str, each: int, last: int) -> None:
    starts = strip_starts(128, 16, 2, border)
    assert starts == list(range(0, last + 1, 2))
    assert len(starts) == each
    masks = strip_masks((128, 128), 16, 2, border)
    assert masks.shape == (2 * each, 128, 128)
    assert masks.dtype == torch.bool
    assert torch.equal(masks[each:], masks[:each].transpose(1, 2))


@settings(deadline=None)
@given(strips(), st.integers(1, 50))
def test_full_strips_cover_everything_and_are_whole(
    strip: tuple[int, int, int], other: int
) -> None:
    size, width, stride = strip
    masks = strip_masks((size, other), width, stride, "full", ["horizontal"])
    assert masks.any(0).all()
    rows = masks.all(2)
    assert torch.equal(rows, masks.any(2))
    assert (rows.sum(1) == width).all()
    assert (rows.int().diff(dim=1).abs().sum(1) <= 2).all(), "a strip is one piece"
    starts = strip_starts(size, width, stride, "full")
    assert starts[0] == 0
    assert starts[-1] == size - width
    assert all(
        0 < second - first <= stride for first, second in zip(starts, starts[1:], strict=False)
    )


@settings(deadline=None)
@given(strips())
def test_cut_strips_start_at_every_multiple(strip: tuple[int, int, int]) -> None:
    size, width, stride = strip
    masks = strip_masks((size, size), width, stride, "cut", ["vertical"])
    assert masks.any(0).all()
    columns = masks.all(1)
    assert torch.equal(columns, masks.any(1))
    for start, column in zip(range(0, size, stride), columns, strict=True):
        assert torch.nonzero(column).flatten().tolist() == list(
            range(start, min(start + width, size))
        )


@pytest.mark.parametrize(
    "orientations",
    [("horizontal",), ("vertical",), ("horizontal", "vertical"), ("vertical", "horizontal")],
)
def test_orientations_of_a_slice_that_is_not_square(orientations: tuple[str, ...]) -> None:
    masks = strip_masks((20, 12), 4, 4, "full", orientations)
    horizontal, vertical = masks[masks.all(2).any(1)], masks[masks.all(1).any(1)]
    assert len(horizontal) == (5 if "horizontal" in orientations else 0)
    assert len(vertical) == (3 if "vertical" in orientations else 0)
    assert torch.equal(masks, torch.cat([horizontal, vertical])), (
        "horizontal strips come first, whatever the order of the names"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 0}, "width"),
        ({"width": 33}, "width"),
        ({"stride": 0}, "stride"),
        ({"stride": 9}, "stride"),
        ({"border": "reflect"}, "border"),
        ({"orientations": ()}, "orientations"),
        ({"orientations": ("diagonal",)}, "orientations"),
        ({"orientations": ("horizontal", "diagonal")}, "orientations"),
    ],
)
def test_bad_arguments(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        strip_masks((32, 32), **{"width": 8, "stride": 2, **arguments})  # type: ignore[arg-type]


def test_random_strips_have_every_position_and_both_orientations() -> None:
    height, breadth, width = 9, 12, 4
    masks = random_strip_masks(1000, (height, breadth), width, torch.Generator().manual_seed(0))
    assert masks.shape == (1000, 1, height, breadth)
    assert masks.dtype == torch.bool
    drawn = [tuple(map(tuple, mask.tolist())) for mask in masks[:, 0]]
    possible = [
        tuple(map(tuple, mask.tolist())) for mask in strip_masks((height, breadth), width, 1)
    ]
    assert set(drawn) == set(possible)
    horizontal = sum(all(row) for mask in drawn for row in mask if row[0]) / width
    assert 420 < horizontal < 580, "each orientation has an equal chance"


def test_random_strips_are_reproducible() -> None:
    first, second, third = (
        random_strip_masks(20, (32, 32), 8, torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, third)


def test_random_strips_fall_back_to_the_global_generator() -> None:
    torch.manual_seed(3)
    first = random_strip_masks(20, (32, 32), 8)
    torch.manual_seed(3)
    assert torch.equal(first, random_strip_masks(20, (32, 32), 8))


def test_random_strips_of_a_range_have_every_width_and_fit() -> None:
    masks = random_strip_masks(600, (12, 15), (3, 6), torch.Generator().manual_seed(0))
    thick = [sorted([int(mask.all(0).sum()), int(mask.all(1).sum())]) for mask in masks[:, 0]]
    assert all(least == 0 for least, _ in thick), "strips run from border to border"
    drawn = [most for _, most in thick]
    assert {drawn.count(width) > 110 for width in (3, 4, 5, 6)} == {True}, (
        "each width has an equal chance (150)"
    )
    assert set(drawn) == {3, 4, 5, 6}


def test_a_range_of_one_width_draws_as_the_width_does() -> None:
    one, pair = (
        random_strip_masks(20, (32, 32), width, torch.Generator().manual_seed(5))
        for width in (8, [8, 8])
    )
    assert torch.equal(one, pair)


@pytest.mark.parametrize(
    ("width", "wanted"), [(16, (16, 16)), ([16, 64], (16, 64)), ((5, 5), (5, 5))]
)
def test_width_range(width: int | list[int], wanted: tuple[int, int]) -> None:
    assert width_range(width) == wanted


@pytest.mark.parametrize("width", [0, [8], [8, 9, 10], [9, 8], [0, 4], [1.5, 4]])
def test_width_ranges_that_cannot_be(width: int | list[int]) -> None:
    with pytest.raises(
        ValueError,
        match="strip width must be a number of pixels, or the smallest and the largest one; got",
    ):
        width_range(width)


def test_random_strips_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="at most the size 24 of the slice, got 25"):
        random_strip_masks(1, (24, 40), (8, 25))
