"""What a training is, as its checkpoints carry it, and how two of them differ."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import torch.distributed as dist
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from mmccd.core import UnsuitableInputError
from mmccd.imaging import Normalisation

Facts = dict[str, Any]
Differences = dict[str, list[Any]]

RESUMED = "resumed"
PROGRESS = ("epochs", "iterations", "minutes", "key_metric", "last_validation")
_NO_MATTER = ("max_epochs", "command", "versions", RESUMED, *PROGRESS)
"""May differ where a training goes on: how long it is, how it was called, how far it came."""
_OPTIMIZER = ("weight_decay", "betas", "eps", "momentum")


def training_facts(
    content: Mapping[str, Any],
    normalisation: str | None,
    training: DataLoader[Any],
    validation: DataLoader[Any] | None,
    optimizer: Optimizer | None,
) -> Facts:
    """What the record of a training says of it, before it begins.

    Args:
        content: source, target, network and other settings; ``batch_size`` is that of a process.
        normalisation: ``"paper"`` or ``"code"``; None where there is no such thing.
        training, validation: the data; a data set with a ``fingerprint`` is named by it.
        optimizer: whose settings are recorded.

    Returns:
        Plain values, as they come back from JSON; ``batch_size`` is that of all processes together.
    """
    facts = {**content, **normalisations(content, normalisation)}
    if "batch_size" in facts:
        facts["batch_size"] *= processes()
    loaders = {"training": training, "validation": validation}
    prints = {name: _fingerprint(loader) for name, loader in loaders.items()}
    facts["fingerprints"] = {name: value for name, value in prints.items() if value}
    if optimizer is not None:
        group = optimizer.param_groups[0]
        chosen = {name: group[name] for name in _OPTIMIZER if name in group}
        facts["optimizer"] = {"name": type(optimizer).__name__, **chosen}
    return plain(facts)


def plain(content: Facts) -> Facts:
    """As it comes back from JSON, so that a checkpoint holds nothing else."""
    found: Facts = json.loads(json.dumps(content))
    return found


def normalisations(content: Mapping[str, Any], kind: str | None) -> Facts:
    """The settings of both modalities, under ``normalisation``."""
    if kind is None:
        return {}
    names = (content["source"], content["target"])
    return {
        "normalisation": {name: Normalisation.for_modality(name, kind).as_dict() for name in names}
    }


def check_batches(loader: DataLoader[Any]) -> None:
    """Refuse data of which no process gets a whole batch: nothing would be trained.

    Raises:
        UnsuitableInputError: they are too few.
    """
    size, share = loader.batch_size or 1, len(loader.sampler)  # type: ignore[arg-type]
    if share >= size:
        return
    place = getattr(loader.dataset, "place", "the data")
    each = f" for each of {processes()} processes" if processes() > 1 else ""
    raise UnsuitableInputError(
        f"{place}: has {share} training items{each}, batch_size is {size}; expected one whole batch"
        f" at least; give more data or --batch_size {max(share, 1)}",
        code="training.too_few",
    )


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Differences:
    """What two trainings do not have in common, ``{name: [before, now]}``, parts of an entry under
    ``ENTRY#PART``; None: it was not there.
    """
    was, is_now = ({k: v for k, v in one.items() if k not in _NO_MATTER} for one in (before, now))
    return flat_differences(was, is_now)


def flat_differences(
    before: Mapping[str, Any], now: Mapping[str, Any], joint: str = "#"
) -> Differences:
    """What two nested mappings do not have in common, ``{name: [before, now]}``; None: it was not
    there.

    Args:
        before, now: plain values.
        joint: stands between the names of an entry and of its part.
    """
    flat = [dict(_flat(one, joint)) for one in (before, now)]
    names = dict.fromkeys([*flat[0], *flat[1]])
    return {
        name: [flat[0].get(name), flat[1].get(name)]
        for name in names
        if flat[0].get(name) != flat[1].get(name)
    }


def as_text(changed: Differences, most: int = 4) -> str:
    """Differences for people: the first few, hashes by their beginning."""
    parts = [f"{name} {_short(was)}, now {_short(now)}" for name, (was, now) in changed.items()]
    more = f" and {len(parts) - most} more" if len(parts) > most else ""
    return "; ".join(parts[:most]) + more


def processes() -> int:
    """How many train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def _fingerprint(loader: DataLoader[Any] | None) -> str | None:
    return getattr(getattr(loader, "dataset", None), "fingerprint", None)


def _flat(content: Mapping[str, Any], joint: str, above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _flat(value, joint, f"{above}{key}{joint}")
        else:
            yield f"{above}{key}", value


def _short(value: Any) -> str:
    if value is None:
        return "unknown"
    text = str(value) if isinstance(value, str) and value else repr(value)
    return f"{text[:12]}..." if len(text) > 40 else text
