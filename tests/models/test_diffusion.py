"""mmccd.models.diffusion: the schedule, the sampler against closed forms, and the training
batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from monai.engines.utils import DiffusionPrepareBatch
from monai.inferers import DiffusionInferer
from torch import Tensor

from mmccd.models.schedule import MaskedDiffusionScheduler, masked_condition
from mmccd.training.batches import MaskedDiffusionPrepareBatch

LINEAR = {"beta_start": 1e-4, "beta_end": 2e-2}
BETAS = np.linspace(1e-4, 2e-2, 1000)
ABAR = np.cumprod(1 - BETAS)
MEAN, SPREAD = 2.0, 0.3


def scheduler(steps: int | None = None, **settings: object) -> MaskedDiffusionScheduler:
    """The published schedule, with its timesteps set where ``steps`` is given."""
    made = MaskedDiffusionScheduler(**LINEAR, **settings)  # type: ignore[arg-type]
    if steps is not None:
        made.set_timesteps(steps)
    return made


def trailing(steps: int) -> list[int]:
    """Timesteps that end where training began to add noise: T, T - T/n, ... rounded, less one."""
    return [int(t) - 1 for t in np.linspace(1000, 0, steps, endpoint=False).round()]


def gaussian_denoiser(abar: float) -> tuple[float, float]:
    """(slope, offset) of E[y_0 | y_t] for y_0 ~ N(MEAN, SPREAD^2): the regression line of y_0 on
    y_t.
    """
    slope = math.sqrt(abar) * SPREAD**2 / (abar * SPREAD**2 + 1 - abar)
    return slope, MEAN - slope * math.sqrt(abar) * MEAN


def gaussian_ddim(timesteps: list[int]) -> tuple[float, float]:
    """(slope, offset) of the whole deterministic reverse process, composed in float64; each step is
    affine in y_t.
    """
    total_slope, total_offset = 1.0, 0.0
    for now, following in zip(timesteps, [*timesteps[1:], None], strict=True):
        abar, next_abar = ABAR[now], 1.0 if following is None else ABAR[following]
        slope, offset = gaussian_denoiser(abar)
        ratio = math.sqrt((1 - next_abar) / (1 - abar))
        step_slope = math.sqrt(next_abar) * slope + ratio * (1 - math.sqrt(abar) * slope)
        step_offset = (math.sqrt(next_abar) - ratio * math.sqrt(abar)) * offset
        total_slope, total_offset = (
            step_slope * total_slope,
            step_slope * total_offset + step_offset,
        )
    return total_slope, total_offset


def run_sampler(chosen: MaskedDiffusionScheduler, start: Tensor) -> Tensor:
    """The reverse process with the exact denoiser of the Gaussian."""
    image = start
    for timestep in chosen.timesteps.tolist():
        slope, offset = gaussian_denoiser(ABAR[timestep])
        image, _ = chosen.step(slope * image + offset, timestep, image)
    return image


def test_betas_are_linear() -> None:
    made = scheduler()
    np.testing.assert_allclose(made.betas.numpy(), BETAS, rtol=1e-6)
    np.testing.assert_allclose(made.alphas_cumprod.numpy(), ABAR, rtol=1e-5)
    assert made.level(-1) == 1.0
    assert 1 - made.level(0) == pytest.approx(1e-4, rel=1e-5), (
        "the smallest noise level keeps its digits"
    )


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (1, [999]),
        (3, [999, 666, 332]),
        (10, list(range(999, 0, -100))),
        (100, list(range(999, 0, -10))),
        (1000, list(range(999, -1, -1))),
    ],
)
def test_timesteps(steps: int, expected: list[int]) -> None:
    made = scheduler(steps)
    assert made.timesteps.tolist() == expected
    assert made.timesteps.dtype == torch.int64
    assert made.num_inference_steps == steps


@pytest.mark.parametrize("steps", [2, 7, 13, 64, 333, 999])
def test_trailing_timesteps_are_distinct_and_start_at_the_last(steps: int) -> None:
    chosen = scheduler(steps).timesteps.tolist()
    assert chosen == trailing(steps)
    assert len(set(chosen)) == steps
    assert chosen[0] == 999


@pytest.mark.parametrize("steps", [0, 1001, -1])
def test_refuses_other_numbers_of_steps(steps: int) -> None:
    with pytest.raises(ValueError, match="steps"):
        scheduler(steps)


@pytest.mark.parametrize("timesteps", [[], [1000, 5], [5, 5], [3, 4], [3, -1]])
def test_refuses_timesteps_that_do_not_fall(timesteps: list[int]) -> None:
    with pytest.raises(ValueError, match="timesteps must fall"):
        scheduler().follow(timesteps)


@pytest.mark.parametrize(
    ("steps", "levels", "expected"),
    [
        (5, 250, [249, 199, 149, 99, 49]),
        (1, 250, [249]),
        (3, 3, [2, 1, 0]),
        (4, 1000, [999, 749, 499, 249]),
    ],
)
def test_starts_below_some_levels(steps: int, levels: int, expected: list[int]) -> None:
    """Where an image is noised in part only; the last step still lands on the noise-free image."""
    chosen = scheduler(1)
    chosen.set_timesteps(steps, levels=levels)
    assert chosen.timesteps.tolist() == expected
    truth = torch.full((1, 1, 2, 2), 0.7)
    image = truth
    for timestep in chosen.timesteps.tolist():
        image, _ = chosen.step(truth, timestep, image)
    assert torch.allclose(image, truth)


@pytest.mark.parametrize("levels", [0, 1001])
def test_refuses_other_numbers_of_levels(levels: int) -> None:
    with pytest.raises(ValueError, match="levels"):
        scheduler().set_timesteps(1, levels=levels)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"eta": 1.1}, "eta"),
        ({"eta": -0.1}, "eta"),
        ({"prediction_type": "x"}, "prediction_type"),
    ],
)
def test_refuses_unknown_settings(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MaskedDiffusionScheduler(**settings)  # type: ignore[arg-type]


def test_refuses_a_timestep_that_was_not_set() -> None:
    image = torch.zeros(1, 1, 2, 2)
    with pytest.raises(ValueError, match="998"):
        scheduler(10).step(image, 998, image)


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 10, 100, 1000])
def test_sampler_follows_the_closed_form_of_a_gaussian(steps: int) -> None:
    start = torch.randn(4096, generator=torch.Generator().manual_seed(0))
    result = run_sampler(scheduler(steps), start).double()
    slope, offset = gaussian_ddim(trailing(steps))
    expected = slope * start.double() + offset
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-4)
    assert float(result.mean()) == pytest.approx(float(expected.mean()), abs=1e-5)
    assert float(result.std()) == pytest.approx(float(expected.std()), abs=1e-5)


def test_chosen_timesteps_follow_the_closed_form_too() -> None:
    start = torch.randn(4096, generator=torch.Generator().manual_seed(0))
    slope, offset = gaussian_ddim(list(range(990, -1, -10)))
    chosen = scheduler()
    chosen.follow(range(990, -1, -10))
    result = run_sampler(chosen, start).double()
    torch.testing.assert_close(result, slope * start.double() + offset, rtol=0, atol=1e-4)


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 7, 10, 100])
def test_few_steps_have_the_right_mean(steps: int) -> None:
    noise = torch.randn(4096, generator=torch.Generator().manual_seed(0))
    noise = (noise - noise.mean()) / noise.std()
    abar = ABAR[999]
    start = math.sqrt(abar) * MEAN + math.sqrt(abar * SPREAD**2 + 1 - abar) * noise
    assert float(run_sampler(scheduler(steps), start).mean()) == pytest.approx(MEAN, abs=1e-4), (
        "from q(y_T)"
    )
    assert float(run_sampler(scheduler(steps), noise).mean()) == pytest.approx(MEAN, abs=4e-3), (
        "from N(0, 1), as Alg. 2 starts"
    )


def test_many_steps_have_the_right_spread() -> None:
    start = torch.randn(4096, generator=torch.Generator().manual_seed(0))
    result = run_sampler(scheduler(1000), start)
    assert float(result.std()) == pytest.approx(SPREAD * float(start.std()), rel=0.02)


@pytest.mark.parametrize("timestep", [999, 998, 500, 10, 1, 0])
def test_eta_one_with_all_steps_is_the_posterior_of_ddpm(timestep: int) -> None:
    generator = torch.Generator().manual_seed(timestep)
    original, image, noise = (torch.randn(2, 1, 3, 3, generator=generator) for _ in range(3))
    made = scheduler(1000, eta=1.0)
    following = ABAR[timestep - 1] if timestep else 1.0
    beta, abar = BETAS[timestep], ABAR[timestep]
    mean = (
        math.sqrt(following) * beta / (1 - abar) * original
        + math.sqrt(1 - beta) * (1 - following) / (1 - abar) * image
    )
    variance = (1 - following) / (1 - abar) * beta
    without, predicted = made.step(original, timestep, image, noise=torch.zeros_like(noise))
    with_noise, _ = made.step(original, timestep, image, noise=noise)
    assert torch.equal(predicted, original)
    torch.testing.assert_close(without, mean, rtol=0, atol=2e-5)
    torch.testing.assert_close(
        with_noise - without, math.sqrt(variance) * noise, rtol=1e-4, atol=2e-6
    )


def test_ancestral_sampling_reaches_the_distribution() -> None:
    torch.manual_seed(0)
    result = run_sampler(scheduler(1000, eta=1.0), torch.randn(4096))
    assert float(result.mean()) == pytest.approx(MEAN, abs=4 * SPREAD / 64)
    assert float(result.std()) == pytest.approx(SPREAD, rel=0.06)


def test_added_noise_is_reproducible_and_eta_can_be_overridden() -> None:
    image = torch.randn(1, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    made = scheduler(10, eta=1.0)
    first, second = (
        made.step(image, 999, image, generator=torch.Generator().manual_seed(1))[0]
        for _ in range(2)
    )
    assert torch.equal(first, second)
    plain = scheduler(10).step(image, 999, image)[0]
    assert torch.equal(made.step(image, 999, image, eta=0.0)[0], plain)
    assert not torch.allclose(first, plain)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_add_noise_is_the_marginal_and_leaves_the_schedule_alone(dtype: torch.dtype) -> None:
    made = scheduler()
    before = made.alphas_cumprod.clone()
    generator = torch.Generator().manual_seed(0)
    original, noise = (torch.randn(4, 1, 5, 5, generator=generator).to(dtype) for _ in range(2))
    timesteps = torch.tensor([0, 1, 500, 999])
    noisy = made.add_noise(original, noise, timesteps)
    assert noisy.dtype == dtype
    abar = torch.from_numpy(ABAR[timesteps.numpy()]).view(-1, 1, 1, 1)
    expected = abar.sqrt() * original.double() + (1 - abar).sqrt() * noise.double()
    torch.testing.assert_close(
        noisy.double(),
        expected,
        rtol=0,
        atol=1e-6 if dtype == torch.float32 else 4 * torch.finfo(dtype).eps,
    )
    assert made.alphas_cumprod.dtype == before.dtype
    assert torch.equal(made.alphas_cumprod, before)


@pytest.mark.parametrize("timestep", [999, 500, 99])
def test_prediction_types_agree(timestep: int) -> None:
    generator = torch.Generator().manual_seed(0)
    original, noise = (torch.randn(1, 1, 4, 4, generator=generator).double() for _ in range(2))
    signal, spread = (
        math.sqrt(scheduler().level(timestep)),
        math.sqrt(1 - scheduler().level(timestep)),
    )
    image = signal * original + spread * noise
    outputs = {
        "sample": original,
        "epsilon": noise,
        "v_prediction": signal * noise - spread * original,
    }
    for name, output in outputs.items():
        made = scheduler(1000, prediction_type=name)
        result, predicted = made.step(output, timestep, image)
        abar = ABAR[timestep - 1]
        torch.testing.assert_close(predicted, original, rtol=0, atol=1e-9, msg=name)
        torch.testing.assert_close(
            result,
            math.sqrt(abar) * original + math.sqrt(1 - abar) * noise,
            rtol=0,
            atol=1e-5,
            msg=name,
        )


def test_with_sampling_leaves_the_first_alone() -> None:
    first = scheduler(10)
    second = first.with_sampling(eta=1.0)
    second.set_timesteps(100)
    assert (first.eta, len(first.timesteps)) == (0.0, 10)
    assert (second.eta, len(second.timesteps)) == (1.0, 100)
    assert torch.equal(first.alphas_cumprod, second.alphas_cumprod)


def test_masked_condition_is_noise_under_the_mask_only() -> None:
    source, noise = torch.full((2, 1, 4, 4), 7.0), torch.full((2, 1, 4, 4), -1.0)
    mask = torch.zeros(2, 1, 4, 4, dtype=torch.bool)
    mask[0, :, 1:3] = True
    condition = masked_condition(source, mask, noise)
    assert torch.equal(condition[mask], noise[mask])
    assert torch.equal(condition[~mask], source[~mask])


@pytest.fixture
def batch() -> dict[str, Tensor]:
    """A source and a target that share no value."""
    generator = torch.Generator().manual_seed(0)
    return {
        "image": torch.rand(12, 1, 24, 40, generator=generator),
        "label": 5 + torch.rand(12, 1, 24, 40, generator=generator),
    }


def test_prepared_batch_is_that_of_algorithm_1(batch: dict[str, Tensor]) -> None:
    torch.manual_seed(0)
    image, target, arguments, named = MaskedDiffusionPrepareBatch(strip_width=6)(batch)
    assert torch.equal(image, batch["label"])
    assert torch.equal(target, batch["label"])
    assert arguments == ()
    assert set(named) == {"noise", "timesteps", "condition", "mode"}
    assert named["mode"] == "concat"
    assert named["noise"].shape == image.shape
    assert named["timesteps"].shape == (12,)
    assert named["timesteps"].dtype == torch.int64
    changed = named["condition"] != batch["image"]
    for one in changed[:, 0]:
        rows, columns = one.all(1), one.all(0)
        strip = rows[:, None] | columns[None, :]
        assert torch.equal(one, strip), "different inside one strip, equal outside"
        assert sorted([int(rows.sum()), int(columns.sum())]) == [0, 6]
    inside = named["condition"][changed]
    assert abs(float(inside.mean())) < 5 / math.sqrt(len(inside))
    assert not (named["condition"] == named["noise"]).any(), (
        "the noise under the mask is not that of y_t"
    )


def test_prepared_batches_draw_strip_widths(batch: dict[str, Tensor]) -> None:
    torch.manual_seed(0)
    prepare = MaskedDiffusionPrepareBatch(strip_width=[4, 6])
    widths = set()
    for _ in range(5):
        changed = (prepare(batch)[3]["condition"] != batch["image"])[:, 0]
        widths |= {int(one.all(1).sum() + one.all(0).sum()) for one in changed}
    assert widths == {4, 5, 6}


def test_strip_widths_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="strip width"):
        MaskedDiffusionPrepareBatch(strip_width=[6, 4])


def test_prepared_batches_draw_all_timesteps(batch: dict[str, Tensor]) -> None:
    torch.manual_seed(0)
    prepare = MaskedDiffusionPrepareBatch(num_train_timesteps=8, strip_width=4)
    drawn = torch.cat([prepare(batch)[3]["timesteps"] for _ in range(10)])
    assert sorted(set(drawn.tolist())) == list(range(8))


def test_works_in_the_trainers_inferer(batch: dict[str, Tensor]) -> None:
    torch.manual_seed(0)
    image, _, arguments, named = MaskedDiffusionPrepareBatch(strip_width=6)(batch)
    made = scheduler()
    seen: dict[str, Tensor] = {}

    def network(x: Tensor, timesteps: Tensor, context: Tensor | None = None) -> Tensor:
        seen.update(x=x, timesteps=timesteps)
        return x[:, :1]

    output = DiffusionInferer(made)(image, network, *arguments, **named)  # type: ignore[arg-type]
    noisy = made.add_noise(image, named["noise"], named["timesteps"])
    assert torch.equal(seen["x"], torch.cat([noisy, named["condition"]], dim=1)), (
        "f sees (y_t, x_r)"
    )
    assert torch.equal(seen["timesteps"], named["timesteps"])
    assert torch.equal(output, noisy)


def test_works_in_the_samplers_inferer() -> None:
    start, condition = (
        torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0)),
        torch.full((2, 1, 8, 8), 3.0),
    )
    made = scheduler(4)

    def network(x: Tensor, timesteps: Tensor, context: Tensor | None = None) -> Tensor:
        return x[:, 1:] / 2

    result = DiffusionInferer(made).sample(
        start, network, made, conditioning=condition, mode="concat", verbose=False
    )  # type: ignore[arg-type]
    torch.testing.assert_close(result, condition / 2)


@pytest.mark.parametrize(
    ("config", "check"),
    [
        (
            {
                "_target_": "mmccd.models.schedule.MaskedDiffusionScheduler",
                "num_train_timesteps": 1000,
                "eta": 0.5,
                **LINEAR,
            },
            lambda made: isinstance(made, MaskedDiffusionScheduler) and made.eta == 0.5,
        ),
        (
            {"_target_": "mmccd.training.batches.MaskedDiffusionPrepareBatch", "strip_width": 8},
            lambda made: isinstance(made, MaskedDiffusionPrepareBatch) and made.strip_width == 8,
        ),
    ],
)
def test_can_be_made_by_a_bundle(
    config: dict[str, object], check: Callable[[object], bool]
) -> None:
    assert check(ConfigParser({"part": config}).get_parsed_content("part"))


class TestTimesteps:
    """How t is drawn in training."""

    images = torch.zeros(20_000, 1, 1, 1)

    def draw(self, bias: float) -> torch.Tensor:
        torch.manual_seed(0)
        return MaskedDiffusionPrepareBatch(1000, high_noise_bias=bias).get_timesteps(self.images)

    @pytest.mark.parametrize(("bias", "mean"), [(0.0, 0.5), (1.0, 2 / 3), (3.0, 0.8)])
    def test_density_grows_as_a_power(self, bias: float, mean: float) -> None:
        """The mean of the density (b + 1) t^b on [0, 1] is (b + 1)/(b + 2)."""
        drawn = self.draw(bias)
        assert drawn.dtype == torch.int64
        assert int(drawn.min()) >= 0
        assert int(drawn.max()) == 999
        assert float(drawn.float().mean()) / 1000 == pytest.approx(mean, abs=0.01)

    def test_no_bias_draws_as_monai_does(self) -> None:
        torch.manual_seed(0)
        expected = DiffusionPrepareBatch(1000).get_timesteps(self.images)
        assert torch.equal(self.draw(0.0), expected)

    def test_negative_bias(self) -> None:
        with pytest.raises(ValueError, match="-1"):
            MaskedDiffusionPrepareBatch(high_noise_bias=-1)
