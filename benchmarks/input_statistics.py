"""Measure what brains on FLAIR, T1 and T2 look like; writes the forward bundle's
``configs/input_statistics.json`` (docs/checks.md).

python benchmarks/input_statistics.py
    --output bundles/forward_masked_diffusion/configs/input_statistics.json DATA [DATA ...]

DATA are data folders in BraTS layout with a split.json, or datalists; their splits ``train`` and
``val`` are used, never ``test``. A brain may have lesions: what is measured is the usual patient.
"""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from mmccd.brain import find_brain
from mmccd.core import UnsuitableInputError
from mmccd.data import split_cases
from mmccd.io import read_nifti
from mmccd.phantom import SLICE_MM
from mmccd.quality import (
    CONTRAST,
    FACES,
    QUALITY,
    BrainSlices,
    face_shares,
    measure,
    width_to_length,
)

logger = logging.getLogger(__name__)
NAMES = ("flair", "t1", "t2")
SHRINKAGE = 0.1
QUALITY_MARGIN = 1.25
OUTLINE_MARGIN = 1.1
REFUSE, WARN = 0.45, 0.6
"""Probabilities of FLAIR: below the lowest of any FLAIR in training and validation data (.50), and
above nearly all others.
"""


def rows_of(source: Path, most: int) -> list[dict[str, Any]]:
    """The numbers of every image of the splits train and val, of at most so many cases a split,
    evenly spread.
    """
    rows = []
    for split, cases in split_cases(source).items():
        for case in cases[:: -(-len(cases) // most)] if split in ("train", "val") and cases else ():
            for name in NAMES:
                if name in case.images:
                    rows.append(
                        row_of(source.name, split, case.name, name, case.images[name], case.brain)
                    )
    return [row for row in rows if row]


def row_of(
    data: str, split: str, case: str, contrast: str, path: Path, mask: Path | None
) -> dict[str, Any]:
    """The numbers of one image; nothing where its brain cannot be found."""
    volume = read_nifti(path, contrast)
    try:
        slices = BrainSlices.of(
            volume, find_brain(volume, read_nifti(mask, "mask") if mask else None).mask
        )
    except UnsuitableInputError as error:
        logger.warning("%s: left out (%s)", path.name, error)
        return {}
    shape = {
        "height": float(slices.mask.any(axis=(1, 2)).sum() * slices.spacing[0]),
        "ml": float(slices.mask.sum() * np.prod(slices.spacing) / 1000),
        "slice_mm": slices.spacing[0],
        "width_to_length": width_to_length(slices),
        **face_shares(slices),
    }
    return {
        "data": data,
        "split": split,
        "case": case,
        "contrast": contrast,
        **measure(slices),
        **shape,
    }


def table(rows: list[dict[str, Any]], names: tuple[str, ...], **which: str) -> NDArray[np.float64]:
    """Some numbers of some rows, ``(rows, numbers)``."""
    chosen = [row for row in rows if all(row[key] == value for key, value in which.items())]
    return np.array([[row[name] for name in names] for row in chosen]).reshape(
        len(chosen), len(names)
    )


def fit_classifier(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Logistic regression of the contrast; each contrast counts alike."""
    train = [row for row in rows if row["split"] == "train"]
    scaler = StandardScaler().fit(table(train, CONTRAST))
    model = LogisticRegression(C=1.0, max_iter=10000, class_weight="balanced")
    model.fit(scaler.transform(table(train, CONTRAST)), [row["contrast"] for row in train])
    contrasts = {
        str(name): {
            "weights": [round(float(w), 5) for w in weights],
            "intercept": round(float(intercept), 5),
        }
        for name, weights, intercept in zip(
            model.classes_, model.coef_, model.intercept_, strict=True
        )
    }
    mean, scale = ([round(float(v), 6) for v in values] for values in (scaler.mean_, scaler.scale_))
    return {"features": list(CONTRAST), "mean": mean, "scale": scale, "contrasts": contrasts}


def fit_reference(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and inverse covariance of FLAIR in training; the covariance is shrunk towards its
    diagonal.
    """
    names = (*CONTRAST, *QUALITY)
    values = table(rows, names, split="train", contrast="flair")
    covariance = np.cov(values.T)
    covariance = (1 - SHRINKAGE) * covariance + SHRINKAGE * np.diag(np.diag(covariance))
    precision = [[round(float(v), 5) for v in line] for line in np.linalg.inv(covariance)]
    return {
        "features": list(names),
        "mean": [round(float(v), 6) for v in values.mean(0)],
        "precision": precision,
    }


def out_of_distribution(
    reference: dict[str, Any], values: NDArray[np.float64]
) -> NDArray[np.float64]:
    """As :meth:`~mmccd.quality.rules.InputStatistics.out_of_distribution`."""
    offset = values - np.array(reference["mean"])
    return np.asarray(
        np.sqrt(
            np.einsum("ni,ij,nj->n", offset, np.array(reference["precision"]), offset)
            / values.shape[1]
        )
    )


def limits(rows: list[dict[str, Any]], reference: dict[str, Any]) -> dict[str, Any]:
    """What is beyond everything that training and validation data show, with a margin of a
    quarter.
    """
    flair = [row for row in rows if row["contrast"] == "flair"]
    most = {
        name: round(QUALITY_MARGIN * max(row[name] for row in flair), 4)
        for name in ("bias", "jump", *FACES)
    }
    low, high = (pick(row["detail"] for row in flair) for pick in (min, max))
    far = out_of_distribution(reference, table(flair, tuple(reference["features"])))
    return {
        "flair_warn": WARN,
        "flair_refuse": REFUSE,
        "out_of_distribution": round(QUALITY_MARGIN * float(far.max()), 3),
        "bias": most["bias"],
        "jump": most["jump"],
        "detail": [round(low / QUALITY_MARGIN, 4), round(high * QUALITY_MARGIN, 4)],
        "face_warn": {face: round(min(0.9, max(0.2, most[face])), 3) for face in FACES},
        "face_refuse": {face: round(min(0.95, max(0.6, 1.25 * most[face])), 3) for face in FACES},
        "width_to_length": [
            round(min(row["width_to_length"] for row in flair) / OUTLINE_MARGIN, 3),
            round(max(row["width_to_length"] for row in flair) * OUTLINE_MARGIN, 3),
        ],
        "height_warn_mm": 90.0,
        "height_refuse_mm": 30.0,
        "brain_ml": [600.0, 2300.0],
        "slice_mm": SLICE_MM[1],
    }


def main() -> None:
    """Measure, fit, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--output", required=True, type=Path)
    parser.add_argument("--most", type=int, default=40, help="cases of a split")
    parser.add_argument(
        "--rows",
        type=Path,
        help="JSON file for the numbers of every image; where it is there, it is read instead",
    )
    arguments = parser.parse_args()
    if arguments.rows and arguments.rows.is_file():
        rows = json.loads(arguments.rows.read_text())
    else:
        rows = [row for source in arguments.data for row in rows_of(source, arguments.most)]
    if arguments.rows:
        arguments.rows.write_text(json.dumps(rows, indent=1) + "\n")
    reference = fit_reference(rows)
    counts: dict[str, int] = {}
    for row in rows:
        key = f"{row['data']} {row['split']} {row['contrast']}"
        counts[key] = counts.get(key, 0) + 1
    content = {
        "classifier": fit_classifier(rows),
        "reference": reference,
        "limits": limits(rows, reference),
        "origin": {
            "images": counts,
            "command": "python benchmarks/input_statistics.py",
            "documented_in": "docs/checks.md",
        },
    }
    arguments.output.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
