"""mmccd.training.corruption.shapes: outlines, and tissue that is pushed away."""

from __future__ import annotations

import math

import torch
from tests.training.slices import disc, healthy_slices

from mmccd.imaging import Draws
from mmccd.training.corruption.shapes import blob_level, push_aside


def one(value: float) -> torch.Tensor:
    return torch.full((1, 1, 1, 1), value)


def test_a_smooth_blob_is_an_ellipse_of_the_area_of_its_circle() -> None:
    centre = torch.tensor([[70.0, 50.0]])
    for seed in range(8):
        level = blob_level(centre, one(12.0), one(0.0), Draws(seed), 128)
        inside = level > 0
        assert abs(float(inside.sum()) / (math.pi * 12**2) - 1) < 0.05
        rows, columns = inside[0, 0].nonzero().float().T
        assert abs(float(rows.mean()) - 70) < 0.5 and abs(float(columns.mean()) - 50) < 0.5
        assert float(level[0, 0, 70, 50]) == 12.0


def test_roughness_makes_the_border_longer() -> None:
    centre = torch.tensor([[64.0, 64.0]])
    lengths = []
    for roughness in (0.0, 0.6):
        inside = torch.cat(
            [
                blob_level(centre, one(20.0), one(roughness), Draws(seed), 128) > 0
                for seed in range(10)
            ]
        )
        lengths.append(int(inside.diff(dim=-1).sum() + inside.diff(dim=-2).sum()))
    assert lengths[1] > 1.1 * lengths[0]


def test_tissue_moves_away_from_the_centre() -> None:
    """A ring of radius 10 becomes wider where tissue is pushed, and nothing moves far away."""
    ring = (disc((64, 64), 12) & ~disc((64, 64), 8)).float()
    centre = torch.tensor([[64.0, 64.0]])
    moved = push_aside(ring, centre, one(10.0), one(0.3))
    rows, columns = torch.meshgrid(torch.arange(128.0), torch.arange(128.0), indexing="ij")
    distance = ((rows - 64) ** 2 + (columns - 64) ** 2).sqrt()
    before = float((ring[0, 0] * distance).sum() / ring.sum())
    after = float((moved[0, 0] * distance).sum() / moved.sum())
    assert 1.5 < after - before < 3.5

    image, _ = healthy_slices(1)
    far = push_aside(image, centre, one(10.0), one(0.3))
    still = ~disc((64, 64), 40)
    assert torch.allclose(far[still], image[still], atol=1e-3)
    same = push_aside(image, centre, one(10.0), one(0.0))
    assert torch.allclose(same, image, atol=1e-3)
