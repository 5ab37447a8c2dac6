"""Noise schedule, DDIM sampler and masked condition (Eq. 8)."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

_LINEAR = "linear_beta"
_PREDICTIONS = ("epsilon", "sample", "v_prediction")


class MaskedDiffusionScheduler(nn.Module):
    """A DDIM sampler that is right for any number of steps; MONAI's ``DiffusionInferer`` takes it
    as it takes MONAI's schedulers.

    MONAI's ``DDIMScheduler`` lands on ``t - 1000 // n`` whatever timesteps it was given, which is
    wrong for few steps; here the next level is read from the list of timesteps itself, and the last
    step lands on the noise-free image.

    Formulas (12) and (16) of Song et al., "Denoising diffusion implicit models", ICLR 2021. ``eta``
    1 with all 1000 steps is ancestral sampling (Ho et al. 2020) with the posterior variance.

    Args:
        num_train_timesteps: T.
        schedule: name of MONAI's noise schedule; ``"linear_beta"`` is made without MONAI, whose
            import takes seconds.
        prediction_type: what the network predicts: ``"sample"`` (y_0 itself), ``"epsilon"`` or
            ``"v_prediction"``.
        eta: share of the posterior noise that each step adds; 0 is deterministic.
        schedule_args: arguments of the schedule (``beta_start``, ``beta_end``).

    Raises:
        ValueError: an unknown schedule or prediction type; ``eta`` outside 0 to 1.
    """

    def __init__(
        self,
        num_train_timesteps: int = 1000,
        schedule: str = _LINEAR,
        prediction_type: str = "sample",
        eta: float = 0.0,
        **schedule_args: Any,
    ) -> None:
        if not 0.0 <= eta <= 1.0:
            raise ValueError(f"eta must be between 0 and 1, got {eta}")
        if prediction_type not in _PREDICTIONS:
            raise ValueError(
                f"prediction_type must be one of {', '.join(_PREDICTIONS)}, got {prediction_type!r}"
            )
        super().__init__()
        self.num_train_timesteps, self.prediction_type = num_train_timesteps, prediction_type
        self.eta = eta
        self.settings: dict[str, Any] = {
            "num_train_timesteps": num_train_timesteps,
            "schedule": schedule,
            "prediction_type": prediction_type,
            **schedule_args,
        }
        self.betas = _betas(schedule, num_train_timesteps, **schedule_args)
        # The cumulative product in float64: 1 - abar_0 is 1e-4, and float32 keeps only three digits
        # of it.
        self.alphas_cumprod = torch.cumprod(1.0 - self.betas.double(), dim=0)
        self._levels = [float(value) for value in self.alphas_cumprod]
        self.set_timesteps(num_train_timesteps)

    def set_timesteps(
        self,
        num_inference_steps: int,
        device: str | torch.device | None = None,
        levels: int | None = None,
    ) -> None:
        """Choose evenly spaced timesteps, trailing: t_i = T - i T/n - 1 (100 steps: 999, 989, ...,
        9).

        Args:
            num_inference_steps: n, 1 to T.
            device: device of ``self.timesteps``.
            levels: start below this many of the T noise levels instead of at pure noise (250: the
                first timestep is 249).

        Raises:
            ValueError: a number of steps or levels that does not exist.
        """
        total = self.num_train_timesteps
        if levels is not None:
            if not 1 <= levels <= total:
                raise ValueError(f"levels must be between 1 and {total}, got {levels}")
            total = levels
        if not 1 <= num_inference_steps <= total:
            raise ValueError(
                f"the number of steps must be between 1 and {total}, got {num_inference_steps}"
            )
        self.follow(
            [
                round(total - i * total / num_inference_steps) - 1
                for i in range(num_inference_steps)
            ],
            device,
        )

    def follow(self, timesteps: Sequence[int], device: str | torch.device | None = None) -> None:
        """Take exactly these timesteps; the last step lands on the noise-free image.

        Args:
            timesteps: falling, each 0 to T - 1.
            device: device of ``self.timesteps``.

        Raises:
            ValueError: none, or others.
        """
        steps = list(timesteps)
        bounds = [self.num_train_timesteps, *steps, -1]
        if not steps or any(first <= second for first, second in pairwise(bounds)):
            raise ValueError(
                f"timesteps must fall from below {self.num_train_timesteps} to 0 or more, got"
                f" {steps[:5]}"
            )
        self.num_inference_steps = len(steps)
        self.timesteps = torch.tensor(steps, dtype=torch.int64, device=device)
        self._following = dict(zip(steps, [*steps[1:], -1], strict=True))

    def with_sampling(self, eta: float = 0.0) -> MaskedDiffusionScheduler:
        """The same noise schedule with another share of posterior noise, and timesteps that can be
        chosen apart; this object stays as it is.
        """
        chosen = copy.deepcopy(self)
        chosen.eta = eta
        return chosen

    def level(self, timestep: int) -> float:
        """abar_t, the share of signal variance at a timestep; 1 for t = -1, the noise-free
        image.
        """
        return 1.0 if timestep < 0 else self._levels[timestep]

    def step(
        self,
        model_output: Tensor,
        timestep: int,
        sample: Tensor,
        eta: float | None = None,
        generator: torch.Generator | None = None,
        noise: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """One reverse step, to the next of ``self.timesteps``.

        Args:
            model_output: the network's output for ``sample``.
            timestep: current timestep, a member of ``self.timesteps``.
            sample: y_t, of the same shape.
            eta: overrides the scheduler's own.
            generator: source of the added noise where ``noise`` is None.
            noise: standard normal noise for ``eta`` > 0, of the same shape.

        Returns:
            (y at the next timestep, the predicted y_0).

        Raises:
            ValueError: a timestep that is not in the list.
        """
        timestep = int(timestep)
        if timestep not in self._following:
            raise ValueError(
                f"timestep {timestep} is not one of the {self.num_inference_steps} that were set"
            )
        eta = self.eta if eta is None else eta
        now, following = self.level(timestep), self.level(self._following[timestep])
        original, epsilon = self._original_and_noise(model_output, sample, now)
        sigma = eta * ((1 - following) / (1 - now) * (1 - now / following)) ** 0.5
        result = following**0.5 * original
        if following < 1.0:
            result = result + max(1 - following - sigma**2, 0.0) ** 0.5 * epsilon
        if sigma > 0:
            if noise is None:
                noise = torch.randn(
                    sample.shape, generator=generator, device=sample.device, dtype=sample.dtype
                )
            result = result + sigma * noise
        return result, original

    def _original_and_noise(
        self, output: Tensor, sample: Tensor, level: float
    ) -> tuple[Tensor, Tensor]:
        signal, spread = level**0.5, (1 - level) ** 0.5
        if self.prediction_type == "epsilon":
            return (sample - spread * output) / signal, output
        if self.prediction_type == "v_prediction":
            return signal * sample - spread * output, signal * output + spread * sample
        return output, (sample - signal * output) / spread

    def add_noise(self, original_samples: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """q(y_t | y_0): sqrt(abar_t) y_0 + sqrt(1 - abar_t) noise, without changing the schedule's
        own precision.

        Args:
            original_samples: y_0, ``(batch, channels, height, width)``.
            noise: standard normal noise of the same shape.
            timesteps: ``(batch,)``, int64.
        """
        levels = self.alphas_cumprod.to("cpu")[timesteps.cpu()].view(
            -1, *[1] * (original_samples.ndim - 1)
        )
        signal = levels.sqrt().to(original_samples)
        spread = (1 - levels).sqrt().to(original_samples)
        return signal * original_samples + spread * noise


def _betas(schedule: str, steps: int, **arguments: Any) -> Tensor:
    """beta_t of a named schedule, float32 ``(steps,)``."""
    if schedule == _LINEAR:
        return _linear_betas(steps, **arguments)
    from monai.networks.schedulers.scheduler import NoiseSchedules

    found = NoiseSchedules[schedule](num_train_timesteps=steps, **arguments)
    betas: Tensor = found[0] if isinstance(found, tuple) else found
    return betas


def _linear_betas(steps: int, beta_start: float = 1e-4, beta_end: float = 2e-2) -> Tensor:
    return torch.linspace(beta_start, beta_end, steps, dtype=torch.float32)


def masked_condition(source: Tensor, mask: Tensor, noise: Tensor) -> Tensor:
    """x_r = (1 - m_r) x + m_r eps (Eq. 8): noise covers what f has to imagine.

    Args:
        source: x, ``(batch, 1, height, width)``.
        mask: m_r, bool, True = masked, of a shape that broadcasts to it.
        noise: standard normal noise of the shape of ``source``.
    """
    return torch.where(mask, noise, source)
