"""mmccd.evaluation.scoring: maps are made once, kept, and made again where anything has changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmccd.core.errors import OutputError
from mmccd.data.cases import split_cases
from mmccd.data.slices import SliceRule
from mmccd.evaluation.candidates import Candidate, Setup, make_candidates
from mmccd.evaluation.scoring import LAYERS, MapStore
from mmccd.evaluation.subjects import Subject, load_subject
from mmccd.io.nifti import read_nifti, write_nifti
from mmccd.methods.base import Scorer


@pytest.fixture(scope="module")
def whole(labelled_data: Path) -> Subject:
    (case,) = split_cases(labelled_data)["test"]
    subject = load_subject(case, "test", "flair", SliceRule("central"))
    assert subject is not None
    return subject


@pytest.fixture(scope="module")
def candidate(setup: Setup) -> Candidate:
    return make_candidates(["mmccd"], setup)[0]


@pytest.fixture
def store(tmp_path: Path) -> MapStore:
    return MapStore(tmp_path / "maps")


def never() -> Scorer:
    raise AssertionError("everything is there")


def only(subject: Subject, *rows: int) -> Subject:
    """A subject with some of its slices."""
    chosen = list(rows)
    return replace(
        subject,
        slices=tuple(subject.slices[row] for row in chosen),
        image=subject.image[chosen],
        brain=subject.brain[chosen],
        lesion=subject.lesion[chosen],
        healthy=subject.healthy[chosen],
        picture=0,
    )


def test_kept_and_found(store: MapStore, candidate: Candidate, whole: Subject) -> None:
    first = store.score(candidate, only(whole, 1), candidate.build)
    again = store.score(candidate, only(whole, 1), never)
    assert first.scores.anomaly.shape == (1, 1, 128, 128)
    brain = only(whole, 1).brain[:, None]
    assert first.scores.coverage[~brain].max() > 0, "strips reach beyond the brain"
    assert first.scores.anomaly[brain].std() > 0
    for name in LAYERS:
        one, other = getattr(first.scores, name), getattr(again.scores, name)
        assert np.array_equal(one, other, equal_nan=True), "kept to the bit"
    assert first.seconds[0] > 0


def test_other_slices_are_added(store: MapStore, candidate: Candidate, whole: Subject) -> None:
    """One after the other as all at once: each slice keeps its index, and with it its noise."""
    store.score(candidate, only(whole, 1), candidate.build)
    added = store.score(candidate, only(whole, 0, 1), candidate.build)
    assert added.slices.tolist() == list(only(whole, 0, 1).slices)
    at_once = MapStore(store.folder / "other").score(candidate, only(whole, 0, 1), candidate.build)
    assert np.allclose(added.scores.anomaly, at_once.scores.anomaly, atol=1e-5, equal_nan=True)
    store.score(candidate, only(whole, 0, 1), never)


def test_changed_method_or_image(
    store: MapStore, candidate: Candidate, whole: Subject, tmp_path: Path
) -> None:
    intensity = replace(candidate, name="mmccd")
    subject = only(whole, 0)
    store.score(intensity, subject, candidate.build)
    built: list[int] = []

    def build() -> Scorer:
        built.append(1)
        return candidate.build()

    store.score(replace(intensity, key={**candidate.key, "seed": 9}), subject, build)
    assert len(built) == 1
    store.score(intensity, subject, build)
    assert len(built) == 2, "the other one's file took its place"
    path = tmp_path / "copy_flair.nii.gz"
    path.write_bytes(subject.case.images["flair"].read_bytes())
    moved = replace(subject, case=replace(subject.case, images={"flair": path}))
    store.score(intensity, moved, build)
    assert len(built) == 3


def test_changed_brain_mask(store: MapStore, setup: Setup, whole: Subject, tmp_path: Path) -> None:
    (candidate,) = make_candidates(["intensity"], setup)
    image = read_nifti(whole.case.images["flair"], "flair")
    half = (image.data != 0) & (np.arange(image.shape[0]) < image.shape[0] // 2)[:, None, None]
    mask = tmp_path / "half_brain.nii.gz"
    write_nifti(replace(image, data=half.astype(np.float32)), mask, "uint8")
    subject = only(whole, 0)
    first = store.score(candidate, subject, candidate.build)
    masked = store.score(
        candidate, replace(subject, case=replace(subject.case, brain=mask)), candidate.build
    )
    counts = [int(one.scores.anomaly.isfinite().sum()) for one in (masked, first)]
    assert 0 < counts[0] < counts[1]


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04", b"nothing of ours"])
def test_damaged_file_is_made_again(
    store: MapStore, setup: Setup, whole: Subject, damage: bytes
) -> None:
    (candidate,) = make_candidates(["intensity"], setup)
    first = store.score(candidate, only(whole, 0), candidate.build)
    (path,) = store.folder.rglob("*.npz")
    path.write_bytes(damage)
    again = store.score(candidate, only(whole, 0), candidate.build)
    assert np.array_equal(first.scores.anomaly, again.scores.anomaly, equal_nan=True)
    store.score(candidate, only(whole, 0), never)


def test_names_are_fit_for_folders(store: MapStore, setup: Setup, whole: Subject) -> None:
    (candidate,) = make_candidates(["mmccd:steps=1:stride=16"], setup)
    store.score(candidate, only(whole, 0), candidate.build)
    assert [path.name for path in store.folder.iterdir()] == ["mmccd_steps=1_stride=16"]


def test_folder_that_is_a_file(tmp_path: Path, setup: Setup, whole: Subject) -> None:
    (candidate,) = make_candidates(["intensity"], setup)
    (tmp_path / "maps").write_text("here")
    with pytest.raises(OutputError, match="maps"):
        MapStore(tmp_path / "maps").score(candidate, only(whole, 0), candidate.build)
