"""Weight files and their cards."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from torch import nn

from mmccd.bundle.find import BRAIN, find_part
from mmccd.bundle.json_files import read_json
from mmccd.core import InputError, ModelError, first_line
from mmccd.imaging import Normalisation
from mmccd.io import load_tensors
from mmccd.models import MaskedDiffusionScheduler, TranslationUNet

Network = TypeVar("Network", bound=nn.Module)

CARD_KEYS = ("source", "target", "normalisation", "network")
BRAIN_TASK = "brain_extraction"
BRAIN_KEYS = ("task", "network")


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
                " restore it",
                code="weights.damaged",
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
                " the bundle",
                code="weights.missing",
            )
        found = file_sha256(self.path)
        if found != self.sha256:
            raise ModelError(
                f"{self.path}: has the hash {found[:12]}, expected {self.sha256[:12]} (its card);"
                " the file is damaged or was replaced",
                code="weights.damaged",
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
                f"{self.path}: does not fit to its card ({first_line(error)}); restore both files",
                code="weights.inconsistent",
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
                " 'mmccd export' again",
                code="weights.damaged",
            ) from error


def load_brain_weights(given: str | Path | None = None) -> Weights:
    """The weights of the brain extraction, from a folder of bundles; see
    :func:`read_brain_weights`.
    """
    return read_brain_weights(find_part(BRAIN, given))


def read_brain_weights(bundle: str | Path) -> Weights:
    """The weights in a bundle of the brain extraction, whatever its folder is called.

    Raises:
        ModelError: they or their card are missing or damaged.
    """
    card = Path(bundle) / "models" / "model.json"
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


def file_sha256(path: Path) -> str:
    """Hash of a file as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def text_sha256(text: str) -> str:
    """Hash of a text as hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def _read_card(path: Path, keys: tuple[str, ...] = CARD_KEYS) -> dict[str, Any]:
    card = read_json(path)
    missing = [key for key in (*keys, "sha256") if key not in card]
    if missing:
        raise ModelError(
            f"{path}: the card has no {', '.join(missing)}; restore it or run 'mmccd export' again",
            code="weights.damaged",
        )
    return card
