"""mmccd.models.baselines: shapes, settings that build the network again, and what training mode of
the VAE returns.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.conftest import TINY
from torch.distributions import Normal, kl_divergence

from mmccd.models.baselines import (
    AutoEncoderNetwork,
    DenoisingUNet,
    MaskedTranslator,
    VariationalNetwork,
)
from mmccd.models.networks import TranslationUNet

NETWORKS: dict[str, type[torch.nn.Module]] = {
    "ae": AutoEncoderNetwork,
    "vae": VariationalNetwork,
    "dae": DenoisingUNet,
    "ddpm": TranslationUNet,
    "translator": TranslationUNet,
    "masked_translation": MaskedTranslator,
}
"""Of each overlay."""

SMALL: dict[str, dict[str, Any]] = {
    "ae": {"factor": 8, "channels": [8, 4], "strides": [1, 2]},
    "vae": {"size": 32, "factor": 8, "channels": [8], "strides": [2], "latent_size": 5},
    "dae": {"factor": 8, "channels": [8, 8], "num_res_units": 1, "norm_num_groups": 4},
    "ddpm": {"in_channels": 1, **TINY},
    "translator": {"in_channels": 1, **TINY},
    "masked_translation": {"in_channels": 1, **TINY},
}


@pytest.mark.parametrize("name", list(NETWORKS))
def test_settings_build_the_network_again(name: str) -> None:
    torch.manual_seed(0)
    network = NETWORKS[name](**SMALL[name]).eval()
    again = NETWORKS[name](**network.settings).eval()
    again.load_state_dict(network.state_dict())
    image = torch.randn(2, 2 if name == "masked_translation" else 1, 32, 32)
    with torch.no_grad():
        assert torch.equal(again(image), network(image))
        assert network(image).shape == (2, 1, 32, 32)


@pytest.mark.parametrize("make", [AutoEncoderNetwork, DenoisingUNet, VariationalNetwork])
def test_published_sizes_see_the_whole_slice(make: type[torch.nn.Module]) -> None:
    """The default network takes 128 x 128, and gradients reach every parameter."""
    torch.manual_seed(0)
    network = make()
    network(torch.randn(2, 1, 128, 128)).square().mean().backward()
    assert all(
        parameter.grad is not None and parameter.grad.isfinite().all()
        for parameter in network.parameters()
    )


class TestVariational:
    def test_divergence_is_that_of_the_code(self) -> None:
        torch.manual_seed(0)
        network = VariationalNetwork(**SMALL["vae"])
        image = torch.randn(3, 1, 32, 32)
        output = network(image)
        mean, log_variance = network.inner.encode_forward(
            torch.nn.functional.pixel_unshuffle(image, 8)
        )
        expected = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).sum(
            dim=1
        ) / (32 * 32)
        assert torch.allclose(output[:, 1].amax(dim=(1, 2)), expected, rtol=1e-4)
        assert torch.allclose(output[:, 1].amin(dim=(1, 2)), expected, rtol=1e-4)

    def test_codes_are_drawn_in_training_only(self) -> None:
        torch.manual_seed(0)
        network, image = VariationalNetwork(**SMALL["vae"]), torch.randn(1, 1, 32, 32)
        assert not torch.equal(network(image)[:, 0], network(image)[:, 0])
        network.eval()
        assert torch.equal(network(image), network(image))


def test_masked_translator_sees_the_condition_alone() -> None:
    torch.manual_seed(0)
    network = MaskedTranslator(in_channels=1, **TINY).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    condition = torch.randn(1, 1, 32, 32)
    with torch.no_grad():
        first = network(
            torch.cat([torch.randn(1, 1, 32, 32), condition], dim=1), torch.tensor([999])
        )
        second = network(
            torch.cat([torch.randn(1, 1, 32, 32), condition], dim=1), torch.tensor([0])
        )
        other = network(torch.cat([condition, condition + 1], dim=1))
    assert torch.equal(first, second)
    assert not torch.allclose(first, other)
