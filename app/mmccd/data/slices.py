"""Pairs of slices on the model grid for training and validation, cached through MONAI."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data import CacheDataset, Dataset, PersistentDataset
from monai.transforms import Transform
from numpy.typing import NDArray
from torch import Tensor

from mmccd.brain import Brain, find_brain
from mmccd.bundle import file_sha256, text_sha256
from mmccd.core import InputError, UnsuitableInputError, Volume
from mmccd.data.cases import split_cases
from mmccd.data.labels import on_grid, read_label, say_doubtful_labels
from mmccd.data.layouts import Case
from mmccd.imaging import GridTransform, Normalisation, to_model_slices
from mmccd.io import read_nifti

_KEYS = ("image", "label", "brain")
_DIGEST = "digest"
MIN_BRAIN_PIXELS = 75
"""A slice holds brain from 75 model pixels on (2.6 cm^2)."""


@dataclass(frozen=True)
class SliceRule:
    """Which slices of a volume are used.

    Attributes:
        kind: ``"brain"``: all that hold brain; ``"range"``: indices ``first`` to ``last`` of the
            volume from inferior to superior, both included (the paper: 70 to 89 of BraTS);
            ``"central"``: the central ``fraction`` of those that hold brain.
        first: first index (``range``).
        last: last index (``range``).
        fraction: share of the slices (``central``), in (0, 1].
    """

    kind: str = "brain"
    first: int = 70
    last: int = 89
    fraction: float = 1 / 3

    def __post_init__(self) -> None:
        if self.kind not in ("brain", "range", "central"):
            raise ValueError(f"slice rule must be 'brain', 'range' or 'central', got {self.kind!r}")
        if not 0 < self.fraction <= 1:
            raise ValueError(f"fraction must be in (0, 1], got {self.fraction}")

    def select(self, brain_pixels: Sequence[int]) -> list[int]:
        """Indices of the slices to use, given the number of brain pixels of each."""
        holding = [index for index, pixels in enumerate(brain_pixels) if pixels >= MIN_BRAIN_PIXELS]
        if self.kind == "range":
            return [index for index in holding if self.first <= index <= self.last]
        if self.kind == "central":
            count = len(holding)
            margin = (1 - self.fraction) / 2
            return holding[
                math.floor(count * margin + 1e-9) : math.ceil(count * (1 - margin) - 1e-9)
            ]
        return holding


@dataclass(frozen=True)
class CaseSlices:
    """All slices of a case on the model grid: tensors ``(slices, 1, size, size)``.

    Attributes:
        images: normalised slices of each modality, float32.
        brain: brain mask, bool.
        lesion: lesion mask, bool (a pixel counts from half its area on; all False where the case
            has no label).
        has_lesion: whether any native voxel of the slice is labelled, however faintly where the
            label is soft (:func:`~mmccd.data.labels.read_label`), bool ``(slices,)``.
        lesion_area: labelled area of each slice in model pixels, not cut to the brain, float32
            ``(slices,)``.
        transform: the way back to the native grid.
    """

    images: dict[str, Tensor]
    brain: Tensor
    lesion: Tensor
    has_lesion: Tensor
    lesion_area: Tensor
    transform: GridTransform


def load_case(
    case: Case,
    normalisations: dict[str, Normalisation],
    brain_of: Callable[[Case, Volume], NDArray[np.bool_]] | None = None,
) -> CaseSlices:
    """Read a case, find its brain (its mask file, or the first modality's foreground), and bring
    all modalities to one model grid.

    Args:
        case: files.
        normalisations: modalities to read and how to normalise them.
        brain_of: gives the brain of the first modality; None: :func:`find_case_brain` finds it.

    Raises:
        InputError: a modality is missing or a file cannot be read.
        UnsuitableInputError: images of one case on different grids; a volume that is not
            skull-stripped.
    """
    missing = [name for name in normalisations if name not in case.images]
    if missing:
        raise InputError(
            f"case {case.name}: has no {', '.join(missing)}, found {sorted(case.images)}; choose"
            " another source or target"
        )
    volumes = {name: read_nifti(case.images[name], name) for name in normalisations}
    reference = next(iter(volumes.values()))
    brain = brain_of(case, reference) if brain_of else find_case_brain(case, reference).mask
    transform = GridTransform.fit(reference, brain)
    images = {
        name: (
            to_model_slices(
                on_grid(volume, reference, case), brain, normalisations[name], transform
            ).image
        )
        for name, volume in volumes.items()
    }
    mask = torch.from_numpy(transform.to_model(brain, 0.0) >= 0.5)[:, None]
    lesion, labelled = read_label(case, reference)
    coverage = transform.to_model(lesion, 0.0)
    marked = coverage if labelled is lesion else transform.to_model(labelled, 0.0)
    return CaseSlices(
        images,
        mask,
        torch.from_numpy(coverage >= 0.5)[:, None] & mask,
        torch.from_numpy(marked.max(axis=(1, 2)) > 0),
        torch.from_numpy(coverage.sum(axis=(1, 2))),
        transform,
    )


def find_case_brain(case: Case, volume: Volume) -> Brain:
    """The brain of one of a case's images: its mask file where it has one, else see
    :func:`~mmccd.brain.find_brain`.
    """
    return find_brain(volume, read_nifti(case.brain, "mask") if case.brain else None)


class LoadPairs(Transform):
    """A case to the stacked pairs of its wanted slices: ``image``, ``label`` and ``brain``, float32
    ``(slices, 1, size, size)``.

    Works on plain dictionaries, so that MONAI's persistent cache can take their hash as the name of
    its file.
    """

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        """Read, select and stack."""
        case = Case(
            item["name"],
            {key: Path(path) for key, path in item["images"].items()},
            _path(item["label"]),
            item["name"],
            brain=_path(item["brain"]),
        )
        source, target = item["source"], item["target"]
        normalisations = {
            name: Normalisation.for_modality(name, item["normalisation"])
            for name in (source, target)
        }
        slices = load_case(case, normalisations)
        wanted = SliceRule(**item["rule"]).select(slices.brain.flatten(1).sum(1).tolist())
        if item["healthy_only"]:
            wanted = [index for index in wanted if not slices.has_lesion[index]]
        return {
            "image": slices.images[source][wanted],
            "label": slices.images[target][wanted],
            "brain": slices.brain[wanted].float(),
            _DIGEST: _digest(case, (source, target), wanted),
        }


def _digest(case: Case, modalities: tuple[str, str], wanted: list[int]) -> str:
    """A hash of what was taken of a case: the content of its files, and the chosen slices."""
    files = [*(case.images[name] for name in modalities), case.label, case.brain]
    hashes = [file_sha256(path) if path is not None else None for path in files]
    return text_sha256(json.dumps([hashes, wanted]))


def _path(name: str | None) -> Path | None:
    return Path(name) if name else None


class SlicePairDataset(Dataset):
    """Slices of one split as pairs (source ``image``, target ``label``, ``brain``), each float32
    ``(1, size, size)``.

    A case's slices are listed as often as its ``repeat`` says. Volumes are read once: into memory
    (MONAI's ``CacheDataset``), or with ``cache_dir`` onto disk (``PersistentDataset``), where later
    runs find them.

    Args:
        dataset_dir: data folder or datalist, see :func:`~mmccd.data.cases.find_cases`.
        split: ``train``, ``val`` or ``test``.
        source: modality of ``image``.
        target: modality of ``label``.
        transform: random transforms of each pair (augmentation), or None.
        split_file: see :func:`~mmccd.data.cases.split_cases`.
        normalisation: ``"paper"`` or ``"code"``.
        rule: which slices; all that hold brain where it is None.
        healthy_only: leave out slices with a lesion label.
        max_cases: only the first cases (for trials); None for all.
        cache_dir: folder for volumes that do not fit into memory.
        progress: show a progress bar while reading.

    Attributes:
        place: the data, as it was given.
        fingerprint: hash of the files' content and of the chosen slices, in their order, without
            names: the same data in another place has the same one.

    Raises:
        InputError, UnsuitableInputError: see :func:`load_case`; no slice left.
    """

    def __init__(
        self,
        dataset_dir: str | Path,
        split: str,
        source: str,
        target: str,
        transform: Callable[..., Any] | None = None,
        split_file: str | Path | None = None,
        normalisation: str = "paper",
        rule: SliceRule | None = None,
        healthy_only: bool = True,
        max_cases: int | None = None,
        cache_dir: str | Path | None = None,
        progress: bool = True,
    ) -> None:
        shared = {
            "source": source,
            "target": target,
            "normalisation": normalisation,
            "rule": asdict(rule or SliceRule()),
            "healthy_only": healthy_only,
            "keys": [*_KEYS, _DIGEST],
        }
        cases = split_cases(dataset_dir, split_file)[split][:max_cases]
        say_doubtful_labels(cases)
        items = [{**_plain(case), **shared} for case in cases]
        self.volumes: Dataset
        if cache_dir is None:
            self.volumes = CacheDataset(
                items, LoadPairs(), num_workers=1, progress=progress, copy_cache=False
            )
        else:
            self.volumes = PersistentDataset(items, LoadPairs(), cache_dir=cache_dir)
        counts = [len(self.volumes[number]["image"]) for number in range(len(items))]
        repeats = [case.repeat for case in cases]
        index = [
            (number, row)
            for number, count in enumerate(counts)
            for row in range(count)
            for _ in range(repeats[number])
        ]
        if not index:
            raise UnsuitableInputError(
                f"{dataset_dir}: no slice of the split {split!r} ({len(cases)} cases) is left;"
                f" expected slices that hold brain{' and no lesion' if healthy_only else ''}; check"
                " the split file and the slice rule"
            )
        digests = [self.volumes[number][_DIGEST] for number in range(len(items))]
        self.fingerprint = text_sha256(json.dumps([digests, repeats]))
        self.place = str(dataset_dir)
        super().__init__(index, transform)

    def _transform(self, index: int) -> Any:
        number, row = self.data[index]
        volume = self.volumes[number]
        pair = {key: volume[key][row] for key in _KEYS}
        return self.transform(pair) if self.transform is not None else pair


def _plain(case: Case) -> dict[str, Any]:
    images = {key: str(path) for key, path in case.images.items()}
    label, brain = (str(path) if path else None for path in (case.label, case.brain))
    return {"name": case.name, "images": images, "label": label, "brain": brain}
