"""mmccd.methods.baselines: each map against its definition."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from tests.conftest import TINY
from torch import Tensor, nn

from mmccd.core.errors import CancelledError
from mmccd.methods.baselines import (
    DiffusionScorer,
    HistogramScorer,
    IntensityScorer,
    PartialDiffusionInferer,
    ReconstructionScorer,
    TranslationCycleScorer,
)
from mmccd.methods.mmccd.cycle import CycleSettings, MaskedCycleInferer
from mmccd.methods.scorer import CycleScorer, Scorer
from mmccd.models.baselines import MaskedTranslator
from mmccd.models.noise import CONDITION, normal_noise
from mmccd.models.schedule import MaskedDiffusionScheduler, masked_condition

CPU = torch.device("cpu")


class Function(nn.Module):
    """A network that is a function, and remembers how many images each pass had."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function = function
        self.passes: list[int] = []

    def forward(self, x: Tensor, timesteps: Tensor | None = None) -> Tensor:
        self.passes.append(len(x))
        return self.function(x) if timesteps is None else self.function(x, timesteps)


@pytest.fixture
def image() -> Tensor:
    return torch.randn(5, 1, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def brain() -> Tensor:
    """Five slices, of which the third holds no brain."""
    inside = torch.zeros(5, 1, 16, 16, dtype=torch.bool)
    inside[:, :, 3:12, 4:14] = True
    inside[2] = False
    return inside


def scorers() -> dict[str, Scorer]:
    half = Function(lambda x: 0.5 * x)
    scheduler = MaskedDiffusionScheduler(prediction_type="epsilon")
    noise = Function(lambda x, t: torch.zeros_like(x))
    return {
        "intensity": IntensityScorer(),
        "histogram": HistogramScorer(),
        "reconstruction": ReconstructionScorer(half, CPU, 2),
        "cyclic": TranslationCycleScorer(half, half, CPU, 2),
        "ddpm": DiffusionScorer(PartialDiffusionInferer(scheduler, 100, 4), noise, CPU, 2),
    }


@pytest.mark.parametrize("name", list(scorers()))
def test_holds_inside_the_brain_alone(name: str, image: Tensor, brain: Tensor) -> None:
    result = scorers()[name].score(image, brain)
    for layer in (result.anomaly, result.signed):
        assert layer.shape == image.shape
        assert layer[brain].isfinite().all()
        assert layer[~brain].isnan().all()
    assert torch.equal(result.coverage, brain.float())


@pytest.mark.parametrize("name", ["reconstruction", "cyclic", "ddpm"])
def test_passes(name: str, image: Tensor, brain: Tensor) -> None:
    """Slices without brain are skipped; progress is told; a cancelled run ends."""
    seen: list[tuple[int, int]] = []
    scorers()[name].score(image, brain, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(2, 4), (4, 4)]
    with pytest.raises(CancelledError):
        scorers()[name].score(image, brain, cancelled=lambda: True)


def test_intensity_is_the_input(image: Tensor, brain: Tensor) -> None:
    result = IntensityScorer().score(image, brain)
    assert torch.equal(result.anomaly[brain], image[brain])
    assert result.imagined.isnan().all()


def test_histogram_by_hand() -> None:
    image = torch.tensor([[5.0, 1.0, 3.0], [3.0, 9.0, 7.0]])[None, None]
    brain = torch.tensor([[True, True, True], [True, True, False]])[None, None]
    found = HistogramScorer().score(image, brain).anomaly[0, 0]
    expected = torch.tensor([[4.0, 1.0, 2.5], [2.5, 5.0, 0.0]]) / 5
    assert torch.allclose(found[brain[0, 0]], expected[brain[0, 0]])


def test_histogram_knows_the_order_alone(image: Tensor, brain: Tensor) -> None:
    """Any change of contrast that keeps the order keeps the map, slice by slice."""
    scorer = HistogramScorer()
    changed = image.exp() * torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])[:, None, None, None]
    assert torch.equal(
        scorer.score(changed, brain).anomaly[brain], scorer.score(image, brain).anomaly[brain]
    )


def test_reconstruction_error(image: Tensor, brain: Tensor) -> None:
    result = ReconstructionScorer(Function(lambda x: x + 2.0), CPU, 2).score(image, brain)
    assert torch.allclose(result.anomaly[brain], torch.full_like(image, 2.0)[brain], atol=1e-6)
    assert torch.allclose(result.signed[brain], torch.full_like(image, -2.0)[brain], atol=1e-6)
    assert torch.allclose(result.returned[brain], image[brain] + 2.0)


def test_two_translators(image: Tensor, brain: Tensor) -> None:
    result = TranslationCycleScorer(
        Function(lambda x: 3 * x), Function(lambda y: y + 1), CPU, 2
    ).score(image, brain)
    assert torch.allclose(result.imagined[brain], 3 * image[brain])
    assert torch.allclose(result.returned[brain], 3 * image[brain] + 1)
    assert torch.allclose(result.anomaly[brain], (2 * image[brain] + 1).abs(), atol=1e-5)


class TestPartialDiffusion:
    def test_perfect_denoiser_returns_the_image(self, image: Tensor) -> None:
        """A network that knows x finds the noise exactly, at any level and number of steps."""
        scheduler = MaskedDiffusionScheduler(prediction_type="epsilon")

        def network(noisy: Tensor, timesteps: Tensor) -> Tensor:
            level = scheduler.level(int(timesteps[0]))
            return (noisy - level**0.5 * image) / (1 - level) ** 0.5

        for level, steps in ((1, 1), (50, 1), (250, 5), (1000, 3)):
            returned = PartialDiffusionInferer(scheduler, level, steps)(image, network)
            assert torch.allclose(returned, image, atol=1e-3), (level, steps)

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

    def test_noise_belongs_to_the_slice(self, image: Tensor, brain: Tensor) -> None:
        """Batches of any size, and a volume of which some slices are skipped, see the same
        noise.
        """
        network = Function(lambda x, t: torch.zeros_like(x))
        inferer = PartialDiffusionInferer(
            MaskedDiffusionScheduler(prediction_type="epsilon"), 250, 2, seed=7
        )
        whole = DiffusionScorer(inferer, network, CPU, 5).score(image, brain).anomaly
        parts = DiffusionScorer(inferer, network, CPU, 1).score(image, brain).anomaly
        some = brain.clone()
        some[:3] = False
        last = DiffusionScorer(inferer, network, CPU, 5).score(image, some).anomaly
        assert torch.allclose(whole[brain], parts[brain])
        assert torch.allclose(whole[some], last[some])
        other = PartialDiffusionInferer(
            MaskedDiffusionScheduler(prediction_type="epsilon"), 250, 2, seed=8
        )
        assert not torch.allclose(
            DiffusionScorer(other, network, CPU, 5).score(image, brain).anomaly[brain], whole[brain]
        )

    @pytest.mark.parametrize(("level", "steps"), [(0, 1), (1001, 10), (10, 11), (10, 0)])
    def test_refused(self, level: int, steps: int) -> None:
        with pytest.raises(ValueError, match="must be between"):
            PartialDiffusionInferer(MaskedDiffusionScheduler(), level, steps)


def test_masked_translation_in_the_cycle() -> None:
    """The cycle with a translator h in the place of f: the mean of |x - g(h(x under noise))| over
    the strips that cover a voxel.
    """
    torch.manual_seed(0)
    translator = MaskedTranslator(in_channels=1, **TINY).eval()
    for parameter in translator.parameters():
        nn.init.normal_(parameter, std=0.1)
    backward = Function(lambda y: 0.5 * y)
    image = torch.randn(2, 1, 32, 32)
    settings = CycleSettings(steps=1, stride=16)
    inferer = MaskedCycleInferer(MaskedDiffusionScheduler(), settings, 8, seed=3)
    found = (
        CycleScorer(inferer, translator, backward, CPU)
        .score(image, torch.ones_like(image, dtype=torch.bool))
        .anomaly
    )
    numbers, total, count = torch.arange(2), torch.zeros_like(image), torch.zeros_like(image)
    for index, mask in enumerate(settings.masks((32, 32))):
        noise = normal_noise(3, numbers, torch.full_like(numbers, index), 0, CONDITION, (32, 32))
        condition = masked_condition(image, mask, noise)
        with torch.no_grad():
            returned = 0.5 * translator(torch.cat([condition, condition], dim=1))
        total += mask * (image - returned).abs()
        count += mask
    assert torch.allclose(found, total / count, atol=1e-5)
