"""The methods of a comparison, by name and settings: each with what it needs, the normalisation it
wants, and the key of everything its maps depend on.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

import torch

from mmccd.bundle import (
    ModelSet,
    Preset,
    find_run,
    find_translator,
    load_models,
    read_preset,
)
from mmccd.core import ModelError, UsageError
from mmccd.imaging import Normalisation, Sides
from mmccd.methods import (
    Chosen,
    Context,
    Method,
    Need,
    Scorer,
    TrainedWeights,
    find_method,
    method_names,
    needs_target,
)
from mmccd.models import choose_device
from mmccd.postprocessing import ROBUST_Z


@dataclass(frozen=True)
class Setup:
    """What all methods of a comparison share.

    Attributes:
        bundles: folder that holds both bundles.
        runs: folder of the baselines' training runs.
        source: modality that is scored.
        target: modality of the translated image; None as in :func:`~mmccd.bundle.load_models`.
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
class Candidate:
    """A method of a comparison, before post-processing.

    Attributes:
        name: as it was asked for, settings included.
        title: for tables and figures.
        method: the method with its settings.
        context: what it is built for.
        normalisation: of the images that the scorer sees.
        key: everything that the maps depend on, for JSON.
    """

    name: str
    title: str
    method: Method
    context: Context
    normalisation: Normalisation
    key: dict[str, Any]

    def build(self) -> Scorer:
        """The scorer (loads the networks)."""
        return self.method.build(self.context)

    def polarities(self, units: str) -> tuple[int, ...]:
        """What validation data choose from, in units of
        :class:`~mmccd.postprocessing.Postprocessing`.
        """
        return self.method.polarities(self.context.source, units == ROBUST_Z)

    @property
    def sides(self) -> Sides:
        """Which differences count in a robust z-score."""
        return self.method.sides(self.context)

    @property
    def threshold(self) -> float | None:
        """A threshold of the method's own for its map with the preset's post-processing."""
        return self.method.threshold(self.context)

    @property
    def points(self) -> Mapping[str, float]:
        """The same at each operating point that it has been calibrated for, by name."""
        return self.method.points(self.context)


def resolve_target(bundles: Path, source: str, target: str | None) -> str | None:
    """The target that was asked for, else that of the weights that are there; None where there are
    none.
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


def make_candidates(names: Iterable[str], setup: Setup) -> list[Candidate]:
    """Methods by their names; the weights of each are looked for at once, its networks are loaded
    when it is used.

    Args:
        names: of the registry, each with settings where wanted: ``mmccd:steps=1:stride=16``.
        setup: what they share.

    Raises:
        UsageError: an unknown method, setting or value; a name twice.
        ModelError: weights that are not there.
    """
    names = list(names)
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"--methods: {name} is given twice")
    store = _Store(setup)
    return [_make(name, store) for name in names]


def read_name(text: str) -> tuple[str, dict[str, Any]]:
    """The method and its settings from a name such as ``mmccd:steps=1``.

    Raises:
        UsageError: an unknown method, setting or value.
    """
    name, *words = text.split(":")
    if name not in method_names():
        raise UsageError(
            f"--methods: {name!r} is unknown; expected some of {', '.join(method_names())}"
        )
    known, settings = _setting_types(find_method(name)), {}
    for word in words:
        key, _, value = word.partition("=")
        if key not in known:
            raise UsageError(
                f"--methods: {name} has no setting {key!r}; expected one of"
                f" {', '.join(known) or 'none'}"
            )
        try:
            settings[key] = _read_value(value, known[key])
        except ValueError as error:
            expected = "true or false" if known[key] is bool else "a number"
            raise UsageError(f"--methods: {key}={value!r} of {name} is not {expected}") from error
    return name, settings


def _read_value(text: str, kind: type) -> Any:
    """A setting from its text.

    Raises:
        ValueError: it is none of that kind.
    """
    if kind is not bool:
        return kind(text)
    if text not in ("true", "false"):
        raise ValueError(f"expected true or false, got {text!r}")
    return text == "true"


def _setting_types(method: type[Method]) -> dict[str, type]:
    """Type of each of a method's settings: the first of ``int | None``."""
    hints = typing.get_type_hints(method)
    return {
        field.name: (typing.get_args(hints[field.name]) or (hints[field.name],))[0]
        for field in fields(method)
    }


def _make(text: str, store: _Store) -> Candidate:
    name, settings = read_name(text)
    try:
        method = find_method(name)(**settings)
        context = store.context(method)
        normalisation, key = method.normalisation(context), method.key(context)
    except ValueError as error:
        raise UsageError(f"--methods: {text}: {error}") from error
    words = ", ".join(f"{key} {value}" for key, value in settings.items())
    common = {
        "method": name,
        "source": context.source,
        "normalisation": normalisation.as_dict(),
    }
    return Candidate(
        text,
        f"{method.title} ({words})" if words else method.title,
        method,
        context,
        normalisation,
        {**common, **key},
    )


class _Store:
    """Weights and settings of a comparison, each read once."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup

    @cached_property
    def models(self) -> ModelSet:
        setup = self.setup
        return load_models(setup.bundles, setup.target, setup.source, setup.preset)

    @cached_property
    def preset(self) -> Preset:
        return read_preset(self.setup.bundles, self.setup.preset)

    @cached_property
    def device(self) -> torch.device:
        return choose_device(self.setup.device)

    def context(self, method: Method) -> Context:
        """What a method is built for.

        Raises:
            UsageError: it goes through a second contrast, and none is named.
            ModelError: weights that are not there, or do not belong together.
        """
        weights = {name: self._weights(method, need) for name, need in method.needs.items()}
        target = self.setup.target
        if needs_target(method):
            target = target or self.models.target
            _check_alike(list(weights.values()), (self.setup.source, target))
        return Context(
            source=self.setup.source,
            target=target,
            weights=weights,
            device=self.device,
            cycle=self.preset.cycle,
            combination=self.preset.combination,
            batch_size=self.preset.batch_size,
            seed=self.setup.seed,
            precision=self._precision,
            threshold=self._threshold,
            points=self._points,
        )

    def _weights(self, method: Method, need: Need) -> TrainedWeights:
        setup = self.setup
        if need.kind == "model":
            listed = tuple(one.name for one in method.needs.values() if one.kind == "model")
            return self.models.for_preset(replace(self.preset, weights=listed)).weights[need.name]
        if setup.target is None and "target" in (need.start, need.end):
            raise UsageError(
                f"--target is missing; {method.name} needs to know which contrast is between (t1,"
                " t2 or flair)"
            )
        ends = {"source": setup.source, "target": str(setup.target)}
        start, end = ends[need.start], ends[need.end]
        if need.kind == "translator":
            return find_translator(setup.bundles, setup.runs, start, end)
        other = end if need.start != need.end else None
        return find_run(setup.runs, need.name, start, other, need.network)

    def _changed(self, chosen: Chosen) -> Preset:
        return replace(
            self.preset,
            method=chosen.method,
            cycle=chosen.cycle,
            combination=chosen.combination,
            weights=chosen.needs,
        )

    def _precision(self, chosen: Chosen) -> str:
        return self.models.choose_precision(self._changed(chosen), self.device)

    def _threshold(self, chosen: Chosen, precision: str) -> float | None:
        found = self.models.calibration(self._changed(chosen), precision)
        return found.threshold if found else None

    def _points(self, chosen: Chosen, precision: str) -> dict[str, float]:
        found = self.models.calibration(self._changed(chosen), precision)
        return {name: point.threshold for name, point in found.points.items()} if found else {}


def _check_alike(weights: Sequence[TrainedWeights], modalities: Iterable[str]) -> None:
    for modality in modalities if len(weights) > 1 else ():
        if len({one.normalisation(modality) for one in weights}) > 1:
            raise ModelError(
                f"{' and '.join(str(one.path) for one in weights)}: expect {modality} normalised"
                " in another way than each other; expected weights that were trained alike;"
                " train one of them again"
            )
