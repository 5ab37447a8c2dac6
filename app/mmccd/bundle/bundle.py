"""Read a pair of bundles: networks, weights, schedule, normalisation, presets, calibration."""

from __future__ import annotations

import hashlib
import importlib.resources
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from mmccd.bundle.calibration import Calibration, CalibrationKey, find_calibration
from mmccd.core import (
    Finding,
    InputError,
    ModelError,
    UsageError,
    first_line,
    make_folder,
    replacing,
    write_json,
)
from mmccd.imaging import Normalisation
from mmccd.io import load_tensors
from mmccd.methods import CycleSettings
from mmccd.models import PRECISIONS, MaskedDiffusionScheduler, TranslationUNet, has_fast_bf16
from mmccd.postprocessing import Postprocessing

Network = TypeVar("Network", bound=nn.Module)

FORWARD = "forward_masked_diffusion"
BACKWARD = "backward_translator"
BRAIN = "brain_extraction"
CYCLE_CONFIG = Path("configs") / "cycle.json"
MODEL_PATH_VARIABLE = "HOLOSCAN_MODEL_PATH"
SOURCE = "flair"
FALLBACK_TARGETS = ("t2", "t1")
CARD_KEYS = ("source", "target", "normalisation", "network")
BRAIN_TASK = "brain_extraction"
_COPY = "copy the bundles to a writable folder and give it with --bundles"
BRAIN_KEYS = ("task", "network")


@dataclass(frozen=True)
class Preset:
    """One named way to run the cycle.

    Attributes:
        name: ``full``, ``balanced`` or ``fast``.
        cycle: masks, steps, reading.
        postprocessing: what the threshold is applied to.
        batch_size: images per network pass.
        precision: ``auto``, ``fp32`` or ``bf16``.
    """

    name: str
    cycle: CycleSettings
    postprocessing: Postprocessing
    batch_size: int
    precision: str

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ValueError(
                f"precision of preset {self.name} must be one of {PRECISIONS}, got"
                f" {self.precision!r}"
            )

    def settings(self) -> dict[str, Any]:
        """What a calibration depends on."""
        return {"cycle": self.cycle.as_dict(), "postprocessing": self.postprocessing.as_dict()}


@dataclass(frozen=True)
class Weights:
    """A weight file and its card.

    Attributes:
        path: ``.pt`` file, a float16 state dict.
        card: the JSON beside it: source, target, normalisation, network, schedule, training data,
            licence, command, seed, hash.
    """

    path: Path
    card: dict[str, Any]

    @property
    def sha256(self) -> str:
        """Hash of the weight file, checked when the network is loaded."""
        return str(self.card["sha256"])

    @property
    def direction(self) -> tuple[str, str]:
        """(source, target)."""
        return str(self.card["source"]), str(self.card["target"])

    def normalisation(self, modality: str) -> Normalisation:
        """How images of a modality were normalised in training.

        Raises:
            ModelError: the card does not say, or says what does not exist.
        """
        try:
            return Normalisation(**self.card["normalisation"][modality])
        except (LookupError, TypeError, ValueError) as error:
            card = self.path.with_suffix(".json")
            raise ModelError(
                f"{card}: has no usable normalisation of {modality} ({first_line(error)});"
                " restore it"
            ) from error

    def load_network(self) -> TranslationUNet:
        """The network in evaluation mode, float32, on the CPU.

        Raises:
            ModelError: the file is missing, damaged, or does not fit to its card.
        """
        return self.load(TranslationUNet)

    def load(self, kind: Callable[..., Network]) -> Network:
        """A network of that class, as :meth:`load_network`."""
        if not self.path.is_file():
            raise ModelError(
                f"{self.path}: no such weight file, though its card is there; restore it or train"
                " the bundle"
            )
        found = file_sha256(self.path)
        if found != self.sha256:
            raise ModelError(
                f"{self.path}: has the hash {found[:12]}, expected {self.sha256[:12]} (its card);"
                " the file is damaged or was replaced"
            )
        try:
            network = kind(**self.card["network"])
            network.load_state_dict(load_tensors(self.path))
        except (
            RuntimeError,
            TypeError,
            ValueError,
            LookupError,
            AttributeError,
            ArithmeticError,
            InputError,
        ) as error:
            raise ModelError(
                f"{self.path}: does not fit to its card ({first_line(error)}); restore both files"
            ) from error
        return network.float().eval()

    def load_scheduler(self) -> MaskedDiffusionScheduler:
        """The noise schedule of the training.

        Raises:
            ModelError: the card has none, or one that does not exist.
        """
        try:
            return MaskedDiffusionScheduler(**self.card["scheduler"])
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"{self.path.with_suffix('.json')}: has no usable noise schedule ({error}); run"
                " 'mmccd export' again"
            ) from error


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
    warnings: tuple[Finding, ...] = ()

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


def find_bundles(given: str | Path | None = None) -> Path:
    """The folder that holds both bundles: ``--bundles``, else HOLOSCAN_MODEL_PATH, else what is
    installed with the package.

    Raises:
        ModelError: a bundle is not there.
    """
    variable = os.environ.get(MODEL_PATH_VARIABLE)
    if given is not None:
        root = Path(given)
    elif variable:
        root = Path(variable)
    else:
        root = Path(str(importlib.resources.files("mmccd.bundles")))
    for name in (FORWARD, BACKWARD):
        if not (root / name / "configs").is_dir():
            raise ModelError(
                f"{root / name}: no such bundle; expected a folder with {FORWARD} and {BACKWARD};"
                " give it with --bundles"
            )
    return root


def find_part(name: str, given: str | Path | None = None) -> Path:
    """A folder that other bundles need not have of their own: that of the given bundles or of
    HOLOSCAN_MODEL_PATH, else the installed one.

    Args:
        name: path below the folder of the bundles.
        given: folder of the bundles.
    """
    for root in (given, os.environ.get(MODEL_PATH_VARIABLE)):
        if root and (Path(root) / name).exists():
            return Path(root) / name
    return Path(str(importlib.resources.files("mmccd.bundles"))) / name


def load_brain_weights(given: str | Path | None = None) -> Weights:
    """The weights of the brain extraction.

    Raises:
        ModelError: they or their card are missing or damaged.
    """
    card = find_part(BRAIN, given) / "models" / "model.json"
    return Weights(card.with_suffix(".pt"), _read_card(card, BRAIN_KEYS))


def list_weights(bundle: Path) -> list[Weights]:
    """All weights of a bundle: those that ship first, then the research ones.

    Raises:
        ModelError: a card cannot be read.
    """
    cards = [
        bundle / "models" / "model.json",
        *sorted((bundle / "models" / "research").glob("*.json")),
    ]
    return [Weights(card.with_suffix(".pt"), _read_card(card)) for card in cards if card.is_file()]


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
    warnings: list[Finding] = []
    if target is None:
        target = next((name for name in FALLBACK_TARGETS if name in there), FALLBACK_TARGETS[0])
        if target in there and target != FALLBACK_TARGETS[0]:
            text = f"no weights for the default target {FALLBACK_TARGETS[0]}; {target} was taken"
            warnings.append(Finding("model.other_target", text))
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
            text = (
                f"research weights ({weights.direction[0]} to {weights.direction[1]}):"
                f" {weights.card.get('licence', 'non-commercial')}"
            )
            warnings.append(Finding("model.research_only", text, "note"))
    presets, calibrations = read_cycle_config(root)
    return BundlePair(root, f, g, presets, tuple(calibrations), tuple(warnings))


def read_cycle_config(root: Path) -> tuple[dict[str, Preset], list[Calibration]]:
    """Presets and calibrations of the forward bundle's ``cycle.json``.

    Raises:
        ModelError: the file is missing or damaged.
    """
    path = root / FORWARD / CYCLE_CONFIG
    content = _read_json(path)
    try:
        presets = {name: _preset(name, entry) for name, entry in content["presets"].items()}
        calibrations = [Calibration.from_dict(entry) for entry in content["calibrations"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(
            f"{path}: is damaged ({type(error).__name__}: {error}); restore it from the"
            " distribution"
        ) from error
    return presets, calibrations


def write_calibrations(root: Path, calibrations: list[Calibration]) -> Path:
    """Replace the calibrations in the forward bundle's ``cycle.json``; everything else in it stays.

    Raises:
        OutputError: the file cannot be written.
    """
    path = root / FORWARD / CYCLE_CONFIG
    content = {**_read_json(path), "calibrations": [entry.as_dict() for entry in calibrations]}
    write_json(path, content, _COPY)
    return path


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
            " best.pt or last.pt"
        )
    name = (
        f"research/{record['source']}_{record['target']}"
        if research and "source" in record
        else "model"
    )
    path = Path(bundle) / "models" / f"{name}.pt"
    make_folder(path.parent)
    with replacing(path) as staged:
        torch.save({key: value.half() for key, value in state.items()}, staged)
    card = {
        **record,
        "epoch": int(content["epoch"]),
        "research_only": research,
        "sha256": file_sha256(path),
    }
    if "value" in content:
        card["validation"] = {record["key_metric"]: float(content["value"])}
    write_json(path.with_suffix(".json"), card)
    return path


def file_sha256(path: Path) -> str:
    """Hash of a file as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _training_record(path: Path) -> dict[str, Any]:
    expected = "expected the record that training writes beside its checkpoints"
    try:
        record = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({first_line(error)}); {expected}") from error
    keys = (
        BRAIN_KEYS if isinstance(record, dict) and record.get("task") == BRAIN_TASK else CARD_KEYS
    )
    missing = [
        key for key in (*keys, "key_metric") if not isinstance(record, dict) or key not in record
    ]
    if missing:
        raise InputError(f"{path}: has no {', '.join(missing)}; {expected}")
    return dict(record)


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


def _preset(name: str, entry: dict[str, Any]) -> Preset:
    return Preset(
        name,
        CycleSettings(**entry["cycle"]),
        Postprocessing(**entry["postprocessing"]),
        int(entry["batch_size"]),
        str(entry["precision"]),
    )


def _read_card(path: Path, keys: tuple[str, ...] = CARD_KEYS) -> dict[str, Any]:
    card = _read_json(path)
    missing = [key for key in (*keys, "sha256") if key not in card]
    if missing:
        raise ModelError(
            f"{path}: the card has no {', '.join(missing)}; restore it or run 'mmccd export' again"
        )
    return card


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise ModelError(
            f"{path}: no such file; expected a complete bundle; restore it from the distribution"
        ) from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ModelError(
            f"{path}: cannot be read ({error}); restore it from the distribution"
        ) from error
    if not isinstance(content, dict):
        raise ModelError(
            f"{path}: holds a {type(content).__name__}, expected an object; restore it from the"
            " distribution"
        )
    return content
