"""Measure what brains on FLAIR, T1 and T2 look like; writes the forward bundle's
``configs/input_statistics.json`` and prints how well it tells them apart (docs/checks.md).

python benchmarks/input_statistics.py
    --output bundles/forward_masked_diffusion/configs/input_statistics.json DATA [DATA ...]

DATA are data folders in BraTS layout with a split.json, or datalists. What is written comes from
their splits ``train`` and ``val``; the split ``test`` is only measured for the table. A brain may
have lesions: what is measured is the usual patient. A head without a mask is extracted.
"""

from __future__ import annotations

import argparse
import json
import logging
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from disturbances import disturbed
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import StandardScaler

from mmccd.brain import find_brain
from mmccd.core import UnsuitableInputError
from mmccd.data import Case, split_cases
from mmccd.io import read_nifti
from mmccd.phantom import SLICE_MM
from mmccd.pipeline import make_intake
from mmccd.quality import (
    CONTRAST,
    FACES,
    REFERENCE,
    BrainSlices,
    InputStatistics,
    Intake,
    face_shares,
    measure,
    width_to_length,
)

logger = logging.getLogger(__name__)
NAMES = ("flair", "t1", "t2")
FITTED = ("train", "val")
REGULARISATION = 0.1
FOLDS = 6
SHRINKAGE = 0.1
QUALITY_MARGIN = 1.25
OUTLINE_MARGIN = 1.1
REFUSE, WARN = 0.25, 0.75
"""Probabilities of FLAIR, by cross-validation: about one in fifty disturbed real FLAIRs lies below
the first, one real FLAIR as it is below the second.
"""


@cache
def intake() -> Intake:
    """Extraction of heads."""
    return make_intake()


def rows_of(source: Path, most: int, copies: int) -> Iterator[dict[str, Any]]:
    """The numbers of every image, of at most so many cases a split, evenly spread."""
    for split, cases in split_cases(source).items():
        for case in cases[:: -(-len(cases) // most)] if cases else ():
            for contrast in NAMES:
                if contrast in case.images:
                    about = {
                        "data": name_of(source),
                        "split": split,
                        "patient": case.patient,
                        "case": case.name,
                        "contrast": contrast,
                    }
                    yield from rows_of_image(about, case, copies if split in FITTED else 0)


def rows_of_image(about: dict[str, Any], case: Case, copies: int) -> Iterator[dict[str, Any]]:
    """The numbers of one image as it is (copy 0) and of its disturbed copies; nothing where its
    brain cannot be found.
    """
    contrast = about["contrast"]
    volume = read_nifti(case.images[contrast], contrast)
    mask = read_nifti(case.brain, "mask") if case.brain else None
    try:
        brain = find_brain(volume, mask, intake().extract)
        slices = BrainSlices.of(volume, brain.mask)
    except UnsuitableInputError as error:
        logger.warning("%s %s: left out (%s)", case.name, contrast, error)
        return
    yield {**about, "copy": 0, **measure(slices), **shape_of(slices)}
    for copy in range(1, copies + 1):
        random = np.random.default_rng([zlib.crc32(f"{case.name} {contrast}".encode()), copy])
        yield {**about, "copy": copy, **measure(disturbed(slices, contrast, random))}


def shape_of(slices: BrainSlices) -> dict[str, float]:
    """How large it is, and where it is cut."""
    return {
        "height": float(slices.mask.any(axis=(1, 2)).sum() * slices.spacing[0]),
        "ml": float(slices.mask.sum() * np.prod(slices.spacing) / 1000),
        "slice_mm": slices.spacing[0],
        "width_to_length": width_to_length(slices),
        **face_shares(slices),
    }


def table(rows: list[dict[str, Any]], names: tuple[str, ...]) -> NDArray[np.float64]:
    """Some numbers of all rows, ``(rows, numbers)``."""
    return np.array([[row[name] for name in names] for row in rows]).reshape(len(rows), len(names))


def fit_classifier(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Logistic regression of the contrast; each contrast counts alike."""
    values = table(rows, CONTRAST)
    scaler = StandardScaler().fit(values)
    model = LogisticRegression(C=REGULARISATION, max_iter=10000, class_weight="balanced")
    model.fit(scaler.transform(values), [row["contrast"] for row in rows])
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


def probabilities(classifier: dict[str, Any], rows: list[dict[str, Any]]) -> NDArray[np.float64]:
    """Probability of FLAIR of each row."""
    statistics = InputStatistics(classifier, {}, {}, {})
    return np.array([statistics.contrasts(row)["flair"] for row in rows])


def cross_validated(rows: list[dict[str, Any]]) -> NDArray[np.float64]:
    """Probability of FLAIR of each row, by fits to other patients."""
    result = np.zeros(len(rows))
    patients = [row["patient"] for row in rows]
    for fitted, held_out in GroupKFold(FOLDS).split(rows, groups=patients):
        classifier = fit_classifier([rows[i] for i in fitted])
        result[held_out] = probabilities(classifier, [rows[i] for i in held_out])
    return result


def fit_reference(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and inverse covariance of FLAIR in training; the covariance is shrunk towards its
    diagonal.
    """
    values = table(
        [row for row in rows if row["split"] == "train" and row["contrast"] == "flair"], REFERENCE
    )
    covariance = np.cov(values.T)
    covariance = (1 - SHRINKAGE) * covariance + SHRINKAGE * np.diag(np.diag(covariance))
    precision = [[round(float(v), 5) for v in line] for line in np.linalg.inv(covariance)]
    return {
        "features": list(REFERENCE),
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
    far = out_of_distribution(reference, table(flair, REFERENCE))
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


def confusion(rows: list[dict[str, Any]], flair: NDArray[np.float64]) -> Iterator[str]:
    """Lines of a table: what would be refused and warned of, by data, split and contrast."""
    yield "| data | split | contrast | images | probability of FLAIR | refused | warned |"
    yield "|---|---|---|---|---|---|---|"
    groups: dict[tuple[str, str, str], list[float]] = {}
    for row, found in zip(rows, flair, strict=True):
        name = row["data"] + (", disturbed" if row["copy"] else "")
        split = "cross-validated" if row["split"] in FITTED else "test"
        groups.setdefault((name, split, row["contrast"]), []).append(float(found))
    for key, values in sorted(groups.items()):
        wanted = key[2] == "flair"
        extreme = f"lowest {min(values):.2f}" if wanted else f"highest {max(values):.2f}"
        refused = sum(value < REFUSE for value in values)
        warned = sum(REFUSE <= value < WARN for value in values)
        yield f"| {' | '.join(key)} | {len(values)} | {extreme} | {refused} | {warned} |"


def name_of(source: Path) -> str:
    """What to call data: the name of their folder."""
    return source.parent.name if source.is_file() else source.name


def read_or_measure(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Rows of earlier runs, and those of data that they lack, which are kept where that is
    wanted.
    """
    rows: list[dict[str, Any]] = []
    if arguments.rows and arguments.rows.is_file():
        rows = json.loads(arguments.rows.read_text())
    known = {row["data"] for row in rows}
    for source in arguments.data:
        if name_of(source) not in known:
            rows += rows_of(source, arguments.most, arguments.copies)
            if arguments.rows:
                arguments.rows.write_text(json.dumps(rows) + "\n")
    return rows


def main() -> None:
    """Measure, fit, write, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="*", type=Path)
    parser.add_argument("--output", required=True, type=Path)
    parser.add_argument("--most", type=int, default=60, help="cases of a split")
    parser.add_argument("--copies", type=int, default=2, help="disturbed copies of an image")
    parser.add_argument(
        "--rows",
        type=Path,
        help="JSON file for the numbers of every image; data that it has are not measured again",
    )
    arguments = parser.parse_args()
    rows = read_or_measure(arguments)
    fitted = [row for row in rows if row["split"] in FITTED]
    tested = [row for row in rows if row["split"] not in FITTED]
    plain = [row for row in fitted if row["copy"] == 0]
    classifier, reference = fit_classifier(fitted), fit_reference(plain)
    counts: dict[str, int] = {}
    for row in plain:
        key = f"{row['data']} {row['split']} {row['contrast']}"
        counts[key] = counts.get(key, 0) + 1
    content = {
        "classifier": classifier,
        "reference": reference,
        "limits": limits(plain, reference),
        "origin": {
            "images": counts,
            "command": "python benchmarks/input_statistics.py",
            "documented_in": "docs/checks.md",
        },
    }
    arguments.output.write_text(json.dumps(content, indent=1) + "\n")
    found = np.concatenate([cross_validated(fitted), probabilities(classifier, tested)])
    print("\n".join(confusion([*fitted, *tested], found)))


if __name__ == "__main__":
    main()
