"""One slice per patient, pooled within the brain: the anomaly map beside the plain intensity of the input.

Per patient the slice with the largest lesion among the middle third of the slices, at half the native in-plane resolution (2x2 area mean; brain and
lesion: mean of 0.5 or more). Intensity is normalised with the 2nd and 90th percentile of the volume's brain. Intervals are 95 % bootstrap over patients.

    python benchmarks/slice_protocol.py DATA --split test --preset fast --target t1
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from mmccd.brain import find_brain
from mmccd.bundle import find_bundles, load_pair
from mmccd.data.cases import Case, split_cases
from mmccd.io.nifti import read_nifti
from mmccd.metrics import auprc, auroc, best_dice, dice
from mmccd.pipeline import AnomalyPipeline

BOOTSTRAPS = 1000
Scores = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Patient:
    """Voxels inside the brain of one slice, 1-D."""

    name: str
    slice_index: int
    truth: NDArray[np.bool_]
    scores: Scores


def score_patient(pipeline: AnomalyPipeline, case: Case) -> Patient:
    """Run the cycle on the patient's slice. The data's slices lie along the third axis, inferior to superior."""
    volume = read_nifti(case.images[pipeline.source], pipeline.source)
    assert case.label is not None
    lesion = read_nifti(case.label).data > 0.5
    count = volume.shape[2]
    middle = range(count // 3, math.ceil(2 * count / 3))
    index = max(middle, key=lambda k: int(lesion[:, :, k].sum()))
    brain = find_brain(volume)
    wanted = np.arange(count) == index
    maps = pipeline.maps(volume, brain, wanted)
    low, high = np.percentile(volume.data[brain.mask], [2, 90])
    inside = halve(brain.mask[:, :, index]) >= 0.5
    layers = {
        "intensity": (volume.data - low) / (high - low),
        "map": maps.anomaly,
        "smoothed map": maps.smoothed,
    }
    planes = {name: halve(layer[:, :, index]) for name, layer in layers.items()}
    planes["smoothed intensity"] = median_filter(np.where(inside, planes["intensity"], 0), pipeline.preset.postprocessing.median_size)
    scores = {name: plane[inside] for name, plane in planes.items()}
    return Patient(case.name, index, (halve(lesion[:, :, index]) >= 0.5)[inside], scores)


def halve(layer: NDArray[np.generic]) -> NDArray[np.float32]:
    """2x2 area mean."""
    rows, columns = layer.shape
    return np.asarray(layer, dtype=np.float32).reshape(rows // 2, 2, columns // 2, 2).mean(axis=(1, 3))


def pooled(patients: list[Patient], name: str) -> dict[str, float]:
    """Figures over the voxels of all patients."""
    truth = np.concatenate([patient.truth for patient in patients])
    score = np.concatenate([patient.scores[name] for patient in patients])
    return {"auprc": auprc(truth, score), "auroc": auroc(truth, score), "best_dice": best_dice(truth, score)[0]}


def interval(patients: list[Patient], name: str, seed: int = 0) -> list[float]:
    """95 % interval of the pooled AUPRC, patients resampled."""
    random = np.random.default_rng(seed)
    draws = [random.integers(len(patients), size=len(patients)) for _ in range(BOOTSTRAPS)]
    values = [pooled_auprc([patients[i] for i in draw], name) for draw in draws]
    return [round(float(value), 3) for value in np.percentile(values, [2.5, 97.5])]


def pooled_auprc(patients: list[Patient], name: str) -> float:
    """AUPRC over the voxels of all patients."""
    truth = np.concatenate([patient.truth for patient in patients])
    return auprc(truth, np.concatenate([patient.scores[name] for patient in patients]))


def dice_at_quantiles(pipeline: AnomalyPipeline, patients: list[Patient]) -> dict[str, float]:
    """Pooled Dice of the smoothed map at quantiles of the error on the calibration's healthy data; empty without a calibration."""
    if pipeline.calibration is None:
        return {}
    truth = np.concatenate([patient.truth for patient in patients])
    score = np.concatenate([patient.scores["smoothed map"] for patient in patients])
    quantiles = {name: value for name, value in pipeline.calibration.healthy_error.items() if name.startswith("q")}
    return {name: round(dice(truth, score > value), 3) for name, value in quantiles.items()}


def main() -> None:
    """Score the patients of a split and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--split", default="val")
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--target")
    parser.add_argument("--bundles")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    pair = load_pair(find_bundles(arguments.bundles), arguments.target)
    pipeline = AnomalyPipeline(pair, arguments.preset, require_threshold=False)
    start = time.monotonic()
    patients = [score_patient(pipeline, case) for case in split_cases(arguments.data)[arguments.split]]
    seconds = time.monotonic() - start
    rows = {name: {**pooled(patients, name), "auprc_95": interval(patients, name)} for name in patients[0].scores}
    figures = {
        "split": arguments.split,
        "patients": len(patients),
        "preset": arguments.preset,
        "settings": pipeline.preset.settings(),
        "target": pair.target,
        "weights": [pair.forward.sha256, pair.backward.sha256],
        "prevalence": float(np.concatenate([patient.truth for patient in patients]).mean()),
        "seconds_per_slice": round(seconds / len(patients), 2),
        "scores": rows,
        "dice_at_healthy_quantile": dice_at_quantiles(pipeline, patients),
        "auprc_per_patient": {p.name: {name: round(auprc(p.truth, score), 3) for name, score in p.scores.items()} for p in patients},
    }
    text = json.dumps(figures, indent=2)
    if arguments.output:
        arguments.output.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
