"""Training checkpoints to weight files with their cards."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mmccd.brain import BrainUNet
from mmccd.bundle.find import BRAIN, find_bundle
from mmccd.bundle.model_card import model_card
from mmccd.bundle.models import SOURCE
from mmccd.bundle.weights import BRAIN_KEYS, BRAIN_TASK, CARD_KEYS, file_sha256, list_weights
from mmccd.core import (
    InputError,
    MmccdError,
    ModelError,
    OutputError,
    UnsuitableInputError,
    first_line,
    make_folder,
    replacing,
    write_json,
    write_text,
)
from mmccd.io import load_tensors
from mmccd.methods import DECISION_CHANNELS
from mmccd.models import TranslationUNet

_OTHER = "checkpoint.other_bundle"


@dataclass(frozen=True)
class Place:
    """What the weights of a bundle are.

    Attributes:
        channels: of the network's input.
        end: ``source`` or ``target``: which of the two is FLAIR.
    """

    channels: int
    end: str


_PLACES = {
    "forward": Place(2, "source"),
    "backward": Place(1, "target"),
    "decision": Place(DECISION_CHANNELS, "source"),
}
"""By the first word of a bundle's folder (:func:`~mmccd.bundle.find.find_bundle`)."""


def export_weights(
    checkpoint: str | Path, bundle: str | Path, research: bool = False, force: bool = False
) -> Path:
    """Turn a training checkpoint into a float16 weight file with its card and its model card.

    All that the cards say is taken from the checkpoint.

    Args:
        checkpoint: ``best.pt`` or ``last.pt`` of a training run (the averaged weights are taken);
            for one of an earlier version ``training.json`` stands beside it.
        bundle: the bundle's folder.
        research: write ``models/research/SOURCE_TARGET.pt`` (weights that may not ship) instead of
            ``models/model.pt``.
        force: replace weights and model card that are there.

    Returns:
        The weight file.

    Raises:
        InputError: the checkpoint or its record is missing or unreadable.
        UnsuitableInputError: the checkpoint is of another network, direction or method than the
            bundle, or its weights are not finite.
        ModelError: no such bundle.
        OutputError: there are weights already; the bundle cannot be written.
    """
    checkpoint, bundle = Path(checkpoint), Path(bundle)
    content = load_tensors(checkpoint)
    state = content.get("network" if "value" in content else "averaged")
    if not isinstance(state, dict) or "epoch" not in content:
        raise InputError(
            f"{checkpoint}: is no training checkpoint (found {sorted(content)[:5]}); expected"
            " best.pt or last.pt",
            code="checkpoint.damaged",
        )
    record = _record(checkpoint, content)
    _check_bundle(checkpoint, record, bundle, research)
    _check_network(checkpoint, record, state)
    named = research and "source" in record
    direction = f"{record['source']}_{record['target']}" if named else ""
    path = bundle / "models" / (f"research/{direction}.pt" if named else "model.pt")
    page = bundle / "docs" / f"model_card{'_' + direction if named else ''}.md"
    if not force:
        _refuse_existing(path, page)
    card = {
        **record,
        "epoch": int(content["epoch"]),
        "research_only": research,
        "checkpoint_sha256": file_sha256(checkpoint),
    }
    if "value" in content:
        card["validation"] = {record["key_metric"]: float(content["value"])}
    written = write_weights(path, state, card)
    make_folder(page.parent)
    write_text(page, model_card(written, path.relative_to(bundle).as_posix()))
    return path


def write_weights(
    path: Path, state: Mapping[str, Tensor], card: Mapping[str, Any]
) -> dict[str, Any]:
    """Write float16 weights and, beside them, their card with the file's hash.

    Args:
        path: ``.pt`` file; its folder is made if it is not there.
        state: parameters of the network.
        card: see :class:`~mmccd.bundle.Weights`.

    Returns:
        The card as it was written.

    Raises:
        OutputError: they cannot be written.
    """
    make_folder(path.parent)
    with replacing(path) as staged:
        torch.save({key: value.half().cpu() for key, value in state.items()}, staged)
    written = {**card, "sha256": file_sha256(path)}
    write_json(path.with_suffix(".json"), written)
    return written


def _refuse_existing(path: Path, page: Path) -> None:
    there = next((file for file in (path, path.with_suffix(".json"), page) if file.exists()), None)
    if there is None:
        return
    raise OutputError(
        f"{there}: is there already{_held(path)}; export into a copy (mmccd bundles copy DIR), or"
        " replace it with --force",
        code="output.exists",
    )


def _held(path: Path) -> str:
    """`` (flair to t2)``, where a card says it."""
    try:
        card = json.loads(path.with_suffix(".json").read_text())
        return f" ({card['source']} to {card['target']})"
    except (OSError, ValueError, LookupError, TypeError):
        return ""


def _check_bundle(checkpoint: Path, record: dict[str, Any], bundle: Path, research: bool) -> None:
    """Refuse a checkpoint that was not trained for the bundle."""
    if not (bundle / "configs").is_dir():
        raise ModelError(
            f"{bundle}: no such bundle; expected a folder with configs, as 'mmccd bundles copy DIR'"
            " makes them",
            code="bundle.missing",
        )
    name = bundle.resolve().name
    is_brain = record.get("task") == BRAIN_TASK
    if is_brain != (name == BRAIN):
        what = "the brain extraction" if is_brain else f"{record.get('source')} to a contrast"
        raise _other(checkpoint, f"is of {what}", bundle, "one that was trained there")
    if "method" in record:
        raise _other(
            checkpoint,
            f"is of the method {record['method']}",
            bundle,
            "one without an overlay of configs/baselines (mmccd evaluate --runs finds those)",
        )
    place = _PLACES.get(name.partition("_")[0])
    if place is None:
        return
    channels = record["network"].get("in_channels")
    if channels != place.channels:
        raise _other(
            checkpoint,
            f"({record['source']} to {record['target']}) has a network of {channels} input"
            " channels",
            bundle,
            f"{place.channels}",
        )
    if not research and record[place.end] != SOURCE:
        wanted = f"{SOURCE} to another contrast" if place.end == "source" else f"one to {SOURCE}"
        raise _other(
            checkpoint,
            f"goes from {record['source']} to {record['target']}",
            bundle,
            f"{wanted} (any other direction with --research)",
        )
    if "cycle" in record:
        _check_cycle(checkpoint, record, bundle)


def _check_cycle(checkpoint: Path, record: dict[str, Any], bundle: Path) -> None:
    """Refuse a decision network whose f and g are not those beside its bundle."""
    for name, expected in record["cycle"].items():
        try:
            there = list_weights(find_bundle(bundle.resolve().parent, name))
        except MmccdError:
            continue
        if there and expected not in {weights.sha256 for weights in there}:
            raise _other(
                checkpoint,
                f"was trained behind other {name} weights ({expected[:12]})",
                bundle,
                "those beside it; export these first, or train it again",
            )


def _other(checkpoint: Path, found: str, bundle: Path, expected: str) -> UnsuitableInputError:
    return UnsuitableInputError(
        f"{checkpoint}: {found}, {bundle} takes {expected}; give the bundle that it was trained in",
        code=_OTHER,
    )


def _check_network(checkpoint: Path, record: dict[str, Any], state: Mapping[str, Tensor]) -> None:
    """Refuse weights that are not those of the recorded network, or not numbers in float16."""
    kind: Callable[..., nn.Module] = BrainUNet if "task" in record else TranslationUNet
    try:
        kind(**record["network"]).load_state_dict(dict(state))
    except (RuntimeError, TypeError, ValueError, LookupError, AttributeError) as error:
        raise UnsuitableInputError(
            f"{checkpoint}: does not fit to the network of its record ({first_line(error)});"
            " expected a checkpoint and the record of one training",
            code="weights.inconsistent",
        ) from error
    if not all(value.half().isfinite().all() for value in state.values()):
        raise UnsuitableInputError(
            f"{checkpoint}: holds weights that are not finite, or too large for float16; expected"
            " those of a training that converged; train it again with a lower learning rate",
            code="checkpoint.damaged",
        )


def _record(checkpoint: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    """What the checkpoint says of its training, or what stands beside one of an earlier version."""
    expected = "expected the record that training writes"
    path, record = checkpoint, content.get("record")
    if record is None:
        path = checkpoint.with_name("training.json")
        try:
            record = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise InputError(
                f"{path}: cannot be read ({first_line(error)}); {expected} beside its checkpoints",
                code="checkpoint.no_record",
            ) from error
    keys = (
        BRAIN_KEYS if isinstance(record, dict) and record.get("task") == BRAIN_TASK else CARD_KEYS
    )
    missing = [
        key for key in (*keys, "key_metric") if not isinstance(record, dict) or key not in record
    ]
    if missing:
        raise InputError(
            f"{path}: has no {', '.join(missing)}; {expected}", code="checkpoint.no_record"
        )
    return dict(record)
