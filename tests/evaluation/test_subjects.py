"""mmccd.evaluation.subjects: which slices, and what is true in them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mmccd.brain import Brain
from mmccd.core import Volume
from mmccd.data import Case
from mmccd.data.cases import split_cases
from mmccd.data.slices import SliceRule
from mmccd.evaluation import subjects
from mmccd.evaluation.subjects import (
    DISPLAY,
    Subject,
    load_subject,
    load_with_neighbours,
    normalised_slices,
    with_image,
)
from mmccd.io import read_nifti, write_nifti
from mmccd.phantom import Phantom


def test_largest_lesion(labelled_data: Path, lesion_phantom: Phantom) -> None:
    (case,) = split_cases(labelled_data)["test"]
    area = lesion_phantom.lesion.data.sum(axis=(0, 1))
    subject = load_subject(case, "test", "flair", SliceRule(), largest_only=True)
    assert subject is not None
    assert subject.slices == (int(area.argmax()),)
    assert subject.image.shape == subject.brain.shape == subject.lesion.shape == (1, 128, 128)
    assert subject.lesion.sum() == pytest.approx(area.max() * (2 / 1.875) ** 2, rel=0.1)
    assert subject.spacing == pytest.approx((12.0, 1.875, 1.875))
    assert subject.voxel_ml == pytest.approx(12 * 1.875**2 / 1000)
    assert not subject.healthy.any()


def test_whole_volume(labelled_data: Path, lesion_phantom: Phantom) -> None:
    (case,) = split_cases(labelled_data)["test"]
    subject = load_subject(case, "test", "flair", SliceRule())
    assert subject is not None
    ill = lesion_phantom.lesion.data.any(axis=(0, 1))
    assert len(subject.slices) > 10
    assert subject.healthy.tolist() == [not ill[index] for index in subject.slices]
    assert subject.slices[subject.picture] == int(
        lesion_phantom.lesion.data.sum(axis=(0, 1)).argmax()
    )
    assert not (subject.lesion & ~subject.brain).any()


def test_neighbours_of_the_largest_lesion(labelled_data: Path) -> None:
    (case,) = split_cases(labelled_data)["test"]
    whole = load_subject(case, "test", "flair", SliceRule())
    assert whole is not None

    def load(reach: int, largest_only: bool = True) -> tuple[Subject, Subject]:
        found = load_with_neighbours(
            case, "test", "flair", SliceRule(), largest_only, reach=lambda slice_mm: reach
        )
        assert found is not None
        return found

    alone = load(0)
    assert alone[1] is alone[0]
    one, near = load(2)
    at = one.slices[0]
    assert near.slices == tuple(number for number in whole.slices if abs(number - at) <= 2)
    assert near.slices[near.picture] == at
    assert (near.split, near.spacing, near.case) == (one.split, one.spacing, one.case)
    for name in ("image", "brain", "lesion", "healthy"):
        np.testing.assert_array_equal(getattr(near, name)[near.picture], getattr(one, name)[0])
    assert one.slices == alone[0].slices
    every = load(100)[1]
    assert every.slices == tuple(range(every.slices[0], every.slices[-1] + 1))
    assert set(whole.slices) < set(every.slices), "small slices have their part, too"
    assert every.brain[[0, -1]].any(axis=(1, 2)).all(), "from the first brain to the last"
    both = load(3, largest_only=False)
    assert both[0].slices == whole.slices
    assert both[1].slices == every.slices


def test_case_without_lesion(labelled_data: Path) -> None:
    """It has its first central slice where a lesion is not needed, and none where it is."""
    case = next(case for case in split_cases(labelled_data)["val"] if case.name == "well_val")
    central = SliceRule("central")
    whole = load_subject(case, "val", "flair", central)
    first = load_subject(case, "val", "flair", central, largest_only=True)
    assert whole is not None
    assert first is not None
    assert first.slices == whole.slices[:1]
    assert not first.lesion.any()
    assert (
        load_subject(case, "val", "flair", central, largest_only=True, lesion_needed=True) is None
    )
    assert load_subject(case, "val", "flair", SliceRule("range", 100, 120)) is None


def test_other_contrast_of_the_same_slice(labelled_data: Path) -> None:
    (case,) = split_cases(labelled_data)["test"]
    subject = load_subject(case, "test", "flair", SliceRule(), largest_only=True)
    assert subject is not None
    other = with_image(subject, "t2")
    assert other is not None
    inside = subject.brain[0]
    assert abs(np.corrcoef(other[inside], subject.image[0][inside])[0, 1]) < 0.99
    assert ((other != 0) == inside).mean() > 0.98, "in register"
    del case.images["t1"]
    assert with_image(subject, "t1") is None


def test_a_brain_is_found_once(
    labelled_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as the file stays as it is; whoever changes a mask changes their own."""
    path = tmp_path / "flair.nii.gz"
    (given,) = split_cases(labelled_data)["test"]
    source = read_nifti(given.images["flair"], "flair")
    write_nifti(source, path, "float32")
    case = Case("alone", {"flair": path}, None, "alone")
    calls: list[str] = []

    def counted(one: Case, volume: Volume) -> Brain:
        calls.append(one.name)
        return found(one, volume)

    found = subjects.find_case_brain
    monkeypatch.setattr(subjects, "find_case_brain", counted)
    first = normalised_slices(case, "flair", DISPLAY).brain
    expected = first.clone()
    first[:] = False
    again = normalised_slices(replace(case, name="again"), "flair", DISPLAY).brain
    assert torch.equal(again, expected)
    assert calls == ["alone"]
    source.data[: source.shape[0] // 2] = 0
    write_nifti(source, path, "float32")
    assert int(normalised_slices(case, "flair", DISPLAY).brain.sum()) < int(expected.sum())
    assert calls == ["alone", "alone"]
