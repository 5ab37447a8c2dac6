"""Training checkpoints to weight files with their cards."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmccd.bundle.weights import BRAIN_KEYS, BRAIN_TASK, CARD_KEYS, file_sha256
from mmccd.core import InputError, first_line, make_folder, replacing, write_json
from mmccd.io import load_tensors


def export_weights(checkpoint: str | Path, bundle: str | Path, research: bool = False) -> Path:
    """Turn a training checkpoint into a float16 weight file with its card.

    Args:
        checkpoint: ``best.pt`` or ``last.pt`` of a training run (the averaged weights are taken);
            ``training.json`` stands beside it.
        bundle: the bundle's folder.
        research: write ``models/research/SOURCE_TARGET.pt`` (weights that may not ship) instead of
            ``models/model.pt``.

    Returns:
        The weight file.

    Raises:
        InputError: the checkpoint or its record is missing or unreadable.
        OutputError: the bundle cannot be written.
    """
    checkpoint = Path(checkpoint)
    record = _training_record(checkpoint.with_name("training.json"))
    content = load_tensors(checkpoint)
    state = content.get("network" if "value" in content else "averaged")
    if not isinstance(state, dict) or "epoch" not in content:
        raise InputError(
            f"{checkpoint}: is no training checkpoint (found {sorted(content)[:5]}); expected"
            " best.pt or last.pt",
            code="checkpoint.damaged",
        )
    name = (
        f"research/{record['source']}_{record['target']}"
        if research and "source" in record
        else "model"
    )
    path = Path(bundle) / "models" / f"{name}.pt"
    card = {**record, "epoch": int(content["epoch"]), "research_only": research}
    if "value" in content:
        card["validation"] = {record["key_metric"]: float(content["value"])}
    write_weights(path, state, card)
    return path


def write_weights(path: Path, state: Mapping[str, Tensor], card: Mapping[str, Any]) -> None:
    """Write float16 weights and, beside them, their card with the file's hash.

    Args:
        path: ``.pt`` file; its folder is made if it is not there.
        state: parameters of the network.
        card: see :class:`~mmccd.bundle.Weights`.

    Raises:
        OutputError: they cannot be written.
    """
    make_folder(path.parent)
    with replacing(path) as staged:
        torch.save({key: value.half().cpu() for key, value in state.items()}, staged)
    write_json(path.with_suffix(".json"), {**card, "sha256": file_sha256(path)})


def _training_record(path: Path) -> dict[str, Any]:
    expected = "expected the record that training writes beside its checkpoints"
    try:
        record = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: cannot be read ({first_line(error)}); {expected}", code="checkpoint.no_record"
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
