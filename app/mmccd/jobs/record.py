"""What a result was made of, as its report says it: by this a run that is started again knows what
it has done.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mmccd
from mmccd.core import ONLY_DICOM, OutputError
from mmccd.io import files_below
from mmccd.outputs import MARKER, NAMES

if TYPE_CHECKING:
    from mmccd.pipeline import AnomalyPipeline

KEY = "request"
NEEDED = ("anomaly_map.nii.gz", "segmentation.nii.gz", "brain_mask.nii.gz")
_SHOWN = 4


def request(
    pipeline: AnomalyPipeline, path: Path, brain_mask: Path | None = None, series: str | None = None
) -> dict[str, Any]:
    """Everything that decides a result but the device: input, settings, threshold, weights,
    version. Plain values, nothing of the patient.

    Raises:
        ModelError: the brain network's card is missing or damaged.
    """
    from mmccd.bundle import load_brain_weights

    models = pipeline.models
    # What was left open (target, threshold) stands here as it was chosen, and of a series or a
    # study, which name the patient's data, only a hash.
    asked = pipeline.settings.result_key()
    content = {
        **asked,
        "input": fingerprint(path),
        "brain mask": fingerprint(brain_mask) if brain_mask else None,
        "series": hashlib.sha256(series.encode()).hexdigest() if series else None,
        "study": hashlib.sha256(asked["study"].encode()).hexdigest(),
        **pipeline.preset.settings(),
        "target": models.target,
        "precision": pipeline.precision,
        "threshold": pipeline.threshold,
        "weights": [*models.hashes.values(), load_brain_weights(models.root).sha256],
        "version of mmccd": mmccd.__version__,
    }
    return dict(json.loads(json.dumps(content)))


def fingerprint(path: Path) -> str:
    """A hash of size and time of last change of a file, or of all files below a folder.

    Raises:
        InputError: a folder cannot be listed.
    """
    states = sorted((file.stat().st_size, file.stat().st_mtime_ns) for file in files_below(path))
    return hashlib.sha256(json.dumps(states).encode()).hexdigest()


def is_complete(folder: Path, wanted: dict[str, Any], force: bool) -> bool:
    """Whether a folder already holds the results of a request.

    Args:
        folder: output folder of a case.
        wanted: see :func:`request`.
        force: whether a result may be made again; then the answer is no.

    Raises:
        OutputError: it holds complete results of another request.
    """
    needed = () if wanted.get("outputs") == ONLY_DICOM else NEEDED
    if force or not all((folder / name).is_file() for name in (*needed, MARKER)):
        return False
    try:
        made = json.loads((folder / MARKER).read_text()).get(KEY) or {}
    except (OSError, ValueError, AttributeError):
        return False
    if made == wanted:
        return True
    other = [name for name in wanted if made.get(name) != wanted[name]] if made else ["the command"]
    raise OutputError(
        f"{folder}: holds results that were made otherwise (other: {', '.join(other[:_SHOWN])}); "
        "choose another --output, or replace them with --force"
    )


def is_begun(folder: Path) -> bool:
    """Whether a folder holds files of ours without the report that makes them a result."""
    return not (folder / MARKER).exists() and any((folder / name).is_file() for name in NAMES)
