"""The cycle in front of d, from the bundles of f and g."""

from __future__ import annotations

from pathlib import Path

import torch

from mmccd.bundle import ModelSet, find_bundles, load_models
from mmccd.core import ModelError
from mmccd.imaging import Normalisation
from mmccd.methods import Context, CycleScorer, MaskedCycle
from mmccd.models import choose_precision, to_device
from mmccd.training.decision.returned import OneStepCycle

_ANY_PRESET = "full"
"""Of its weights f and g are taken."""


def load_cycle(
    bundles_root: str | Path | None,
    source: str,
    target: str,
    veil_sd: float = 0.5,
    device: torch.device | str = "cpu",
    precision: str = "auto",
) -> OneStepCycle:
    """f and g as d meets them in training.

    Args:
        bundles_root: folder of the bundles, see :func:`~mmccd.bundle.find_bundles`.
        source: contrast of x.
        target: contrast that f imagines.
        veil_sd: noise on the condition.
        device: where f and g run.
        precision: ``"auto"``, ``"fp32"`` or ``"bf16"``.

    Raises:
        ModelError: no such bundles or weights, damaged ones, or ones that expect slices other than
            those that anomalies are painted on.
        UsageError: an unknown precision.
    """
    place = torch.device(device)
    chosen = choose_precision(precision, place)
    models = load_models(find_bundles(bundles_root), target, source, _ANY_PRESET)
    _check_normalisation(models)
    forward, backward = (
        to_device(models.weights[name].load_network(), place, chosen)
        for name in ("forward", "backward")
    )
    for network in (forward, backward):
        network.requires_grad_(False)
    return OneStepCycle(forward, backward, veil_sd, precision=chosen, hashes=models.hashes)


def _check_normalisation(models: ModelSet) -> None:
    expected, found = Normalisation.for_modality(models.source), models.normalisation(models.source)
    if found != expected:
        raise ModelError(
            f"{models.weights['forward'].path}: expects {models.source} normalised as"
            f" {found.as_dict()}, expected {expected.as_dict()}, on which anomalies are painted;"
            " give other --bundles",
            code="weights.inconsistent",
        )


def preset_cycle(
    bundles_root: str | Path | None,
    source: str,
    target: str,
    preset: str,
    seed: int = 0,
    batch_size: int = 16,
    device: torch.device | str = "cpu",
    precision: str = "auto",
) -> CycleScorer:
    """f and g as d meets them in ``mmccd predict``: the cycle of a preset.

    Args:
        bundles_root, source, target, device, precision: see :func:`load_cycle`.
        preset: name of the preset.
        seed: seed of all noise.
        batch_size: slices per pass.

    Raises:
        ModelError: no such bundles or weights, or damaged ones.
        UsageError: an unknown preset or precision.
    """
    place = torch.device(device)
    models = load_models(find_bundles(bundles_root), target, source, preset)
    context = Context(
        source,
        target,
        models.weights,
        place,
        models.preset(preset).cycle,
        batch_size=batch_size,
        seed=seed,
    )
    return MaskedCycle(precision=choose_precision(precision, place)).build(context)
