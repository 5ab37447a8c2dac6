"""The weights that a preset lists, for a target, with what belongs to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from mmccd.bundle.calibration import ALGORITHM, Calibration, CalibrationKey
from mmccd.bundle.calibrations import find_calibration
from mmccd.bundle.find import find_bundle
from mmccd.bundle.presets import Preset, preset_names, read_preset, read_presets
from mmccd.bundle.weights import Weights, list_weights
from mmccd.core import Finding, ModelError, UsageError
from mmccd.imaging import Normalisation
from mmccd.models import has_fast_bf16

SOURCE = "flair"
FALLBACK_TARGETS = ("t2", "t1")
_BACK = "backward"
"""The one name whose weights go from the target to the source."""


@dataclass(frozen=True)
class ModelSet:
    """Named weights that were made for each other, and all presets.

    Attributes:
        root: folder of the bundles.
        source: modality of the input.
        target: modality that the forward weights imagine.
        weights: by name, in the order in which the preset lists them.
        presets: by name.
        warnings: what the user should know about the choice.
    """

    root: Path
    source: str
    target: str
    weights: Mapping[str, Weights]
    presets: Mapping[str, Preset]
    warnings: tuple[Finding, ...] = ()

    @property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of each weight file, by name."""
        return {name: weights.sha256 for name, weights in self.weights.items()}

    def normalisation(self, modality: str) -> Normalisation:
        """How images of a modality have to be normalised: as in the training of all weights.

        Raises:
            ModelError: the cards do not say.
        """
        return next(iter(self.weights.values())).normalisation(modality)

    def preset(self, name: str) -> Preset:
        """A preset by its name.

        Raises:
            UsageError: unknown.
        """
        if name not in self.presets:
            raise UsageError(
                f"--preset {name}: unknown; expected one of {', '.join(self.presets)}",
                code="usage.preset",
            )
        return self.presets[name]

    def with_preset(self, preset: Preset) -> ModelSet:
        """The same with another preset of that name."""
        return replace(self, presets={**self.presets, preset.name: preset})

    def for_preset(self, preset: Preset) -> ModelSet:
        """The same with the weights that a preset lists.

        Raises:
            ModelError: some are not there, or do not belong together.
        """
        if tuple(self.weights) == preset.weights:
            return self
        weights = _choose(self.root, preset.weights, self.source, self.target)
        warnings = dict.fromkeys((*self.warnings, *_research_warnings(weights.values())))
        return replace(self, weights=weights, warnings=tuple(warnings))

    def key(self, preset: Preset, precision: str) -> CalibrationKey:
        """Key of the calibration for a preset."""
        return CalibrationKey(
            self.target,
            preset.method,
            preset.settings(),
            precision,
            self.for_preset(preset).hashes,
            ALGORITHM,
        )

    def stored_calibration(self, preset: Preset, precision: str) -> tuple[Path, Calibration] | None:
        """The calibration that fits to these weights and settings, and the file that holds it.

        Raises:
            ModelError: a file of calibrations is damaged.
        """
        return find_calibration(self.root, preset.name, self.key(preset, precision))

    def calibration(self, preset: Preset, precision: str) -> Calibration | None:
        """The calibration that fits to these weights and settings, or None; raises as
        :meth:`stored_calibration`.
        """
        found = self.stored_calibration(preset, precision)
        return found[1] if found else None

    def choose_precision(self, preset: Preset, *devices: torch.device) -> str:
        """``auto`` is bf16 where the hardware of all devices has it and a calibration for it
        exists, else fp32.
        """
        if preset.precision != "auto":
            return preset.precision
        fast = all(map(has_fast_bf16, devices)) and self.calibration(preset, "bf16") is not None
        return "bf16" if fast else "fp32"


def load_models(
    root: Path, target: str | None = None, source: str = SOURCE, preset: str | None = None
) -> ModelSet:
    """Choose the weights that a preset lists, for a target modality.

    Args:
        root: see :func:`~mmccd.bundle.find.find_bundles`.
        target: modality that is imagined; None: t2 where its weights are there, else t1 with a
            warning.
        source: modality of the input.
        preset: name of the preset; None for the first one.

    Raises:
        ModelError: no weights for the target, weights that do not belong together, or a damaged
            preset.
        UsageError: unknown preset.
    """
    names = read_preset(root, preset or preset_names(root)[0]).weights
    warnings: tuple[Finding, ...] = ()
    if target is None:
        target, warnings = _default_target(root, names[0], source)
    weights = _choose(root, names, source, target)
    warnings += tuple(_research_warnings(weights.values()))
    return ModelSet(root, source, target, weights, read_presets(root), warnings)


def _default_target(root: Path, name: str, source: str) -> tuple[str, tuple[Finding, ...]]:
    """The first usual target for which there are weights of that name, and a warning where it is
    not the default one.
    """
    there = {weights.direction for weights in list_weights(find_bundle(root, name))}
    usual = FALLBACK_TARGETS[0]
    target = next((entry for entry in FALLBACK_TARGETS if (source, entry) in there), usual)
    if target == usual:
        return target, ()
    text = f"no weights for the default target {usual}; {target} was taken"
    return target, (Finding("model.other_target", text),)


def _choose(root: Path, names: Iterable[str], source: str, target: str) -> dict[str, Weights]:
    weights = {name: _pick(root, name, source, target) for name in names}
    first = next(iter(weights.values()))
    for other in weights.values():
        for modality in (source, target):
            if first.normalisation(modality) != other.normalisation(modality):
                raise ModelError(
                    f"{other.path}: expects {modality} normalised as"
                    f" {other.card['normalisation'][modality]}, {first.path} as"
                    f" {first.card['normalisation'][modality]}; expected weights that were trained"
                    " alike; train one of them again",
                    code="weights.inconsistent",
                )
    return weights


def _pick(root: Path, name: str, source: str, target: str) -> Weights:
    """The weights of that name and direction; those that ship come first."""
    bundle = find_bundle(root, name)
    direction = (target, source) if name == _BACK else (source, target)
    candidates = list_weights(bundle)
    for weights in candidates:
        if weights.direction == direction:
            return weights
    found = sorted({" to ".join(weights.direction) for weights in candidates})
    without = [
        preset for preset, settings in read_presets(root).items() if name not in settings.weights
    ]
    raise ModelError(
        f"{bundle / 'models'}: no weights from {' to '.join(direction)} (found:"
        f" {', '.join(found) or 'none'}); train the bundle and run 'mmccd export', or give other"
        f" --bundles or --target{f' or --preset {without[0]}' if without else ''}",
        code="weights.missing",
    )


def _research_warnings(weights: Iterable[Weights]) -> list[Finding]:
    texts = [
        f"research weights ({entry.direction[0]} to {entry.direction[1]}):"
        f" {entry.card.get('licence', 'non-commercial')}"
        for entry in weights
        if entry.card.get("research_only")
    ]
    return [Finding("model.research_only", text, "note") for text in texts]
