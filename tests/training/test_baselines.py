"""mmccd.training.baselines: what the networks are shown, and the VAE's loss."""

from __future__ import annotations

import pytest
import torch

from mmccd.training.baselines import (
    CoarseNoisePrepareBatch,
    CoarseNoiseValidationBatch,
    ReconstructionPrepareBatch,
    ReconstructionValidationBatch,
    VariationalLoss,
)


@pytest.fixture
def batch() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    brain = torch.zeros(4, 1, 64, 64)
    brain[..., 10:50, 12:52] = 1
    return {name: torch.randn(4, 1, 64, 64, generator=generator) for name in ("image", "label")} | {
        "brain": brain
    }


def test_reconstruction_is_of_the_image_itself(batch: dict[str, torch.Tensor]) -> None:
    image, target = ReconstructionPrepareBatch()(batch)
    assert torch.equal(image, batch["image"])
    assert torch.equal(target, batch["image"])
    image, truth = ReconstructionValidationBatch()(batch)
    assert torch.equal(truth["target"], image)
    assert truth["brain"].dtype == torch.bool
    assert truth["brain"].sum() == 4 * 40 * 40


class TestCoarseNoise:
    def test_noise_is_in_the_brain_only_and_changes(self, batch: dict[str, torch.Tensor]) -> None:
        torch.manual_seed(0)
        prepare = CoarseNoisePrepareBatch(8, 1.5)
        noisy, target = prepare(batch)
        again, _ = prepare(batch)
        noise = noisy - target
        assert torch.equal(target, batch["image"])
        assert (noise[batch["brain"] == 0] == 0).all()
        assert noise[batch["brain"] > 0].std() > 0.3
        assert not torch.equal(noisy, again)

    def test_strength(self) -> None:
        """Interpolation lowers the standard deviation of the coarse values, to between a half and
        the whole.
        """
        torch.manual_seed(0)
        image = torch.zeros(32, 1, 64, 64)
        noisy, _ = CoarseNoisePrepareBatch(16, 2.0)(
            {"image": image, "brain": torch.ones_like(image)}
        )
        assert 1.0 < float(noisy.std()) < 2.0

    def test_coarse(self) -> None:
        """Neighbouring pixels are alike, pixels a cell of the coarse grid apart are not."""
        torch.manual_seed(0)
        image = torch.zeros(64, 1, 64, 64)
        noise, _ = CoarseNoisePrepareBatch(8, 1.0)(
            {"image": image, "brain": torch.ones_like(image)}
        )

        def correlation(distance: int) -> float:
            pair = torch.stack([noise[..., :-distance].flatten(), noise[..., distance:].flatten()])
            return float(torch.corrcoef(pair)[0, 1])

        assert correlation(1) > 0.9
        assert abs(correlation(24)) < 0.15

    def test_validation_is_the_same_every_time(self, batch: dict[str, torch.Tensor]) -> None:
        prepare = CoarseNoiseValidationBatch(8, 1.5, seed=3)
        noisy, truth = prepare(batch)
        assert torch.equal(noisy, prepare(batch)[0])
        assert not torch.equal(noisy, CoarseNoiseValidationBatch(8, 1.5, seed=4)(batch)[0])
        assert torch.equal(truth["target"], batch["image"])
        assert (noisy != batch["image"])[truth["brain"]].any()
        assert torch.equal(noisy[~truth["brain"]], batch["image"][~truth["brain"]])

    @pytest.mark.parametrize(("resolution", "std"), [(0, 1.0), (8, 0.0), (8, -1.0)])
    def test_refused(self, resolution: int, std: float) -> None:
        with pytest.raises(ValueError, match="resolution"):
            CoarseNoisePrepareBatch(resolution, std)


def test_variational_loss_by_hand() -> None:
    prediction = torch.stack([torch.full((2, 2), 3.0), torch.full((2, 2), 0.5)])[None]
    assert VariationalLoss(beta=2.0)(prediction, torch.ones(1, 1, 2, 2)) == pytest.approx(
        4.0 + 2.0 * 0.5
    )
