"""Translate whole volumes with one bundle: what the bundles' ``inference.json`` runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine, Events
from monai.data import Dataset
from monai.inferers import Inferer
from numpy.typing import NDArray
from torch import Tensor

from mmccd.bundle import Weights, list_weights
from mmccd.core import InputError, ModelError, OutputError, Volume
from mmccd.data import find_case_brain, find_cases
from mmccd.imaging import GridTransform, to_model_slices
from mmccd.io import read_nifti, write_nifti
from mmccd.models import INITIAL, NO_MASK, MaskedDiffusionScheduler, normal_noise, reverse


def find_weights(bundle: str | Path, source: str, target: str) -> Weights:
    """The weights of a bundle for one direction.

    Raises:
        ModelError: there are none.
    """
    for weights in list_weights(Path(bundle)):
        if weights.direction == (source, target):
            return weights
    raise ModelError(
        f"{bundle}: no weights from {source} to {target}; train the bundle and run 'mmccd export'"
    )


@dataclass(frozen=True)
class Place:
    """Where a translated volume belongs.

    Attributes:
        name: of the case.
        volume: the source.
        brain: brain mask on the source's grid.
        transform: the way back from the model grid.
        model_brain: brain mask on the model grid, ``(slices, 1, size, size)``.
    """

    name: str
    volume: Volume
    brain: NDArray[np.bool_]
    transform: GridTransform
    model_brain: Tensor


class VolumeSlicesDataset(Dataset):
    """Each case as all its model slices: ``{"image": (slices, 1, size, size), "brain": bool of the
    same shape, "number": index of the case}``; batch size None.

    Args:
        dataset_dir: see :func:`~mmccd.data.cases.find_cases`.
        source: modality that is read.
        weights: whose normalisation is used.
    """

    def __init__(self, dataset_dir: str | Path, source: str, weights: Weights) -> None:
        self.cases = [case for case in find_cases(dataset_dir) if source in case.images]
        if not self.cases:
            raise InputError(f"{dataset_dir}: no case has {source}; choose another source")
        self.source = source
        self.normalisation = weights.normalisation(source)
        super().__init__(list(range(len(self.cases))))

    def place(self, number: int) -> Place:
        """Where the translation of a case belongs."""
        volume, brain = self._read(number)
        slices = to_model_slices(volume, brain, self.normalisation)
        return Place(self.cases[number].name, volume, brain, slices.transform, slices.brain)

    def _read(self, number: int) -> tuple[Volume, NDArray[np.bool_]]:
        case = self.cases[number]
        volume = read_nifti(case.images[self.source], self.source)
        return volume, find_case_brain(case, volume).mask

    def _transform(self, index: int) -> dict[str, Any]:
        slices = to_model_slices(*self._read(index), self.normalisation)
        return {"image": slices.image, "brain": slices.brain, "number": index}


class VisibleTranslationInferer(Inferer):
    """f without a mask: the whole source is visible.

    Args:
        scheduler: the noise schedule.
        steps: sampling steps.
        seed: seed of y_T.
        batch_size: slices per pass.
    """

    def __init__(
        self,
        scheduler: MaskedDiffusionScheduler,
        steps: int = 4,
        seed: int = 0,
        batch_size: int = 16,
    ) -> None:
        super().__init__()
        self.scheduler = scheduler.with_sampling()
        self.scheduler.set_timesteps(steps)
        self.seed = seed
        self.batch_size = batch_size

    def __call__(
        self, inputs: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any
    ) -> Tensor:
        """``(slices, 1, height, width)`` to the same shape."""
        numbers = torch.arange(inputs.shape[0], device=inputs.device).split(self.batch_size)
        return torch.cat([self._translate(inputs[part], part, network) for part in numbers])

    def _translate(self, source: Tensor, numbers: Tensor, network: Callable[..., Tensor]) -> Tensor:
        image = normal_noise(
            self.seed,
            numbers,
            torch.full_like(numbers, NO_MASK),
            0,
            INITIAL,
            (source.shape[-2], source.shape[-1]),
        )
        return reverse(network, image, self.scheduler, source)


class BatchedInferer(Inferer):
    """A network on all slices of a volume, a few at a time.

    Args:
        batch_size: slices per pass.
    """

    def __init__(self, batch_size: int = 16) -> None:
        super().__init__()
        self.batch_size = batch_size

    def __call__(
        self, inputs: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any
    ) -> Tensor:
        """``(slices, 1, height, width)`` to the same shape."""
        parts: Sequence[Tensor] = inputs.split(self.batch_size)
        return torch.cat([network(part) for part in parts])


class WriteTranslation:
    """Write what a network says of each volume as ``output_dir/CASE_TARGET.nii.gz``, in the
    network's units (normalised ones, or a probability), on the source's own grid.

    Args:
        dataset: where the volumes came from.
        output_dir: folder to write into; made if it is not there.
        target: modality in the file's name, or what else was predicted.
    """

    def __init__(self, dataset: VolumeSlicesDataset, output_dir: str | Path, target: str) -> None:
        self.dataset = dataset
        self.output_dir = Path(output_dir)
        self.target = target

    def attach(self, engine: Engine) -> None:
        """Write after each case."""
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Bring the prediction to the native grid and write it."""
        place = self.dataset.place(int(engine.state.batch["number"]))
        prediction = engine.state.output["pred"][:, 0].float().cpu().numpy()
        native = place.transform.to_native(prediction, place.model_brain[:, 0].numpy())
        native[~place.brain] = 0.0
        try:
            self.output_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"{self.output_dir}: cannot be made ({error.strerror}); choose another output_dir"
            ) from error
        write_nifti(
            place.volume.with_data(native, self.target),
            self.output_dir / f"{place.name}_{self.target}.nii.gz",
            "float32",
        )
