"""mmccd.phantom.scan_images: pictures of scan slices in FLAIR, T1 and T2."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from tests.phantom.scans import write_scans
from torch import Tensor

from mmccd.imaging import Draws
from mmccd.phantom import ContrastPool, cut_scan_slices, find_scans, picture_scan_slices
from mmccd.phantom.label_slices import NUMBER
from mmccd.phantom.scan_images import tissue_shares
from mmccd.phantom.scan_slices import CHOROID, HIGHEST, LOWEST, PALLIDUM, PLAIN, RIM
from mmccd.phantom.slice_images import CONTRASTS

FLUID, GREY, WHITE, IRON, PLEXUS = range(5)


def shares(level: float, kind: int) -> list[float]:
    """Of a wide area of one level and kind."""
    area = torch.full((1, 1, 33, 33), level)
    read = tissue_shares(area, torch.full_like(area, kind).byte())
    return [round(float(value), 4) for value in read[0, :, 16, 16]]


class TestShares:
    @pytest.mark.parametrize(
        ("level", "kind", "expected"),
        [
            (-1, PLAIN, [1, 0, 0, 0, 0]),
            (0, PLAIN, [0, 1, 0, 0, 0]),
            (1, PLAIN, [0, 0, 1, 0, 0]),
            (-0.5, PLAIN, [0.5, 0.5, 0, 0, 0]),
            (0.25, PLAIN, [0, 0.75, 0.25, 0, 0]),
            (1.2, PLAIN, [0, -0.2, 1.2, 0, 0]),
            (-1, RIM, [1, 0, 0, 0, 0]),
            (0, RIM, [0.4, 0, 0.6, 0, 0]),
            (1, RIM, [0, 0, 1, 0, 0]),
            (0.9, PALLIDUM, [0, 0, 0, 1, 0]),
            (-0.5, CHOROID, [0.5, 0, 0, 0, 0.5]),
        ],
    )
    def test_what_a_level_means(self, level: float, kind: int, expected: list[float]) -> None:
        assert shares(level, kind) == pytest.approx(expected, abs=1e-3)

    @settings(max_examples=40, deadline=None)
    @given(st.floats(LOWEST, HIGHEST), st.integers(0, 3))
    def test_they_add_up_to_one(self, level: float, kind: int) -> None:
        assert sum(shares(level, kind)) == pytest.approx(1, abs=1e-3)

    def test_the_ventricles_rim_is_not_grey(self) -> None:
        """Half fluid, half white matter is as bright as grey matter on T1; on FLAIR it is darker
        than either tissue.
        """
        pool = ContrastPool(32, 0).signals[:, 0]
        mixed = torch.tensor(shares(-0.1, RIM))
        names = ("fluid", "grey", "white", "pallidum", "choroid plexus")
        signal = pool[:, [NUMBER[name] for name in names]] @ mixed
        assert bool((signal < pool[:, NUMBER["white"]]).all())


@pytest.fixture(scope="module")
def slices(tmp_path_factory: pytest.TempPathFactory) -> Tensor:
    pair = find_scans(*write_scans(tmp_path_factory.mktemp("scans")))[0]
    return torch.from_numpy(cut_scan_slices(*pair, 12, 0))


class TestPictures:
    def test_shapes_and_brain(self, slices: Tensor) -> None:
        made = picture_scan_slices(slices, ContrastPool(16, 0), Draws(0))
        assert list(made.images) == list(CONTRASTS)
        assert torch.equal(made.brain, slices[:, :1] > 0)
        for image in made.images.values():
            assert image.shape == (len(slices), 1, 128, 128) and image.dtype == torch.float32
            assert bool(image.isfinite().all()) and float(image[~made.brain].abs().max()) == 0

    def test_contrasts_in_the_physics_order(self, slices: Tensor) -> None:
        made = picture_scan_slices(slices, ContrastPool(64, 0), Draws(0))
        level = (slices[:, :1].float() - 1) / 254 * (HIGHEST - LOWEST) + LOWEST
        plain = (slices[:, 1:] == PLAIN) & made.brain
        white = plain & (level > 0.9)
        ventricle = (slices[:, 1:] == RIM) & (level < -0.9)
        for name, brighter in (("flair", False), ("t1", False), ("t2", True)):
            image = made.images[name]
            assert (float(image[ventricle].mean()) > float(image[white].mean())) == brighter
            assert float(image[white].median()) == pytest.approx(1, abs=0.08)

    def test_the_scan_s_own_texture_shows(self, slices: Tensor) -> None:
        """Where white matter is a little less white on T1 it is a little brighter on FLAIR."""
        noisy = slices.clone()
        area = (slices[:, :1] > 200) & (slices[:, 1:] == PLAIN)
        rows = torch.arange(128) % 8 < 4
        darker = area & rows[None, None, :, None]
        noisy[:, :1][darker] -= 30
        pool = ContrastPool(64, 1)
        before, after = (picture_scan_slices(s, pool, Draws(2)) for s in (slices, noisy))
        change = {name: after.images[name] - before.images[name] for name in CONTRASTS}
        assert float(change["flair"][darker].mean()) > 0.01
        assert float(change["t1"][darker].mean()) < -0.01
        assert float(change["flair"][area & ~darker].abs().mean()) < 0.02

    def test_seeded(self, slices: Tensor) -> None:
        pool = ContrastPool(16, 0)
        first, again, other = (picture_scan_slices(slices[:3], pool, Draws(s)) for s in (5, 5, 6))
        for name in CONTRASTS:
            assert torch.equal(first.images[name], again.images[name])
            assert not torch.equal(first.images[name], other.images[name])


def test_a_scan_s_slices_are_small_on_disk(slices: Tensor, tmp_path: Path) -> None:
    from mmccd.training.cycle.pack import load_pack, save_pack

    save_pack(tmp_path / "scans.xz", {"slices": slices.numpy()})
    assert (tmp_path / "scans.xz").stat().st_size < 6000 * len(slices)
    np.testing.assert_array_equal(load_pack(tmp_path / "scans.xz")["slices"], slices.numpy())
