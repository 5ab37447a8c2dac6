"""mmccd.training.corruption.mixture: all families, and what holds for each of them."""

from __future__ import annotations

import pytest
import torch
from tests.training.slices import SIZE, disc, healthy_slices
from torch import Tensor

from mmccd.imaging import Draws
from mmccd.training.corruption import FAMILIES, Family, corrupt, visible_change

families = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)


def always(family: Family) -> Family:
    return Family(family.name, family.paint, 1.0)


@families
class TestFamily:
    def test_only_the_brain_changes_and_the_input_stays(self, family: Family) -> None:
        image, brain = healthy_slices(16)
        given = image.clone()
        after, label = corrupt(image, brain, Draws(0), [always(family)])
        assert torch.equal(image, given)
        assert torch.equal(after[~brain], image[~brain])
        assert float(label[~brain].abs().max()) == 0
        assert int(((after != image).flatten(1).any(1)).sum()) >= 15

    def test_the_label_is_what_can_be_seen_within_the_outline(self, family: Family) -> None:
        image, brain = healthy_slices(24)
        after, label = corrupt(image, brain, Draws(1), [always(family)])
        assert float(label.min()) == 0 and 0.5 < float(label.max()) < 1.0 + 1e-6
        visible = visible_change(image, after)
        painted = label > 0
        assert torch.equal(label[painted], visible[painted])
        near = torch.nn.functional.max_pool2d((after != image).float(), 3, 1, 1) > 0
        assert float(label[~near].max()) == 0, "0 where nothing changed"

    def test_seeded(self, family: Family) -> None:
        image, brain = healthy_slices(4)
        first, again, other = (
            corrupt(image, brain, Draws(seed), [always(family)]) for seed in (2, 2, 3)
        )
        assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
        assert not torch.equal(first[0], other[0])

    @pytest.mark.parametrize("count", [0, 1])
    def test_few_slices(self, family: Family, count: int) -> None:
        image, brain = healthy_slices(count)
        after, changed = family.paint(image, brain, Draws(0))
        assert after.shape == changed.shape == image.shape
        assert bool(after.isfinite().all())

    @pytest.mark.parametrize("kind", ["few pixels", "one pixel", "no brain", "all fluid"])
    def test_hardly_any_brain(self, family: Family, kind: str) -> None:
        image, brain = odd_slices(kind)
        after, label = corrupt(image, brain, Draws(0), [always(family)])
        assert bool(after.isfinite().all()) and bool(label.isfinite().all())
        assert torch.equal(after[~brain], image[~brain])


def odd_slices(kind: str) -> tuple[Tensor, Tensor]:
    """Six slices whose brain is small, or without tissue."""
    image, brain = healthy_slices(6)
    if kind == "all fluid":
        return torch.where(brain, image.clamp_max(0) - 2, 0), brain
    radius = {"few pixels": 2.0, "one pixel": 0.5, "no brain": 0.0}[kind]
    brain = disc((64, 90), radius).expand(6, 1, SIZE, SIZE)
    return torch.where(brain, image, 0), brain


def test_lesions_of_a_slice_without_tissue_change_nothing() -> None:
    image, brain = odd_slices("all fluid")
    lesions = next(family for family in FAMILIES if family.name == "small lesions")
    after, _ = corrupt(image, brain, Draws(0), [always(lesions)])
    assert torch.equal(after, image)


def test_a_share_of_the_slices_stays_healthy() -> None:
    image, brain = healthy_slices(96)
    draws = Draws(0)
    untouched = [
        float(
            torch.stack([(after == image).flatten(1).all(1), (label == 0).flatten(1).all(1)])
            .all(0)
            .float()
            .mean()
        )
        for after, label in (corrupt(image, brain, draws) for _ in range(3))
    ]
    expected = 1.0
    for family in FAMILIES:
        expected *= 1 - family.share
    assert sum(untouched) / 3 == pytest.approx(expected, abs=0.07)


def test_no_family_no_change() -> None:
    image, brain = healthy_slices(3)
    after, label = corrupt(image, brain, Draws(0), [])
    assert torch.equal(after, image) and float(label.max()) == 0
