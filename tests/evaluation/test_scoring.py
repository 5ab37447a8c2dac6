"""mmccd.evaluation.scoring: maps are made once, kept, and made again where anything has changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmccd.core.errors import OutputError
from mmccd.data.cases import split_cases
from mmccd.data.slices import SliceRule
from mmccd.evaluation.methods import Method, Setup, make_methods
from mmccd.evaluation.scoring import MapStore
from mmccd.evaluation.subjects import Subject, load_subject
from mmccd.io.nifti import read_nifti, write_nifti
from mmccd.methods.scorer import Scorer


@pytest.fixture(scope="module")
def whole(labelled_data: Path) -> Subject:
    (case,) = split_cases(labelled_data)["test"]
    subject = load_subject(case, "test", "flair", SliceRule("central"))
    assert subject is not None
    return subject


@pytest.fixture(scope="module")
def method(setup: Setup) -> Method:
    return make_methods(["mmccd"], setup)[0]


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


def test_kept_and_found(store: MapStore, method: Method, whole: Subject) -> None:
    first = store.score(method, only(whole, 1), method.build)
    again = store.score(method, only(whole, 1), never)
    assert np.array_equal(first.anomaly, again.anomaly)
    assert first.anomaly.shape == (1, 128, 128)
    assert (first.anomaly[~only(whole, 1).brain] == 0).all()
    assert first.anomaly[only(whole, 1).brain].std() > 0
    assert first.seconds[0] > 0


def test_other_slices_are_added(store: MapStore, method: Method, whole: Subject) -> None:
    """One after the other as all at once: each slice keeps its index, and with it its noise."""
    store.score(method, only(whole, 1), method.build)
    added = store.score(method, only(whole, 0, 1), method.build)
    assert added.slices.tolist() == list(only(whole, 0, 1).slices)
    at_once = MapStore(store.folder / "other").score(method, only(whole, 0, 1), method.build)
    assert np.allclose(added.anomaly, at_once.anomaly, atol=1e-5)
    store.score(method, only(whole, 0, 1), never)


def test_changed_method_or_image(
    store: MapStore, method: Method, whole: Subject, tmp_path: Path
) -> None:
    intensity = replace(method, name="mmccd")
    subject = only(whole, 0)
    store.score(intensity, subject, method.build)
    built: list[int] = []

    def build() -> Scorer:
        built.append(1)
        return method.build()

    store.score(replace(intensity, key={**method.key, "seed": 9}), subject, build)
    assert len(built) == 1
    store.score(intensity, subject, build)
    assert len(built) == 2, "the other one's file took its place"
    path = tmp_path / "copy_flair.nii.gz"
    path.write_bytes(subject.case.images["flair"].read_bytes())
    moved = replace(subject, case=replace(subject.case, images={"flair": path}))
    store.score(intensity, moved, build)
    assert len(built) == 3


def test_changed_brain_mask(store: MapStore, setup: Setup, whole: Subject, tmp_path: Path) -> None:
    (method,) = make_methods(["intensity"], setup)
    image = read_nifti(whole.case.images["flair"], "flair")
    half = (image.data != 0) & (np.arange(image.shape[0]) < image.shape[0] // 2)[:, None, None]
    mask = tmp_path / "half_brain.nii.gz"
    write_nifti(replace(image, data=half.astype(np.float32)), mask, "uint8")
    subject = only(whole, 0)
    first = store.score(method, subject, method.build)
    masked = store.score(
        method, replace(subject, case=replace(subject.case, brain=mask)), method.build
    )
    assert 0 < np.count_nonzero(masked.anomaly) < np.count_nonzero(first.anomaly)


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04", b"nothing of ours"])
def test_damaged_file_is_made_again(
    store: MapStore, setup: Setup, whole: Subject, damage: bytes
) -> None:
    (method,) = make_methods(["intensity"], setup)
    first = store.score(method, only(whole, 0), method.build)
    (path,) = store.folder.rglob("*.npz")
    path.write_bytes(damage)
    again = store.score(method, only(whole, 0), method.build)
    assert np.array_equal(first.anomaly, again.anomaly)
    store.score(method, only(whole, 0), never)


def test_names_are_fit_for_folders(store: MapStore, setup: Setup, whole: Subject) -> None:
    (method,) = make_methods(["mmccd:steps=1:stride=16"], setup)
    store.score(method, only(whole, 0), method.build)
    assert [path.name for path in store.folder.iterdir()] == ["mmccd_steps=1_stride=16"]


def test_folder_that_is_a_file(tmp_path: Path, setup: Setup, whole: Subject) -> None:
    (method,) = make_methods(["intensity"], setup)
    (tmp_path / "maps").write_text("here")
    with pytest.raises(OutputError, match="maps"):
        MapStore(tmp_path / "maps").score(method, only(whole, 0), method.build)
