"""mmccd.phantom.slice_images: pictures of label slices in FLAIR, T1 and T2."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.phantom.label_maps import write_labels
from torch import Tensor

from mmccd.imaging import Draws
from mmccd.phantom import CLASSES, ContrastPool, SliceImages, cut_label_slices, picture_slices
from mmccd.phantom.label_slices import NUMBER
from mmccd.phantom.slice_images import CONTRASTS, _with_choroid

POOL = 64


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Tensor:
    file = write_labels(tmp_path_factory.mktemp("labels"))[0]
    return torch.from_numpy(cut_label_slices(file, 30, 1))


@pytest.fixture(scope="module")
def pool() -> ContrastPool:
    return ContrastPool(POOL, 0)


@pytest.fixture(scope="module")
def made(labels: Tensor, pool: ContrastPool) -> SliceImages:
    return picture_slices(labels, pool, Draws(0))


def pure(labels: Tensor, name: str) -> Tensor:
    """Model pixels well within one class, bool ``(batch, 1, 128, 128)``."""
    alone = (labels == NUMBER[name]).all(1, keepdim=True).float()
    return -torch.nn.functional.max_pool2d(-alone, 6, 2, 2) > 0


class TestContrastPool:
    def test_seeded(self, pool: ContrastPool) -> None:
        assert torch.equal(ContrastPool(POOL, 0).signals, pool.signals)
        assert not torch.equal(ContrastPool(POOL, 1).signals, pool.signals)
        assert torch.equal(ContrastPool(3, 0).signals, pool.signals[:3])

    def test_relative_to_white_matter(self, pool: ContrastPool) -> None:
        assert pool.signals.shape == (POOL, 3, len(CLASSES) + 1)
        assert pool.signals.dtype == torch.float32
        assert float(pool.signals[..., 0].abs().max()) == 0
        assert torch.allclose(pool.signals[..., NUMBER["white"]], torch.ones(POOL, 3))
        assert bool(pool.signals.isfinite().all())

    def test_fluid_is_one_fluid(self, pool: ContrastPool) -> None:
        inner, outer = (pool.signals[..., NUMBER[name]] for name in ("ventricle", "fluid"))
        assert torch.equal(inner, outer)

    def test_the_physics_order(self, pool: ContrastPool) -> None:
        flair, t1, t2 = (pool.signals[:, number] for number in range(3))
        white, grey, fluid, choroid = (
            NUMBER[name] for name in ("white", "grey", "fluid", "choroid plexus")
        )
        tissue = [number for name, number in NUMBER.items() if name not in ("fluid", "ventricle")]
        assert (flair[:, fluid, None] < flair[:, tissue]).all(), "FLAIR: fluid darkest"
        assert (t2[:, fluid, None] > t2[:, tissue]).all(), "T2: fluid brightest"
        assert float((t1[:, white] > t1[:, grey]).float().mean()) > 0.97
        assert (t1[:, grey] > t1[:, fluid]).all()
        assert float((flair[:, grey] > flair[:, white]).float().mean()) > 0.9
        means = flair.mean(0)
        assert means[NUMBER["hippocampus"]] > means[grey], "bright hippocampus"
        assert means[choroid] > means[grey]

    def test_scanners_differ(self, pool: ContrastPool) -> None:
        spread = pool.signals[:, :, NUMBER["grey"]].std(0)
        assert float(spread.min()) > 0.02

    def test_draws_one_for_each_slice(self, pool: ContrastPool) -> None:
        drawn = pool.draw(500, Draws(2))
        assert drawn.shape == (500, 3, len(CLASSES) + 1)
        assert torch.equal(drawn, pool.draw(500, Draws(2)))
        assert len(drawn.unique(dim=0)) == POOL


class TestPictures:
    def test_shapes_and_brain(self, made: SliceImages, labels: Tensor) -> None:
        shape = (len(labels), 1, 128, 128)
        assert list(made.images) == list(CONTRASTS) == ["flair", "t1", "t2"]
        assert made.brain.dtype == torch.bool and made.brain.shape == shape
        for image in made.images.values():
            assert image.shape == shape and image.dtype == torch.float32
            assert bool(image.isfinite().all())
            assert float(image[~made.brain].abs().max()) == 0
            assert float(image[made.brain].min()) > -0.2

    def test_the_brain_is_that_of_the_labels(self, made: SliceImages, labels: Tensor) -> None:
        inside = torch.nn.functional.avg_pool2d((labels > 0).float().mean(1, keepdim=True), 2)
        assert bool(made.brain[inside > 0.5].all())
        # Convex here, so that closing adds next to nothing.
        assert float((made.brain & (inside <= 0.5)).sum() / made.brain.sum()) < 0.01

    def test_clefts_belong_to_the_brain_and_show_fluid(
        self, labels: Tensor, pool: ContrastPool
    ) -> None:
        """Sulci without a label."""
        cleft = labels.clone()
        cleft[:, :, 40:128, 125:131] = 0
        seen = picture_slices(cleft, pool, Draws(1))
        gone = (labels > 0).all(1) & (cleft == 0).all(1)
        gone = -torch.nn.functional.max_pool2d(-gone[:, None].float(), 2) > 0
        assert float(seen.brain[gone].float().mean()) > 0.9
        white = pure(cleft, "white")
        for name, brighter in (("flair", False), ("t2", True)):
            there = seen.images[name][gone & seen.brain].mean()
            assert (there > 1.5 * seen.images[name][white].mean()) == brighter
        assert seen.images["flair"][gone & seen.brain].mean() < 0.5

    @pytest.mark.parametrize(
        ("contrast", "order"),
        [
            ("flair", ["fluid", "white", "grey"]),
            ("t1", ["fluid", "grey", "white"]),
            ("t2", ["white", "grey", "fluid"]),
        ],
    )
    def test_contrasts_in_the_physics_order(
        self, made: SliceImages, labels: Tensor, contrast: str, order: list[str]
    ) -> None:
        image = made.images[contrast]
        areas = {"white": "white", "grey": "grey", "fluid": "ventricle"}
        means = [float(image[pure(labels, areas[name])].mean()) for name in order]
        assert means == sorted(means) and min(np.diff(means)) > 0.03

    def test_white_matter_is_about_one(self, made: SliceImages, labels: Tensor) -> None:
        white = pure(labels, "white")
        for image in made.images.values():
            assert float(image[white].mean()) == pytest.approx(1, abs=0.03)

    def test_texture_is_shared_in_part(self, made: SliceImages, labels: Tensor) -> None:
        """More water: FLAIR and T2 rise, T1 falls; and each has some of its own."""
        white = pure(labels, "white")
        found = []
        for number in range(len(labels)):
            here = white[number]
            if here.sum() > 200:
                values = torch.stack([image[number][here] for image in made.images.values()])
                found.append(torch.corrcoef(values))
        flair_t1, flair_t2 = (torch.stack(found)[:, 0, other].mean() for other in (1, 2))
        assert len(found) > 10
        assert 0.3 < float(flair_t2) < 0.95
        assert -0.9 < float(flair_t1) < -0.2

    def test_partial_volume(self) -> None:
        """Where the planes differ, the signal is the mean of the two classes'."""
        both = torch.full((12, 2, 256, 256), NUMBER["white"], dtype=torch.uint8)
        both[:, 1, 100:156, 100:156] = NUMBER["fluid"]
        pool = ContrastPool(1, 0)
        images = picture_slices(both, pool, Draws(3)).images
        for number, image in enumerate(images.values()):
            expected = (1 + float(pool.signals[0, number, NUMBER["fluid"]])) / 2
            assert float(image[:, 0, 58:70, 58:70].mean()) == pytest.approx(expected, rel=0.03)

    def test_seeded_and_any_number_of_slices(self, labels: Tensor, pool: ContrastPool) -> None:
        first, again, other = (picture_slices(labels[:3], pool, Draws(s)) for s in (5, 5, 6))
        for name in CONTRASTS:
            assert torch.equal(first.images[name], again.images[name])
            assert not torch.equal(first.images[name], other.images[name])
        assert picture_slices(labels[:1], pool, Draws(0)).brain.shape == (1, 1, 128, 128)

    def test_no_brain(self, pool: ContrastPool) -> None:
        seen = picture_slices(torch.zeros(2, 2, 256, 256, dtype=torch.uint8), pool, Draws(0))
        assert not seen.brain.any()
        assert all(float(image.abs().max()) == 0 for image in seen.images.values())


def test_choroid_plexus_grows_in_ventricles_only(labels: Tensor) -> None:
    before = labels.long()
    after = _with_choroid(before, Draws(7))
    changed = after != before
    assert set(before[changed].unique().tolist()) == {NUMBER["ventricle"]}
    assert set(after[changed].unique().tolist()) == {NUMBER["choroid plexus"]}
    has = (before == NUMBER["ventricle"]).flatten(1).any(1)
    share = float(changed.flatten(1).any(1)[has].float().mean())
    assert 0.15 < share < 0.85, "in about half of the slices"
    assert float(changed.sum() / (before == NUMBER["ventricle"]).sum()) < 0.5
