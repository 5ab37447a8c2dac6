"""mmccd.methods.mmccd.combination: what is summed, against a slow calculation of the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from mmccd.methods.mmccd.combination import Combination, brightness


@pytest.fixture
def brain() -> torch.Tensor:
    """Squares in four slices: a large one, a smaller one, one of four pixels, and none."""
    mask = torch.zeros(4, 1, 32, 32, dtype=torch.bool)
    mask[0, :, 4:28, 4:28] = True
    mask[1, :, 8:20, 8:20] = True
    mask[2, :, 9:11, 9:11] = True
    return mask


@pytest.fixture
def image() -> torch.Tensor:
    return torch.randn(4, 1, 32, 32, generator=torch.Generator().manual_seed(3))


class TestBrightness:
    def test_the_range_of_the_brain_is_0_to_1(
        self, image: torch.Tensor, brain: torch.Tensor
    ) -> None:
        found = brightness(image, brain)
        values = np.sort(image[brain].numpy())
        low, high = (float(np.percentile(values, q)) for q in (2, 90))
        expected = ((image - low) / (high - low)).clamp(-1, 3)
        assert torch.allclose(found, expected, atol=1e-6)

    def test_gain_and_offset_of_the_scanner_do_not_matter(
        self, image: torch.Tensor, brain: torch.Tensor
    ) -> None:
        found = brightness(7 * image + 100, brain)
        assert torch.allclose(found, brightness(image, brain), atol=1e-4)

    def test_what_is_brighter_than_anything_counts_no_more(self, brain: torch.Tensor) -> None:
        image = torch.randn(4, 1, 32, 32)
        image[0, 0, 10, 10], image[0, 0, 11, 11] = 1e6, -1e6
        found = brightness(image, brain)
        assert float(found.max()) == 3 and float(found.min()) == -1

    @pytest.mark.parametrize("kind", ["no brain", "constant"])
    def test_nothing_to_scale_by(self, kind: str, brain: torch.Tensor) -> None:
        image = torch.ones(4, 1, 32, 32)
        found = brightness(image, torch.zeros_like(brain) if kind == "no brain" else brain)
        assert torch.equal(found, torch.zeros_like(image))


@pytest.mark.parametrize(
    "wrong", [{"error": -0.1}, {"intensity": 0, "error": 0, "decision": 0}, {"decision": -1}]
)
def test_weights_that_do_not_exist(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="0 or more and not all 0"):
        Combination(**wrong)
