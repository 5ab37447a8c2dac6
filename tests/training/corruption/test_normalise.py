"""mmccd.training.corruption.normalise: the paper's normalisation, slice by slice."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.training.slices import SIZE, disc, healthy_slices

from mmccd.imaging import Normalisation
from mmccd.training.corruption import FLAIR_PERCENTILES, OTHER_PERCENTILES, normalise_slices

CONTRASTS = pytest.mark.parametrize(
    ("contrast", "percentiles"), [("flair", FLAIR_PERCENTILES), ("t2", OTHER_PERCENTILES)]
)


def raw_slices(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """In a scanner's units, each slice in its own."""
    image, brain = healthy_slices(count, texture=0.3)
    gain = torch.linspace(40, 400, count)[:, None, None, None]
    return torch.where(brain, gain * (image + 6), 0), brain


def reference(values: NDArray[np.float64], percentiles: tuple[float, float]) -> tuple[float, float]:
    """Mean and deviation of what lies between two percentiles (nearest value)."""
    ordered = np.sort(values)
    low, high = (ordered[round((len(ordered) - 1) * p / 100)] for p in percentiles)
    inner = values[(values >= low) & (values <= high)]
    return inner.mean(), inner.std()


@CONTRASTS
def test_exact_on_the_pixels_that_count(contrast: str, percentiles: tuple[float, float]) -> None:
    image, brain = raw_slices(3)
    made = normalise_slices(image, brain, percentiles=percentiles)
    for number in range(3):
        few = image[number, 0, ::2, ::2][brain[number, 0, ::2, ::2]].double().numpy()
        mean, deviation = reference(few, percentiles)
        expected = (image[number][brain[number]].double().numpy() - mean) / deviation
        np.testing.assert_allclose(made[number][brain[number]].numpy(), expected, atol=2e-4)
    assert float(made[~brain].abs().max()) == 0


@CONTRASTS
def test_is_the_products_normalisation(contrast: str, percentiles: tuple[float, float]) -> None:
    """Within what every second pixel allows."""
    image, brain = raw_slices(4)
    made = normalise_slices(image, brain, percentiles=percentiles)
    product = Normalisation.for_modality(contrast)
    assert (product.kind, product.lower, product.upper) == ("paper", *percentiles)
    for number in range(4):
        values = image[number][brain[number]].numpy()
        scale, shift = product.fit(values)
        np.testing.assert_allclose(
            made[number][brain[number]].numpy(), scale * values + shift, atol=0.1
        )


def test_the_unit_does_not_count() -> None:
    image, brain = healthy_slices(2, texture=0.3)
    plain = normalise_slices(image, brain)
    assert torch.allclose(normalise_slices(7 * image + 100, brain), plain, atol=1e-3)


def test_statistics_of_the_healthy_part_only() -> None:
    image, brain = healthy_slices(2, texture=0.3)
    lesion = disc((80, 64), 15) & brain
    ill = torch.where(lesion, 30.0, image)
    made = normalise_slices(ill, brain, ~lesion)
    assert torch.equal(made[~lesion], normalise_slices(image, brain, ~lesion)[~lesion])
    assert float(made[lesion].min()) > 20
    assert float((normalise_slices(ill, brain) - made)[brain & ~lesion].abs().max()) > 0.3


@pytest.mark.parametrize("left", [0, 10])
def test_hardly_anything_healthy(left: int) -> None:
    """The brain stands in; each slice by itself."""
    image, brain = healthy_slices(2, texture=0.3)
    healthy = torch.zeros_like(brain)
    healthy[0, 0, 64, 64 : 64 + 2 * left : 2] = True
    healthy[1] = True
    made = normalise_slices(image, brain, healthy)
    assert torch.equal(made, normalise_slices(image, brain))


@pytest.mark.parametrize("radius", [0.0, 0.5, 1.5, 3.0])
@pytest.mark.parametrize("odd", [0, 1])
def test_a_brain_of_a_few_pixels(radius: float, odd: int) -> None:
    """On odd pixels none of them is counted."""
    image, _ = healthy_slices(2, texture=0.3)
    brain = disc((64 + odd, 84 + odd), radius).expand(2, 1, SIZE, SIZE)
    made = normalise_slices(100 * image, brain, brain)
    assert bool(made.isfinite().all())
    assert float(made.abs().max()) < 20, "not divided by next to nothing"
    assert float(made[~brain].abs().max()) == 0


def test_a_constant_brain() -> None:
    _, brain = healthy_slices(1)
    made = normalise_slices(torch.where(brain, 3.0, 0), brain)
    assert float(made.abs().max()) < 1e-3
