"""Find and load what the overlays trained: ``RUNS/METHOD/SOURCE/best.pt`` or
``RUNS/METHOD/SOURCE_TARGET/best.pt`` with its record.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mmccd.bundle.find import BACKWARD
from mmccd.bundle.trained import load_trained
from mmccd.bundle.weights import file_sha256, list_weights
from mmccd.core import InputError, ModelError, first_line
from mmccd.imaging import Normalisation
from mmccd.methods import TrainedWeights
from mmccd.models import MaskedDiffusionScheduler, TranslationUNet


@dataclass(frozen=True)
class Run:
    """The best weights of a training run.

    Attributes:
        path: ``best.pt``.
        record: ``training.json`` beside it.
        network: class of the network.
    """

    path: Path
    record: dict[str, Any]
    network: Callable[..., nn.Module] = TranslationUNet

    @property
    def sha256(self) -> str:
        """Hash of the checkpoint."""
        return file_sha256(self.path)

    def normalisation(self, modality: str) -> Normalisation:
        """How images of a modality were normalised in training.

        Raises:
            ModelError: the record does not say.
        """
        try:
            return Normalisation(**self.record["normalisation"][modality])
        except (LookupError, TypeError, ValueError) as error:
            raise self._damaged(f"has no usable normalisation of {modality}", error) from error

    def load_network(self) -> nn.Module:
        """The averaged network in evaluation mode, float32, on the CPU.

        Raises:
            ModelError: checkpoint and record do not fit to each other.
        """
        try:
            network = self.network(**self.record["network"])
            load_trained(network, self.path, torch.device("cpu"))
        except (InputError, LookupError, TypeError, ValueError, RuntimeError) as error:
            raise self._damaged("does not fit to its checkpoint", error) from error
        return network

    def load_scheduler(self) -> MaskedDiffusionScheduler:
        """The noise schedule of the training.

        Raises:
            ModelError: the record has none.
        """
        try:
            return MaskedDiffusionScheduler(**self.record["scheduler"])
        except (LookupError, TypeError, ValueError) as error:
            raise self._damaged("has no usable noise schedule", error) from error

    def _damaged(self, what: str, error: Exception) -> ModelError:
        return ModelError(
            f"{self.path.with_name('training.json')}: {what} ({first_line(error)}); train the"
            " method again"
        )


def find_run(
    runs: Path,
    method: str,
    source: str,
    target: str | None = None,
    network: Callable[..., nn.Module] = TranslationUNet,
) -> Run:
    """The run of a method for one source (and target).

    Args:
        runs: folder of all runs, ``bundles/forward_masked_diffusion/runs`` where the overlays were
            left as they are.
        method: name of the overlay that trained it.
        source: modality of the input.
        target: modality of the output, where it is another one.
        network: class of its network.

    Raises:
        ModelError: no such run, or its record is damaged or another method's.
    """
    folder = runs / method / (source if target is None else f"{source}_{target}")
    path, record_path = folder / "best.pt", folder / "training.json"
    if not path.is_file():
        flags = f"--source {source}" + (f" --target {target}" if target else "")
        raise ModelError(
            f"{path}: no such checkpoint; train it in the forward bundle with --config_file"
            f" \"['configs/train.json','configs/baselines/{method}.json']\" {flags}, or give the"
            " folder of the runs with --runs",
            code="weights.missing",
        )
    try:
        record = json.loads(record_path.read_text())
        found = record["method"], record["source"], record["target"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ModelError(
            f"{record_path}: cannot be used ({first_line(error)}); expected the record of the"
            " training beside it",
            code="checkpoint.no_record",
        ) from error
    expected = method, source, target or source
    if found != expected:
        raise ModelError(
            f"{record_path}: is of {' '.join(found)}, expected {' '.join(expected)}; put the runs"
            " back in their places",
            code="weights.inconsistent",
        )
    return Run(path, record, network)


def find_translator(bundles: Path, runs: Path, source: str, target: str) -> TrainedWeights:
    """The deterministic translator of one direction: exported weights of the backward bundle, else
    a run of the overlay ``translator``.

    Raises:
        ModelError: neither is there.
    """
    exported = [
        weights
        for weights in list_weights(bundles / BACKWARD)
        if weights.direction == (source, target)
    ]
    return exported[0] if exported else find_run(runs, "translator", source, target)
