"""The pair of weights for a target, with the presets and calibrations that belong to it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from mmccd.bundle.calibration import Calibration, CalibrationKey, find_calibration
from mmccd.bundle.find import BACKWARD, FORWARD
from mmccd.bundle.presets import Preset, read_cycle_config
from mmccd.bundle.weights import Weights, list_weights
from mmccd.core import ModelError, UsageError
from mmccd.models import has_fast_bf16

SOURCE = "flair"
FALLBACK_TARGETS = ("t2", "t1")


@dataclass(frozen=True)
class BundlePair:
    """f, g and what belongs to both.

    Attributes:
        root: folder that holds the two bundles.
        forward: weights of f.
        backward: weights of g.
        presets: by name.
        calibrations: all that the forward bundle's ``cycle.json`` holds.
        warnings: what the user should know about the choice.
    """

    root: Path
    forward: Weights
    backward: Weights
    presets: dict[str, Preset]
    calibrations: tuple[Calibration, ...]
    warnings: tuple[str, ...] = ()

    @property
    def target(self) -> str:
        """Modality that f imagines."""
        return self.forward.direction[1]

    def preset(self, name: str) -> Preset:
        """A preset by its name.

        Raises:
            UsageError: unknown.
        """
        if name not in self.presets:
            raise UsageError(f"--preset {name}: unknown; expected one of {', '.join(self.presets)}")
        return self.presets[name]

    def with_preset(self, preset: Preset) -> BundlePair:
        """The same pair with another preset of that name."""
        return replace(self, presets={**self.presets, preset.name: preset})

    def key(self, preset: Preset, precision: str) -> CalibrationKey:
        """Key of the calibration for a preset."""
        return CalibrationKey(
            self.target, preset.settings(), precision, self.forward.sha256, self.backward.sha256
        )

    def calibration(self, preset: Preset, precision: str) -> Calibration | None:
        """The calibration that fits to these weights and settings, or None."""
        return find_calibration(self.calibrations, self.key(preset, precision))

    def choose_precision(self, preset: Preset, *devices: torch.device) -> str:
        """``auto`` is bf16 where the hardware of all devices has it and a calibration for it
        exists, else fp32.
        """
        if preset.precision != "auto":
            return preset.precision
        fast = all(map(has_fast_bf16, devices)) and self.calibration(preset, "bf16") is not None
        return "bf16" if fast else "fp32"


def load_pair(root: Path, target: str | None = None, source: str = SOURCE) -> BundlePair:
    """Choose the weights of both bundles for a target modality.

    Args:
        root: see :func:`find_bundles`.
        target: modality that f imagines; None: t2 where its weights are there, else t1 with a
            warning.
        source: modality of the input.

    Raises:
        ModelError: no weights for the target, or f and g do not belong together.
    """
    forward, backward = list_weights(root / FORWARD), list_weights(root / BACKWARD)
    there = [weights.direction[1] for weights in forward if weights.direction[0] == source]
    warnings: list[str] = []
    if target is None:
        target = next((name for name in FALLBACK_TARGETS if name in there), FALLBACK_TARGETS[0])
        if target in there and target != FALLBACK_TARGETS[0]:
            warnings.append(
                f"no weights for the default target {FALLBACK_TARGETS[0]}; {target} was taken"
            )
    f = _pick(forward, source, target, root / FORWARD, there)
    g = _pick(
        backward, target, source, root / BACKWARD, [weights.direction[0] for weights in backward]
    )
    for modality in (source, target):
        if f.normalisation(modality) != g.normalisation(modality):
            raise ModelError(
                f"{g.path}: expects {modality} normalised as {g.card['normalisation'][modality]}, f"
                f" as {f.card['normalisation'][modality]}; expected a pair that was trained alike;"
                " train one of them again"
            )
    for weights in (f, g):
        if weights.card.get("research_only"):
            warnings.append(
                f"research weights ({weights.direction[0]} to {weights.direction[1]}):"
                f" {weights.card.get('licence', 'non-commercial')}"
            )
    presets, calibrations = read_cycle_config(root)
    return BundlePair(root, f, g, presets, tuple(calibrations), tuple(warnings))


def _pick(
    candidates: list[Weights], source: str, target: str, bundle: Path, there: list[str]
) -> Weights:
    for weights in candidates:
        if weights.direction == (source, target):
            return weights
    raise ModelError(
        f"{bundle / 'models'}: no weights from {source} to {target} (found:"
        f" {', '.join(sorted(set(there))) or 'none'}); train the bundle and run 'mmccd export', or"
        " give other --bundles or --target"
    )
