"""Networks placed for inference give what they gave before, and the quick normalisation is the
normalisation.
"""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import nn

from mmccd.bundle import Weights, load_models
from mmccd.models.device import autocast
from mmccd.models.inference import SLOW_BELOW_PIXELS, SmallMapGroupNorm, to_device

CPU = torch.device("cpu")


def filled_norm(groups: int, channels: int, seed: int = 0) -> nn.GroupNorm:
    """A normalisation with random parameters."""
    norm = nn.GroupNorm(groups, channels)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        norm.weight.copy_(torch.randn(channels, generator=generator))
        norm.bias.copy_(torch.randn(channels, generator=generator))
    return norm.eval()


def forward(bundles: Path) -> Weights:
    """The weights of f."""
    return load_models(bundles).weights["forward"]


class TestToDevice:
    def test_fp32_stays_as_it_is(self, tiny_bundles: Path) -> None:
        network = to_device(forward(tiny_bundles).load_network(), CPU, "fp32")
        assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
        assert not any(isinstance(layer, SmallMapGroupNorm) for layer in network.modules())

    def test_bf16_weights_are_rounded_once(self, tiny_bundles: Path) -> None:
        network = to_device(forward(tiny_bundles).load_network(), CPU, "bf16")
        assert network.unet.conv_in.conv.weight.dtype == torch.bfloat16
        norms = [layer for layer in network.modules() if isinstance(layer, nn.GroupNorm)]
        assert norms and all(
            type(norm) is SmallMapGroupNorm and norm.weight.dtype == torch.float32 for norm in norms
        )

    def test_bf16_gives_what_autocast_gives(self, tiny_bundles: Path) -> None:
        """To the bit with PyTorch's normalisation; with the quick one as near as bf16 is to
        float32.
        """
        weights = forward(tiny_bundles)
        plain = weights.load_network().to(memory_format=torch.channels_last)
        folded = to_device(weights.load_network(), CPU, "bf16")
        image, times = (
            torch.randn(3, 2, 64, 64, generator=torch.Generator().manual_seed(0)),
            torch.tensor([1, 500, 999]),
        )
        with torch.inference_mode():
            exact = plain(image, times)
            with autocast(CPU, "bf16"):
                expected, found = plain(image, times), folded(image, times)
        rounding = (expected.float() - exact).abs().max()
        assert 0 < rounding < 0.1 * exact.abs().max()
        assert (found.float() - exact).abs().max() < 1.5 * rounding
        for parent in folded.modules():
            for name, layer in parent.named_children():
                if isinstance(layer, SmallMapGroupNorm):
                    norm = nn.GroupNorm(layer.num_groups, layer.num_channels, layer.eps)
                    norm.weight, norm.bias = layer.weight, layer.bias
                    setattr(parent, name, norm)
        with torch.inference_mode(), autocast(CPU, "bf16"):
            assert torch.equal(folded(image, times), expected)


class TestSmallMapGroupNorm:
    @settings(max_examples=40, deadline=None)
    @given(
        batch=st.integers(1, 3),
        groups=st.sampled_from([1, 2, 4]),
        each=st.integers(1, 5),
        height=st.integers(1, 12),
        width=st.integers(2, 12),
        offset=st.floats(-20, 20),
        seed=st.integers(0, 1000),
    )
    def test_is_group_norm_in_float32(
        self, batch: int, groups: int, each: int, height: int, width: int, offset: float, seed: int
    ) -> None:
        norm = filled_norm(groups, groups * each, seed)
        image = offset + torch.randn(
            batch, groups * each, height, width, generator=torch.Generator().manual_seed(seed)
        )
        expected = norm(image.double().float())
        found = SmallMapGroupNorm.like(norm)(image.to(memory_format=torch.channels_last))
        # With few values their spread may be far below their mean, which float32 then holds with
        # fewer digits.
        values = image.view(batch, groups, -1)
        lost = float((values.mean(-1) ** 2 / values.var(-1)).max())
        assert torch.allclose(found, expected, atol=1e-4 + 1e-5 * lost)

    @pytest.mark.parametrize(("channels", "size"), [(96, 16), (128, 8), (64, 16), (64, 32)])
    def test_bf16_is_rounded_once(self, channels: int, size: int) -> None:
        """As near to the exact result as PyTorch's own kernel: half a unit in the last place of
        bf16.
        """
        norm = filled_norm(32, channels)
        image = torch.randn(
            4, channels, size, size, generator=torch.Generator().manual_seed(1)
        ).bfloat16()
        with torch.inference_mode():
            exact = norm(image.float())
            found = SmallMapGroupNorm.like(norm)(image.to(memory_format=torch.channels_last))
        assert found.dtype == torch.bfloat16
        assert found.is_contiguous(memory_format=torch.channels_last)
        assert (found.float() - exact).abs().le(exact.abs() * 2**-8 + 1e-5).all()

    def test_other_inputs_take_the_kernel(self) -> None:
        """Large maps, channels first, other dimensions, no parameters: to the bit as PyTorch has
        it.
        """
        norm = filled_norm(4, 8)
        quick = SmallMapGroupNorm.like(norm)
        side = int(SLOW_BELOW_PIXELS**0.5)
        large = torch.randn(2, 8, side, side).to(memory_format=torch.channels_last)
        for image in (large, torch.randn(2, 8, 6, 6), torch.randn(2, 8, 30)):
            assert torch.equal(quick(image), norm(image))
        plain = nn.GroupNorm(4, 8, affine=False)
        image = torch.randn(2, 8, 6, 6).to(memory_format=torch.channels_last)
        assert torch.equal(SmallMapGroupNorm.like(plain)(image), plain(image))

    def test_a_constant_map_is_its_shift(self) -> None:
        norm = filled_norm(2, 4)
        image = torch.full((1, 4, 5, 5), 100.0).to(memory_format=torch.channels_last)
        found = SmallMapGroupNorm.like(norm)(image)
        assert torch.isfinite(found).all()
        assert torch.allclose(found, norm.bias.view(1, 4, 1, 1).expand_as(found), atol=1e-2)
