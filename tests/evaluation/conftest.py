"""Small subjects with known truth and scores."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.bundle.test_runs import write_run
from tests.conftest import mirrored

from mmccd.data.cases import Case
from mmccd.evaluation.candidates import Setup
from mmccd.evaluation.subjects import Subject
from mmccd.evaluation.variants import Scored, Variant
from mmccd.phantom import Phantom, write_phantom
from mmccd.postprocessing.settings import Postprocessing

MakeScored = Callable[..., Scored]


@pytest.fixture
def make_scored() -> MakeScored:
    """Make a case from its scores and its lesion, ``(slices, rows, columns)``; all of it is brain
    where no brain is given.
    """

    def make(
        score: NDArray[np.float32],
        lesion: NDArray[np.bool_],
        split: str = "val",
        name: str = "case",
        brain: NDArray[np.bool_] | None = None,
        variant: Variant | None = None,
    ) -> Scored:
        score, lesion = np.asarray(score, dtype=np.float32), np.asarray(lesion, dtype=bool)
        inside = np.ones(score.shape, dtype=bool) if brain is None else brain
        subject = Subject(
            case=Case(name, {"flair": Path("none")}, None, name),
            split=split,
            slices=tuple(range(10, 10 + len(score))),
            image=score,
            brain=inside,
            lesion=lesion & inside,
            healthy=~lesion.any(axis=(1, 2)),
            picture=int(lesion.sum(axis=(1, 2)).argmax()),
            spacing=(4.0, 2.0, 2.0),
        )
        return Scored(subject, score, variant or Variant("none", Postprocessing()))

    return make


@pytest.fixture(scope="session")
def labelled_data(
    tmp_path_factory: pytest.TempPathFactory, healthy_phantom: Phantom, lesion_phantom: Phantom
) -> Path:
    """Four cases: train ``spare``; val ``ill_val`` and ``well_val``; test ``ill_test``. Not to be
    changed.
    """
    folder = tmp_path_factory.mktemp("labelled")
    for name, phantom in (
        ("spare", healthy_phantom),
        ("ill_val", mirrored(lesion_phantom)),
        ("well_val", healthy_phantom),
        ("ill_test", lesion_phantom),
    ):
        write_phantom(phantom, folder, name)
    (folder / "split.json").write_text(
        json.dumps({"train": ["spare"], "val": ["ill_val", "well_val"], "test": ["ill_test"]})
    )
    return folder


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of all baselines with tiny random networks, FLAIR and T2. Not to be changed."""
    folder = tmp_path_factory.mktemp("runs")
    for method in ("ae", "vae", "dae", "ddpm"):
        write_run(folder, method)
    write_run(folder, "translator", "flair", "t2")
    write_run(folder, "masked_translation", "flair", "t2")
    return folder


@pytest.fixture(scope="session")
def setup(shared_bundles: Path, runs: Path) -> Setup:
    """All methods on the CPU, the cycle in its ``fast`` preset."""
    return Setup(shared_bundles, runs, "flair", "t2", "fast", "cpu")
