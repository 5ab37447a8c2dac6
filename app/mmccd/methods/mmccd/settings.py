"""Settings of the masked cycle, and what the two readings of the paper make of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from torch import Tensor

from mmccd.imaging import Sides
from mmccd.methods.mmccd.masks import ORIENTATIONS, strip_masks
from mmccd.models import MaskedDiffusionScheduler

SIGNS = ("both", "brighter", "darker")
HIDINGS = ("strips", "veil", "both")
MOST_VEIL_SD = 1.5

_LATER = ("hiding", "veil_sd", "draws", "level")
"""Fields that came after the first calibrations: absent from a dictionary where they have their
defaults, so that keys from before stay valid."""


@dataclass(frozen=True)
class CycleSettings:
    """How the cycle is run: everything that changes the map, except for weights, precision and
    seed.

    Attributes:
        reading: ``"paper"`` or ``"code"``, where the two differ (docs/how_it_works.md): which
            positions the strips have, whether the noise under the mask is drawn anew at each step,
            which timesteps DDIM takes, absolute or squared error.
        steps: sampling steps, 1 to 1000 (``code``: 100).
        stride: distance of neighbouring strips in pixels.
        width: thickness of a strip in pixels.
        orientations: ``"horizontal"``, ``"vertical"`` or both.
        sampler: ``"ddim"`` (eta 0) or ``"ancestral"`` (eta 1, all 1000 steps).
        rounds: 1, or more: each further round hides, beside the strip, the region that the round
            before found suspicious (:func:`~mmccd.methods.suspicious_region`),
            until that region stays as it is.
        suspicious_sd: how many standard deviations of the slice are suspicious; without meaning for
            one round.
        sign: which differences count: ``"both"`` (Eq. 10), or only where the input is
            ``"brighter"`` or ``"darker"`` than the reconstructed image. On FLAIR most lesions are
            brighter, and healthy fluid is what is reconstructed too bright.
        other_side: weight, 0 to 1, of the differences on the side that ``sign`` does not name: 0
            leaves them out, 1 is ``"both"``, for which the weight has no meaning. Part of a tumour
            may be darker than its surroundings on FLAIR, and so is healthy fluid, which is why the
            two sides need not count alike.
        hiding: what f does not see: ``"strips"`` of the slice one after the other (Alg. 2);
            the whole slice behind a ``"veil"``, partial noise on everything; or ``"both"``, half
            and half. ``stride``, ``width``, ``orientations``, ``rounds`` and ``suspicious_sd`` have
            no meaning for the veil.
        veil_sd: standard deviation of the veil, 0 to 1.5, in units of the normalised image: f sees
            x + veil_sd * eps; 0 is clear sight. Without meaning for strips.
        draws: how many draws of y_T and of the veil x' is the mean of, 1 or more; without a veil's
            noise the draws differ in y_T. Without meaning for strips.
        level: whether x' is brought to the slice's own level before it is subtracted from x
            (:func:`~mmccd.methods.mmccd.level.levelled`): the error then lacks what is
            smooth over the brain, such as a bias field. x' itself stays as g returned it.
    """

    reading: str = "paper"
    steps: int = 100
    stride: int = 2
    width: int = 16
    orientations: tuple[str, ...] = ORIENTATIONS
    sampler: str = "ddim"
    sign: str = "both"
    rounds: int = 1
    suspicious_sd: float = 1.0
    other_side: float = 0.0
    hiding: str = "strips"
    veil_sd: float = 0.0
    draws: int = 1
    level: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "orientations", tuple(self.orientations))
        if self.reading not in ("paper", "code"):
            raise ValueError(f"reading must be 'paper' or 'code', got {self.reading!r}")
        if self.sampler not in ("ddim", "ancestral"):
            raise ValueError(f"sampler must be 'ddim' or 'ancestral', got {self.sampler!r}")
        if self.sign not in SIGNS:
            raise ValueError(f"sign must be one of {', '.join(SIGNS)}, got {self.sign!r}")
        if not 0 <= self.other_side <= 1:
            raise ValueError(f"other_side must be 0 to 1, got {self.other_side}")
        if self.rounds < 1 or not self.suspicious_sd > 0:
            raise ValueError(
                f"rounds must be 1 or more and suspicious_sd above 0, got {self.rounds} and"
                f" {self.suspicious_sd}"
            )
        if self.sampler == "ancestral" and (self.steps != 1000 or self.reading != "paper"):
            raise ValueError("ancestral sampling runs all 1000 steps, in the 'paper' reading")
        self._check_hiding()

    def _check_hiding(self) -> None:
        if self.hiding not in HIDINGS:
            raise ValueError(f"hiding must be one of {', '.join(HIDINGS)}, got {self.hiding!r}")
        if not 0 <= self.veil_sd <= MOST_VEIL_SD:
            raise ValueError(f"veil_sd must be 0 to {MOST_VEIL_SD}, got {self.veil_sd}")
        if type(self.draws) is not int or self.draws < 1:
            raise ValueError(f"draws must be a whole number, 1 or more, got {self.draws!r}")
        if not isinstance(self.level, bool):
            raise ValueError(f"level must be true or false, got {self.level!r}")

    @property
    def has_strips(self) -> bool:
        """Whether strips are hidden."""
        return self.hiding != "veil"

    @property
    def has_veil(self) -> bool:
        """Whether the whole slice is hidden behind a veil."""
        return self.hiding != "strips"

    @property
    def redraws_noise(self) -> bool:
        """Whether the noise under the mask is drawn anew at each step."""
        return self.reading == "code"

    @property
    def sides(self) -> Sides:
        """Which differences count."""
        return Sides(self.sign, self.other_side)

    def masks(self, size: tuple[int, int]) -> Tensor:
        """The strip masks of this reading, bool ``(masks, height, width)``."""
        border = "full" if self.reading == "paper" else "cut"
        return strip_masks(size, self.width, self.stride, border, self.orientations)

    def sampling(self, scheduler: MaskedDiffusionScheduler) -> MaskedDiffusionScheduler:
        """The same noise schedule with this reading's timesteps set.

        Raises:
            ValueError: a number of steps that the reading does not know.
        """
        chosen = scheduler.with_sampling(eta=1.0 if self.sampler == "ancestral" else 0.0)
        if self.reading == "code":
            chosen.follow(code_timesteps(self.steps, chosen.num_train_timesteps))
        else:
            chosen.set_timesteps(self.steps)
        return chosen

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without those of ``hiding``, ``veil_sd``, ``draws`` and ``level``
        that are the defaults.
        """
        later = {field.name: field.default for field in fields(self) if field.name in _LATER}
        values = {**asdict(self), "orientations": list(self.orientations)}
        return {
            name: value
            for name, value in values.items()
            if name not in later or value != later[name]
        }


def code_timesteps(steps: int, total: int) -> list[int]:
    """The public code's timesteps: 990, 980, ..., 0 of 1000.

    Args:
        steps: their number, a tenth of ``total``.
        total: T.

    Raises:
        ValueError: another number of steps.
    """
    if steps * 10 != total:
        raise ValueError(f"the public code's spacing knows {total // 10} steps only, got {steps}")
    return list(range(total - 10, -1, -10))
