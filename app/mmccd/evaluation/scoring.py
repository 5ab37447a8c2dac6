"""Maps of one method on one subject, kept on disk so that a run that was ended goes on where it
stopped.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mmccd.core import OutputError
from mmccd.evaluation.methods import Method
from mmccd.evaluation.subjects import Subject, normalised_volume
from mmccd.methods import Scorer

Floats = NDArray[np.float32]
FORMAT = 3
FIELDS = ("slices", "anomaly", "signed", "imagined", "returned", "seconds")


@dataclass(frozen=True)
class Maps:
    """What a scorer says about some slices of one case: arrays ``(slices, size, size)``, 0 outside
    the brain.

    Attributes:
        slices: index of each slice in the volume.
        anomaly: the anomaly map.
        signed: mean of x - x'; the score itself where nothing returns.
        imagined: mean imagined target (or the reconstruction), float16, NaN where the method has
            none.
        returned: mean x', likewise.
        seconds: time of each slice, ``(slices,)``.
    """

    slices: NDArray[np.int64]
    anomaly: Floats
    signed: Floats
    imagined: NDArray[np.float16]
    returned: NDArray[np.float16]
    seconds: NDArray[np.float64]

    def take(self, wanted: Sequence[int]) -> Maps:
        """Only these slices, in this order."""
        rows = [int(np.flatnonzero(self.slices == index)[0]) for index in wanted]
        return Maps(**{name: getattr(self, name)[rows] for name in FIELDS})


class MapStore:
    """Anomaly maps on disk, one file for each method and case.

    A file counts only with the method's own key (weights, settings, seed, normalisation) and the
    size and time of the image and of its brain mask; slices that it lacks are computed and added.

    Args:
        folder: where the files lie; made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def score(self, method: Method, subject: Subject, scorer: Callable[[], Scorer]) -> Maps:
        """The maps of a subject's slices, from disk where they are.

        Args:
            method: its key names the maps.
            subject: which case and slices.
            scorer: gives the method's scorer; asked only where something has to be computed.

        Raises:
            OutputError: the file cannot be written.
        """
        path = self.folder / re.sub(r"[^\w=.-]", "_", method.name) / f"{subject.name}.npz"
        key = _key(method, subject)
        known = _read(path, key)
        missing = [index for index in subject.slices if known is None or index not in known.slices]
        if missing:
            made = _compute(method, subject, missing, scorer())
            known = made if known is None else _joined(known, made)
            _write(path, key, known)
        assert known is not None
        return known.take(subject.slices)


def _key(method: Method, subject: Subject) -> str:
    case = subject.case
    files = {"image": case.images[method.key["source"]], "brain": case.brain}
    content = {
        "format": FORMAT,
        **method.key,
        "files": {name: _state(file) for name, file in files.items() if file},
    }
    return json.dumps(content, sort_keys=True)


def _state(file: Path) -> list[str | int]:
    state = file.stat()
    return [file.name, state.st_size, state.st_mtime_ns]


def _compute(method: Method, subject: Subject, wanted: Sequence[int], scorer: Scorer) -> Maps:
    """Score some slices of a case; the others are emptied, so that each keeps its index and with it
    its noise.
    """
    image, brain = normalised_volume(subject.case, method.key["source"], method.normalisation)
    chosen = torch.zeros(len(image), dtype=torch.bool)
    chosen[list(wanted)] = True
    begin = time.perf_counter()
    result = scorer.score(image, brain & chosen[:, None, None, None])
    seconds = (time.perf_counter() - begin) / len(wanted)
    inside = brain[wanted, 0].numpy()
    anomaly, signed = (
        np.where(inside, np.nan_to_num(layer[wanted, 0].numpy()), 0.0).astype(np.float32)
        for layer in (result.anomaly, result.signed)
    )
    imagined, returned = (
        layer[wanted, 0].numpy().astype(np.float16) for layer in (result.imagined, result.returned)
    )
    return Maps(
        np.asarray(wanted, dtype=np.int64),
        anomaly,
        signed,
        imagined,
        returned,
        np.full(len(wanted), seconds),
    )


def _joined(first: Maps, second: Maps) -> Maps:
    fields: dict[str, Any] = {
        name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in FIELDS
    }
    return Maps(**fields)


def _read(path: Path, key: str) -> Maps | None:
    """What is stored under this key; None where there is nothing, something else, or a damaged
    file.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            if str(stored["key"]) != key:
                return None
            return Maps(*(stored[name] for name in FIELDS))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _write(path: Path, key: str, maps: Maps) -> None:
    staged = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with staged.open("wb") as file:
            np.savez_compressed(file, key=np.array(key), **vars(maps))
        staged.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            staged.unlink()
        raise OutputError(
            f"{path}: cannot be written ({error.strerror or error}); choose another --output or"
            " free some space"
        ) from error
