"""Score maps of one method on one subject, kept on disk so that a run that was ended goes on where
it stopped.
"""

from __future__ import annotations

import json
import re
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mmccd.core import ScoreMaps, make_folder, replacing
from mmccd.evaluation.candidates import Candidate
from mmccd.evaluation.subjects import Subject, normalised_slices
from mmccd.methods import Scorer

FORMAT = 4
LAYERS = tuple(field.name for field in fields(ScoreMaps))


@dataclass(frozen=True)
class StoredMaps:
    """What a scorer says about some slices of one case.

    Attributes:
        slices: index of each slice in the volume.
        scores: its maps, each ``(slices, 1, size, size)``.
        seconds: time of each slice, ``(slices,)``.
    """

    slices: NDArray[np.int64]
    scores: ScoreMaps
    seconds: NDArray[np.float64]

    def take(self, wanted: Sequence[int]) -> StoredMaps:
        """Only these slices, in this order."""
        rows = [int(np.flatnonzero(self.slices == index)[0]) for index in wanted]
        return StoredMaps(self.slices[rows], _rows(self.scores, rows), self.seconds[rows])


class MapStore:
    """Score maps on disk, one file for each method and case.

    A file counts only with the method's own key (weights, settings, seed, normalisation) and the
    size and time of the image and of its brain mask; slices that it lacks are computed and added.

    Args:
        folder: where the files lie; made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def score(
        self, candidate: Candidate, subject: Subject, scorer: Callable[[], Scorer]
    ) -> StoredMaps:
        """The maps of a subject's slices, from disk where they are.

        Args:
            candidate: its key names the maps.
            subject: which case and slices.
            scorer: gives its scorer; asked only where something has to be computed.

        Raises:
            OutputError: the file cannot be written.
        """
        path = self.folder / re.sub(r"[^\w=.-]", "_", candidate.name) / f"{subject.name}.npz"
        key = _key(candidate, subject)
        known = _read(path, key)
        missing = [index for index in subject.slices if known is None or index not in known.slices]
        if missing:
            made = _compute(candidate, subject, missing, scorer())
            known = made if known is None else _joined(known, made)
            _write(path, key, known)
        assert known is not None
        return known.take(subject.slices)


def _key(candidate: Candidate, subject: Subject) -> str:
    case = subject.case
    files = {"image": case.images[candidate.key["source"]], "brain": case.brain}
    content = {
        "format": FORMAT,
        **candidate.key,
        "files": {name: _state(file) for name, file in files.items() if file},
    }
    return json.dumps(content, sort_keys=True)


def _state(file: Path) -> list[str | int]:
    state = file.stat()
    return [file.name, state.st_size, state.st_mtime_ns]


def _compute(
    candidate: Candidate, subject: Subject, wanted: Sequence[int], scorer: Scorer
) -> StoredMaps:
    """Score some slices of a case; the others are emptied, so that each keeps its index and with it
    its noise.
    """
    slices = normalised_slices(subject.case, candidate.key["source"], candidate.normalisation)
    chosen = torch.zeros(len(slices.image), dtype=torch.bool)
    chosen[list(wanted)] = True
    begin = time.perf_counter()
    brain = slices.brain & chosen[:, None, None, None]
    scores = scorer.score(replace(slices, brain=brain, whole=slices.brain))
    seconds = (time.perf_counter() - begin) / len(wanted)
    return StoredMaps(
        np.asarray(wanted, dtype=np.int64),
        _rows(scores, list(wanted)),
        np.full(len(wanted), seconds),
    )


def _rows(scores: ScoreMaps, rows: list[int]) -> ScoreMaps:
    return ScoreMaps(**{name: getattr(scores, name)[rows] for name in LAYERS})


def _joined(first: StoredMaps, second: StoredMaps) -> StoredMaps:
    layers = {
        name: torch.cat([getattr(first.scores, name), getattr(second.scores, name)])
        for name in LAYERS
    }
    return StoredMaps(
        np.concatenate([first.slices, second.slices]),
        ScoreMaps(**layers),
        np.concatenate([first.seconds, second.seconds]),
    )


def _read(path: Path, key: str) -> StoredMaps | None:
    """What is stored under this key; None where there is nothing, something else, or a damaged
    file.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            if str(stored["key"]) != key:
                return None
            layers = {name: torch.from_numpy(stored[name]) for name in LAYERS}
            return StoredMaps(stored["slices"], ScoreMaps(**layers), stored["seconds"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _write(path: Path, key: str, maps: StoredMaps) -> None:
    make_folder(path.parent)
    layers = {name: getattr(maps.scores, name).numpy() for name in LAYERS}
    with replacing(path) as staged, staged.open("wb") as file:
        np.savez_compressed(
            file, key=np.array(key), slices=maps.slices, seconds=maps.seconds, **layers
        )
