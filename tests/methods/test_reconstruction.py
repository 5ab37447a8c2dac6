"""mmccd.methods.reconstruction, and the three methods that it serves."""

from __future__ import annotations

import pytest
import torch
from tests.methods.networks import CPU, Function

from mmccd.methods.ae import Autoencoder
from mmccd.methods.base import Slices
from mmccd.methods.dae import DenoisingAutoencoder
from mmccd.methods.reconstruction import Reconstruction, ReconstructionScorer
from mmccd.methods.vae import VariationalAutoencoder


def test_reconstruction_error(slices: Slices) -> None:
    image, brain = slices.image, slices.brain
    result = ReconstructionScorer(Function(lambda x: x + 2.0), CPU, 2).score(slices)
    assert torch.allclose(result.anomaly[brain], torch.full_like(image, 2.0)[brain], atol=1e-6)
    assert torch.allclose(result.signed[brain], torch.full_like(image, -2.0)[brain], atol=1e-6)
    assert torch.allclose(result.reconstructed[brain], image[brain] + 2.0)


@pytest.mark.parametrize("kind", [Autoencoder, VariationalAutoencoder, DenoisingAutoencoder])
def test_needs_the_run_of_its_name(kind: type[Reconstruction]) -> None:
    (need,) = kind.needs.values()
    assert (need.kind, need.name, need.start, need.end) == ("run", kind.name, "source", "source")


def test_a_two_sided_error_is_turned_round_only_where_its_sign_is_scored() -> None:
    assert Autoencoder().polarities("t1", signed=False) == (1,)
    assert Autoencoder().polarities("t1", signed=True) == (1, -1)
    assert Autoencoder().polarities("flair", signed=True) == (1,)
