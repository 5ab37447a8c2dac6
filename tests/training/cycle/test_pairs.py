"""mmccd.training.cycle.pairs: healthy pairs by the batch."""

from __future__ import annotations

import pytest
import torch
from tests.training.cycle.packs import label_slices, real_pairs, scan_slices
from tests.training.slices import SIZE, disc, healthy_slices

from mmccd.imaging import Draws
from mmccd.training.cycle.pack import HIGHEST, LOWEST
from mmccd.training.cycle.pairs import HealthyPairs, Pairs, move_about


def pairs(real_share: float = 0.5, seed: int = 0, target: str = "t2") -> HealthyPairs:
    return HealthyPairs(
        [label_slices(2), label_slices(3)], real_pairs(4), real_share, "flair", target, Draws(seed)
    )


class TestHealthyPairs:
    @pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
    def test_a_batch(self, share: float) -> None:
        made = pairs(share).draw(6)
        for image in (made.source, made.target):
            assert image.shape == (6, 1, SIZE, SIZE) and image.dtype == torch.float32
            assert bool(image.isfinite().all())
            assert float(image[~made.brain].abs().max()) == 0
            assert float(image.min()) >= LOWEST and float(image.max()) <= HIGHEST
        assert made.brain.dtype == torch.bool and bool(made.brain.flatten(1).any(1).all())

    def test_the_share_of_real_slices(self) -> None:
        """Those of this pack have y = -x."""
        drawn = [pairs(0.3, seed).draw(5) for seed in range(8)]
        real = torch.cat([(one.source + one.target).abs().amax((1, 2, 3)) < 0.1 for one in drawn])
        assert float(real.float().mean()) == pytest.approx(0.3, abs=0.08)

    def test_the_fingerprint_is_that_of_the_slices(self) -> None:
        """Not of seed or share; any other slice is another one."""
        assert pairs().fingerprint == pairs(0.1, seed=3).fingerprint
        labels = label_slices(5)
        one = HealthyPairs([labels], None, 0.5, "flair", "t2", Draws(0))
        labels[4, 1, 128, 128] += 1
        other = HealthyPairs([labels], None, 0.5, "flair", "t2", Draws(0))
        scanned = HealthyPairs(
            [labels], None, 0.5, "flair", "t2", Draws(0), scans=scan_slices(1), scan_share=0.5
        )
        assert len({one.fingerprint, other.fingerprint, scanned.fingerprint}) == 3

    def test_no_real_slices(self) -> None:
        source = HealthyPairs([label_slices(2)], None, 0.9, "flair", "t2", Draws(0))
        made = source.draw(4)
        assert float((made.source + made.target).abs().amax((1, 2, 3)).min()) > 0.5

    def test_the_share_of_scan_slices(self) -> None:
        """They have no ventricles: nothing in the middle is dark."""
        drawn = []
        for seed in range(8):
            source = HealthyPairs(
                [label_slices(2)],
                real_pairs(4),
                0.2,
                "flair",
                "t2",
                Draws(seed),
                scans=scan_slices(3),
                scan_share=0.5,
            )
            made = source.draw(5)
            assert made.source.shape == (5, 1, SIZE, SIZE)
            middle = disc((64, 64), 4)
            real = (made.source + made.target).abs().amax((1, 2, 3)) < 0.1
            drawn.append((made.source[:, middle[0]].mean(1) > -1) & ~real)
        assert float(torch.cat(drawn).float().mean()) == pytest.approx(0.5, abs=0.13)

    def test_without_scans_their_share_means_nothing(self) -> None:
        alone, with_share = (
            HealthyPairs(
                [label_slices(2)], None, 0.0, "flair", "t2", Draws(0), scan_share=share
            ).draw(3)
            for share in (0.0, 0.6)
        )
        assert torch.equal(alone.source, with_share.source)

    def test_pictures_are_normalised_and_the_contrasts_those_asked_for(self) -> None:
        """Fluid is the darkest of FLAIR and T1 and the brightest of T2."""
        for target, bright in (("t2", True), ("t1", False)):
            made = pairs(0.0, target=target).draw(8)
            middle = disc((64, 64), 6)
            inner = made.target[:, middle[0]].mean(1)
            assert bool(((inner > 1) == bright).all())
            assert bool((made.source[:, middle[0]].mean(1) < -1).all())
        values = made.source[made.brain]
        assert abs(float(values.median())) < 1

    def test_seeded(self) -> None:
        first, again, other = (pairs(seed=seed).draw(3) for seed in (1, 1, 2))
        assert torch.equal(first.source, again.source) and torch.equal(first.target, again.target)
        assert not torch.equal(first.source, other.source)


class TestMoveAbout:
    def test_all_images_move_alike(self) -> None:
        image, brain = healthy_slices(12)
        moved = move_about(Pairs(image, 2 * image, brain), Draws(0))
        assert torch.allclose(2 * moved.source, moved.target, atol=1e-5)
        assert float(moved.source[~moved.brain].abs().max()) == 0
        assert not torch.equal(moved.brain, brain)

    def test_within_the_stated_range(self) -> None:
        """Areas change by scaling (0.8 to 1.2, and 10 % between the axes); nothing leaves."""
        image, brain = healthy_slices(100)
        moved = move_about(Pairs(image, image, brain), Draws(1)).brain
        ratio = moved.sum((1, 2, 3)) / brain.sum((1, 2, 3))
        assert 0.5 < float(ratio.min()) < 0.85 and 1.2 < float(ratio.max()) < 2.0
        rows = torch.arange(128.0)[:, None]
        shift = (moved[:, 0] * rows).sum((1, 2)) / moved.sum((1, 2, 3)) - 64
        assert 1 < float(shift.abs().max()) < 10

    def test_half_are_flipped(self) -> None:
        """A mark at the left lands at the right in half of the slices."""
        brain = torch.ones(200, 1, SIZE, SIZE, dtype=torch.bool)
        mark = disc((64, 30), 8).float().expand(200, -1, -1, -1)
        moved = move_about(Pairs(mark, mark, brain), Draws(2)).source[:, 0]
        right = moved[:, :, 64:].sum((1, 2)) > moved[:, :, :64].sum((1, 2))
        assert float(right.float().mean()) == pytest.approx(0.5, abs=0.1)
