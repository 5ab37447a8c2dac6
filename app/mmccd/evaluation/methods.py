"""The methods that can be compared, by name: each a scorer with the normalisation it wants and the
key of everything its maps depend on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mmccd.bundle import Loadable, find_run, find_translator, load_models, read_preset
from mmccd.core import ModelError, UsageError
from mmccd.imaging import Normalisation
from mmccd.methods import (
    CycleScorer,
    DiffusionScorer,
    HistogramScorer,
    IntensityScorer,
    MaskedCycleInferer,
    PartialDiffusionInferer,
    ReconstructionScorer,
    Scorer,
    TranslationCycleScorer,
)
from mmccd.models import choose_device, to_device
from mmccd.pipeline import AnomalyPipeline

TITLES = {
    "ae": "AE",
    "vae": "VAE",
    "dae": "DAE",
    "ddpm": "DDPM",
    "cyclic_unet": "Cyclic UNet",
    "masked_translation": "Masked one-step translation",
    "mmccd": "MMCCD",
    "intensity": "Intensity threshold",
    "histogram": "Histogram-equalised threshold",
}
"""Methods in the order of the paper's table, with the thresholds behind."""
SETTINGS: dict[str, dict[str, type]] = {
    "mmccd": {
        "steps": int,
        "stride": int,
        "width": int,
        "rounds": int,
        "suspicious_sd": float,
        "sign": str,
        "other_side": float,
        "precision": str,
    },
    "masked_translation": {
        "stride": int,
        "width": int,
        "rounds": int,
        "suspicious_sd": float,
        "sign": str,
        "other_side": float,
    },
    "ddpm": {"level": int, "steps": int},
}
"""What can be changed in a method's name (``mmccd:steps=1:stride=16``)."""
BRIGHT, DARK = 1, -1


@dataclass(frozen=True)
class Setup:
    """What all methods of a run share.

    Attributes:
        bundles: folder that holds both bundles.
        runs: folder of the baselines' training runs.
        source: modality that is scored.
        target: modality that f imagines; None as in :func:`~mmccd.bundle.models.load_models`.
        preset: preset of the cycle.
        device: device name.
        seed: seed of all noise.
    """

    bundles: Path
    runs: Path
    source: str = "flair"
    target: str | None = None
    preset: str = "balanced"
    device: str = "auto"
    seed: int = 0


@dataclass(frozen=True)
class Method:
    """One row of a table, before post-processing.

    Attributes:
        name: as it was asked for, settings included.
        title: for tables and figures.
        normalisation: of the images that the scorer sees.
        key: everything that the maps depend on, for JSON.
        build: makes the scorer (loads the networks).
        polarities: whether large or small scores count as anomalous: ``(BRIGHT,)``, or both where
            validation data choose.
        sides: which side of the signed error counts in ``slice_sd``, where the score's sign is
            gone: likewise.
    """

    name: str
    title: str
    normalisation: Normalisation
    key: dict[str, Any]
    build: Callable[[], Scorer]
    polarities: tuple[int, ...] = (BRIGHT,)
    sides: tuple[int, ...] = (BRIGHT,)

    def choices(self, units: str) -> tuple[int, ...]:
        """What validation data choose from, in units of
        :class:`~mmccd.postprocessing.postprocessing.Postprocessing`.
        """
        return self.sides if units == "slice_sd" else self.polarities


def resolve_target(bundles: Path, source: str, target: str | None) -> str | None:
    """The target that was asked for, else that of the weights that are there; None where there
    are none.
    """
    if target is not None:
        return target
    try:
        return load_models(bundles, None, source).target
    except ModelError:
        return None


def expand_grid(name: str, grid: str) -> list[str]:
    """All combinations of a grid as names of methods.

    Args:
        name: one method.
        grid: settings with their values, ``"steps=1,2,4 stride=16,8"``.

    Raises:
        UsageError: a grid that cannot be read.
    """
    axes = []
    for word in grid.split():
        key, equals, values = word.partition("=")
        if not equals or not all(values.split(",")):
            raise UsageError(
                f"--grid {grid!r}: cannot read {word!r}; expected settings with their values, e.g."
                " 'steps=1,2,4 stride=16,8'"
            )
        axes.append([f"{key}={value}" for value in values.split(",")])
    if not axes:
        raise UsageError(
            "--grid is empty; expected settings with their values, e.g. 'steps=1,2,4 stride=16,8'"
        )
    return [":".join([name, *chosen]) for chosen in product(*axes)]


def make_methods(names: Iterable[str], setup: Setup) -> list[Method]:
    """Methods by their names; the weights of each are looked for at once, its networks are loaded
    when it is used.

    Args:
        names: keys of :data:`TITLES`, each with settings where wanted: ``mmccd:steps=1:stride=16``.
        setup: what they share.

    Raises:
        UsageError: an unknown method, setting or value; a name twice.
        ModelError: weights that are not there.
    """
    names = list(names)
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"--methods: {name} is given twice")
    return [_make(name, setup) for name in names]


def read_name(text: str) -> tuple[str, dict[str, Any]]:
    """The method and its settings from a name such as ``mmccd:steps=1``.

    Raises:
        UsageError: an unknown method, setting or value.
    """
    name, *words = text.split(":")
    if name not in TITLES:
        raise UsageError(f"--methods: {name!r} is unknown; expected some of {', '.join(TITLES)}")
    known, settings = SETTINGS.get(name, {}), {}
    for word in words:
        key, _, value = word.partition("=")
        if key not in known:
            raise UsageError(
                f"--methods: {name} has no setting {key!r}; expected one of"
                f" {', '.join(known) or 'none'}"
            )
        try:
            settings[key] = known[key](value)
        except ValueError as error:
            raise UsageError(f"--methods: {key}={value!r} of {name} is not a number") from error
    return name, settings


def _make(text: str, setup: Setup) -> Method:
    name, settings = read_name(text)
    title = TITLES[name] + (
        f" ({', '.join(f'{key} {value}' for key, value in settings.items())})" if settings else ""
    )
    makers: dict[str, Callable[..., Method]] = {
        "intensity": _threshold,
        "histogram": _threshold,
        "ae": _reconstruction,
        "vae": _reconstruction,
        "dae": _reconstruction,
        "ddpm": _diffusion,
        "cyclic_unet": _cyclic,
        "masked_translation": _masked,
        "mmccd": _cycle,
    }
    try:
        made = makers[name](name, settings, setup)
    except ValueError as error:
        raise UsageError(f"--methods: {text}: {error}") from error
    common = {"method": name, "source": setup.source, "normalisation": made.normalisation.as_dict()}
    sides = _sides(made.key.get("cycle", {}).get("sign", "both"), setup.source)
    return replace(made, name=text, title=title, key={**common, **made.key}, sides=sides)


def _sides(sign: str, source: str) -> tuple[int, ...]:
    """Lesions are bright on FLAIR; on other contrasts the sign of the cycle says, or validation
    data do.
    """
    named = {"brighter": (BRIGHT,), "darker": (DARK,)}
    return named.get(sign, (BRIGHT,) if source == "flair" else (BRIGHT, DARK))


def _threshold(name: str, settings: dict[str, Any], setup: Setup) -> Method:
    """Plain intensity between the 2nd and the 90th percentile of the brain; on T1 and T2 a lesion
    may be dark.
    """
    scorer = IntensityScorer() if name == "intensity" else HistogramScorer()
    polarities = (BRIGHT,) if setup.source == "flair" else (BRIGHT, DARK)
    return Method(name, name, Normalisation("range", 2.0, 90.0), {}, lambda: scorer, polarities)


def _reconstruction(name: str, settings: dict[str, Any], setup: Setup) -> Method:
    run, device = find_run(setup.runs, name, setup.source), choose_device(setup.device)
    return Method(
        name,
        name,
        run.normalisation(setup.source),
        {"weights": [run.sha256]},
        lambda: ReconstructionScorer(_placed(run, device), device),
    )


def _diffusion(name: str, settings: dict[str, Any], setup: Setup) -> Method:
    run, device = find_run(setup.runs, name, setup.source), choose_device(setup.device)
    inferer = PartialDiffusionInferer(run.load_scheduler(), seed=setup.seed, **settings)
    key = {
        "weights": [run.sha256],
        "level": inferer.level,
        "steps": inferer.steps,
        "seed": setup.seed,
    }
    return Method(
        name,
        name,
        run.normalisation(setup.source),
        key,
        lambda: DiffusionScorer(inferer, _placed(run, device), device),
    )


def _cyclic(name: str, settings: dict[str, Any], setup: Setup) -> Method:
    device, target = choose_device(setup.device), _target(name, setup)
    forward = find_translator(setup.bundles, setup.runs, setup.source, target)
    backward = find_translator(setup.bundles, setup.runs, target, setup.source)
    _check_alike(forward, backward, setup.source, target)
    return Method(
        name,
        name,
        forward.normalisation(setup.source),
        {"target": target, "weights": [forward.sha256, backward.sha256]},
        lambda: TranslationCycleScorer(_placed(forward, device), _placed(backward, device), device),
    )


def _masked(name: str, settings: dict[str, Any], setup: Setup) -> Method:
    """The masked cycle with a translator in the place of f: one step, because there is no
    diffusion.
    """
    device, target = choose_device(setup.device), _target(name, setup)
    run = find_run(setup.runs, name, setup.source, target)
    backward = find_translator(setup.bundles, setup.runs, target, setup.source)
    _check_alike(run, backward, setup.source, target)
    preset = read_preset(setup.bundles, setup.preset)
    cycle = replace(preset.cycle, steps=1, reading="paper", sampler="ddim", **settings)
    inferer = MaskedCycleInferer(run.load_scheduler(), cycle, preset.batch_size, "fp32", setup.seed)
    return Method(
        name,
        name,
        run.normalisation(setup.source),
        {
            "target": target,
            "weights": [run.sha256, backward.sha256],
            "cycle": cycle.as_dict(),
            "seed": setup.seed,
        },
        lambda: CycleScorer(inferer, _placed(run, device), _placed(backward, device), device),
    )


def _cycle(name: str, settings: dict[str, Any], setup: Setup) -> Method:
    models = load_models(setup.bundles, setup.target, setup.source, setup.preset)
    preset = models.preset(setup.preset)
    cycle = {name: value for name, value in settings.items() if name != "precision"}
    preset = replace(
        preset,
        cycle=replace(preset.cycle, **cycle),
        precision=settings.get("precision", preset.precision),
    )
    preset.cycle.masks((128, 128))  # a stride that leaves voxels uncovered is told before any work
    chosen = models.with_preset(preset)
    precision = chosen.choose_precision(preset, choose_device(setup.device))
    key = {
        "target": models.target,
        "weights": list(models.hashes.values()),
        "cycle": preset.cycle.as_dict(),
        "precision": precision,
        "seed": setup.seed,
    }
    return Method(
        name,
        name,
        models.normalisation(setup.source),
        key,
        lambda: (
            AnomalyPipeline(
                chosen, setup.preset, setup.device, seed=setup.seed, require_threshold=False
            ).scorer
        ),
    )


def _target(name: str, setup: Setup) -> str:
    if setup.target is None:
        raise UsageError(
            f"--target is missing; {name} needs to know which contrast is between (t1, t2 or flair)"
        )
    return setup.target


def _check_alike(forward: Loadable, backward: Loadable, source: str, target: str) -> None:
    for modality in (source, target):
        if forward.normalisation(modality) != backward.normalisation(modality):
            raise ModelError(
                f"{backward.path}: expects {modality} normalised in another way than {forward.path}"
                " does; expected weights that were trained alike; train one of them again"
            )


def _placed(weights: Loadable, device: torch.device) -> nn.Module:
    network: nn.Module = to_device(weights.load_network(), device, "fp32")
    return network
