"""mmccd.training.corruption.healthy: variation that is no anomaly."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from tests.training.slices import GREY, WHITE, disc, healthy_slices, ventricles
from torch import Tensor

from mmccd.imaging import Draws
from mmccd.training.corruption import healthy, vary
from mmccd.training.corruption.healthy import _flow, _grey_matter, _lining, _regions, _surface

Change = Callable[[Tensor, Tensor, Draws], Tensor]


def change(kind: Change, count: int = 60) -> Tensor:
    image, brain = healthy_slices(count, texture=0.0)
    return kind(image, brain, Draws(0))


def parts() -> dict[str, Tensor]:
    """Tissues of the slices, bool ``(1, 1, 128, 128)``."""
    fluid = ventricles()
    return {
        "fluid": fluid,
        "white": disc((64, 64), 44) & ~disc((60, 56), 9) & ~disc((60, 72), 9),
        "grey": disc((64, 64), 52) & ~disc((64, 64), 48),
    }


def mean_in(found: Tensor, name: str) -> float:
    return float(found.abs()[parts()[name].expand_as(found)].mean())


def test_each_changes_the_tissue_it_is_about() -> None:
    assert mean_in(change(_grey_matter), "grey") > 3 * mean_in(change(_grey_matter), "white")
    flow = change(_flow)
    assert mean_in(flow, "fluid") > 0.2 and mean_in(flow, "white") == 0
    lining = change(_lining)
    assert mean_in(lining, "fluid") == 0, "it lies in the tissue"
    assert float(lining.max()) > 0.3
    assert mean_in(lining, "grey") < 1e-3
    assert mean_in(change(_regions), "white") > 3 * mean_in(change(_regions), "fluid")
    surface = change(_surface)
    assert mean_in(surface, "grey") > 2 * mean_in(surface, "white")


@pytest.mark.parametrize("kind", [_grey_matter, _lining, _regions, _surface])
def test_fainter_than_what_is_painted(kind: Change) -> None:
    """Small lesions have a contrast of .6 at the least, thin bands of one."""
    found = change(kind, 100)[:, 0, 14:114, 14:114]
    assert float(found.abs().flatten(1).quantile(0.9, dim=1).median()) < 0.6


def test_only_the_brain_changes_and_the_input_stays() -> None:
    image, brain = healthy_slices(20)
    given = image.clone()
    found = vary(image, brain, Draws(1))
    assert torch.equal(image, given)
    assert float(found[~brain].abs().max()) == 0
    assert bool((found != image).flatten(1).any(1).float().mean() > 0.7)


def test_seeded() -> None:
    image, brain = healthy_slices(6)
    first, again, other = (vary(image, brain, Draws(seed)) for seed in (2, 2, 3))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_some_slices_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REGION", "GREY", "LINING", "FLOW", "SURFACE"):
        monkeypatch.setattr(healthy, f"{name}_SHARE", 0.0)
    image, brain = healthy_slices(5)
    assert torch.equal(vary(image, brain, Draws(0)), image)


@pytest.mark.parametrize("count", [0, 1])
def test_few_slices(count: int) -> None:
    image, brain = healthy_slices(count)
    assert vary(image, brain, Draws(0)).shape == image.shape


def test_no_brain_at_all() -> None:
    image = torch.zeros(3, 1, 128, 128)
    found = vary(image, torch.zeros_like(image, dtype=torch.bool), Draws(0))
    assert bool(found.isfinite().all()) and float(found.abs().max()) == 0


def test_tissues_are_told_apart() -> None:
    """The slices of these tests have the intensities that the thresholds stand for."""
    assert WHITE < 0.4 < GREY < 2.2
