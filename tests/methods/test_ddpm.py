"""mmccd.methods.ddpm."""

from __future__ import annotations

import pytest
import torch
from tests.methods.networks import CPU, Function
from torch import Tensor

from mmccd.methods.base import Slices
from mmccd.methods.ddpm import DiffusionScorer, PartialDiffusionInferer
from mmccd.models.schedule import MaskedDiffusionScheduler


class TestPartialDiffusion:
    def test_perfect_denoiser_returns_the_image(self, image: Tensor) -> None:
        """A network that knows x finds the noise exactly, at any level and number of steps."""
        scheduler = MaskedDiffusionScheduler(prediction_type="epsilon")

        def network(noisy: Tensor, timesteps: Tensor) -> Tensor:
            level = scheduler.level(int(timesteps[0]))
            return (noisy - level**0.5 * image) / (1 - level) ** 0.5

        for level, steps in ((1, 1), (50, 1), (250, 5), (1000, 3)):
            reconstructed = PartialDiffusionInferer(scheduler, level, steps)(image, network)
            assert torch.allclose(reconstructed, image, atol=1e-3), (level, steps)

    def test_starts_at_its_level(self, image: Tensor) -> None:
        times: list[int] = []

        def network(noisy: Tensor, timesteps: Tensor) -> Tensor:
            times.append(int(timesteps[0]))
            if len(times) == 1:
                level = scheduler.level(249)
                noise = (noisy - level**0.5 * image) / (1 - level) ** 0.5
                assert float(noise.std()) == pytest.approx(1.0, abs=0.1)
            return torch.zeros_like(noisy)

        scheduler = MaskedDiffusionScheduler(prediction_type="epsilon")
        PartialDiffusionInferer(scheduler, 250, 5)(image, network)
        assert times == [249, 199, 149, 99, 49]

    def test_noise_belongs_to_the_slice(self, slices: Slices) -> None:
        """Batches of any size, and a volume of which some slices are skipped, see the same
        noise.
        """
        image, brain = slices.image, slices.brain
        network = Function(lambda x, t: torch.zeros_like(x))
        inferer = PartialDiffusionInferer(
            MaskedDiffusionScheduler(prediction_type="epsilon"), 250, 2, seed=7
        )
        whole = DiffusionScorer(inferer, network, CPU, 5).score(slices).anomaly
        parts = DiffusionScorer(inferer, network, CPU, 1).score(slices).anomaly
        some = brain.clone()
        some[:3] = False
        last = DiffusionScorer(inferer, network, CPU, 5).score(Slices(image, some, 5.0)).anomaly
        assert torch.allclose(whole[brain], parts[brain])
        assert torch.allclose(whole[some], last[some])
        other = PartialDiffusionInferer(
            MaskedDiffusionScheduler(prediction_type="epsilon"), 250, 2, seed=8
        )
        assert not torch.allclose(
            DiffusionScorer(other, network, CPU, 5).score(slices).anomaly[brain],
            whole[brain],
        )

    @pytest.mark.parametrize(("level", "steps"), [(0, 1), (1001, 10), (10, 11), (10, 0)])
    def test_refused(self, level: int, steps: int) -> None:
        with pytest.raises(ValueError, match="must be between"):
            PartialDiffusionInferer(MaskedDiffusionScheduler(), level, steps)
