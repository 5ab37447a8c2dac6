"""mmccd.data.slices: which slices are used, and how they are read, cached and paired."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import mmccd.data.labels as labels_module
import mmccd.data.slices as slices_module
from mmccd.core.errors import InputError, UnsuitableInputError
from mmccd.core.volume import Volume
from mmccd.data.cases import Case, add_to_datalist, find_cases
from mmccd.data.slices import MIN_BRAIN_PIXELS, SlicePairDataset, SliceRule, load_case
from mmccd.imaging.normalisation import Normalisation
from mmccd.io.nifti import read_nifti, write_nifti
from mmccd.phantom import Phantom, write_phantom

FLAIR_T2 = {name: Normalisation.for_modality(name) for name in ("flair", "t2")}
PIXELS = [0, MIN_BRAIN_PIXELS - 1, MIN_BRAIN_PIXELS, 500, 900, 900, 700, 300, 80, 10]
HOLDING = [2, 3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize(
    ("rule", "chosen"),
    [
        (SliceRule(), HOLDING),
        (SliceRule("range", 4, 6), [4, 5, 6]),
        (SliceRule("range", 0, 3), [2, 3]),
        (SliceRule("range", 70, 89), []),
        (SliceRule("central", fraction=1.0), HOLDING),
        (SliceRule("central", fraction=3 / 7), [4, 5, 6]),
        (SliceRule("central", fraction=1 / 7), [5]),
        (SliceRule("central", fraction=0.01), [5]),
    ],
)
def test_slice_rule(rule: SliceRule, chosen: list[int]) -> None:
    assert rule.select(PIXELS) == chosen


@pytest.mark.parametrize("fraction", [0.1, 0.25, 1 / 3, 0.5, 0.9])
@pytest.mark.parametrize("count", [1, 2, 9, 30, 155])
def test_central_slices_lie_in_the_middle(count: int, fraction: float) -> None:
    chosen = SliceRule("central", fraction=fraction).select([1000] * count)
    assert chosen == list(range(chosen[0], chosen[-1] + 1))
    assert chosen[0] == count - 1 - chosen[-1]
    assert fraction * count - 1e-6 <= len(chosen) < fraction * count + 2


def test_no_brain_no_slice() -> None:
    assert all(SliceRule(kind).select([0, 3, 0]) == [] for kind in ("brain", "range", "central"))


@pytest.mark.parametrize(
    "arguments",
    [
        {"kind": "middle"},
        {"kind": "central", "fraction": 0.0},
        {"kind": "central", "fraction": 1.5},
    ],
)
def test_rules_that_are_none(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="rule|fraction"):
        SliceRule(**arguments)


def dataset(
    folder: Path, split: str = "train", source: str = "flair", target: str = "t2", **options: Any
) -> SlicePairDataset:
    """The data set without a progress bar."""
    return SlicePairDataset(folder, split, source, target, progress=False, **options)


def lesion_case(phantom_data: Path) -> Case:
    """The case with a label."""
    return next(case for case in find_cases(phantom_data) if case.name == "lesion")


def brain_slices(phantom: Phantom) -> int:
    """Slices that hold enough brain: 75 pixels of 1.875 mm."""
    spacing = phantom.lesion.spacing
    return int(
        (
            (phantom.images["flair"].data > 0).sum((0, 1)) * spacing[0] * spacing[1]
            >= MIN_BRAIN_PIXELS * 1.875**2
        ).sum()
    )


def test_healthy_slices_only(
    phantom_data: Path, healthy_phantom: Phantom, lesion_phantom: Phantom
) -> None:
    with_lesion = int(lesion_phantom.lesion.data.any(axis=(0, 1)).sum())
    everything = brain_slices(healthy_phantom) + brain_slices(lesion_phantom)
    assert with_lesion >= 2
    assert len(dataset(phantom_data, healthy_only=False)) == everything
    assert len(dataset(phantom_data)) == everything - with_lesion


def test_pairs(phantom_data: Path) -> None:
    pairs = dataset(phantom_data, healthy_only=False)
    for pair in pairs:
        assert {
            key: (tuple(value.shape), value.dtype) for key, value in pair.items()
        } == dict.fromkeys(("image", "label", "brain"), ((1, 128, 128), torch.float32))
        inside = pair["brain"] > 0.5
        assert set(pair["brain"].unique().tolist()) <= {0.0, 1.0}
        assert inside.sum() >= MIN_BRAIN_PIXELS
        assert (pair["image"][~inside] == 0).all()
        assert (pair["label"][~inside] == 0).all()
        assert pair["image"][inside].std() > 0.3
        assert pair["label"][inside].std() > 0.3


def test_background_of_the_codes_normalisation(phantom_data: Path) -> None:
    pair = dataset(phantom_data, "val", normalisation="code")[5]
    outside = pair["brain"] < 0.5
    assert (pair["image"][outside] == -3).all()
    assert (pair["label"][outside] == -3).all()
    assert pair["image"][~outside].median() > 0


def test_pairs_are_aligned(phantom_data: Path, lesion_phantom: Phantom) -> None:
    """Fluid is dark on FLAIR and bright on T2, at the same places; and each item holds the slice
    that its place says.
    """
    large = [pair for pair in dataset(phantom_data) if pair["brain"].sum() > 2000]
    assert len(large) > 10
    differences = []
    for pair in large:
        inside = pair["brain"] > 0.5
        fluid = inside & (pair["label"] > pair["label"][inside].quantile(0.95))
        differences.append(float(pair["image"][fluid].mean() - pair["image"][inside].mean()))
    assert max(differences) < 0
    assert np.mean(differences) < -0.5
    pairs = dataset(phantom_data, healthy_only=False)
    expected = load_case(lesion_case(phantom_data), FLAIR_T2)
    shown = [
        index
        for index in range(len(expected.brain))
        if expected.brain[index].sum() >= MIN_BRAIN_PIXELS
    ]
    for index, pair in zip(shown, list(pairs)[-len(shown) :], strict=True):
        assert torch.equal(pair["image"], expected.images["flair"][index])
        assert torch.equal(pair["label"], expected.images["t2"][index])


def test_source_and_target_swap(phantom_data: Path) -> None:
    there, back = (
        dataset(phantom_data, "val"),
        dataset(phantom_data, "val", source="t2", target="flair"),
    )
    assert torch.allclose(there[4]["image"], back[4]["label"], atol=1e-5)
    assert torch.allclose(there[4]["label"], back[4]["image"], atol=1e-5)


def test_options(phantom_data: Path, tmp_path: Path) -> None:
    assert len(dataset(phantom_data, rule=SliceRule("range", 5, 6), healthy_only=False)) == 4
    assert len(dataset(phantom_data, rule=SliceRule("range", 5, 6), max_cases=1)) == 2
    split = tmp_path / "other.json"
    split.write_text(json.dumps({"train": ["mirrored"]}))
    assert torch.equal(
        dataset(phantom_data, split_file=split)[3]["image"],
        dataset(phantom_data, "val")[3]["image"],
    )
    doubled = dataset(
        phantom_data, "val", transform=lambda pair: {**pair, "image": pair["image"] * 2}
    )
    assert torch.equal(doubled[3]["image"], dataset(phantom_data, "val")[3]["image"] * 2)


def two_epochs(pairs: SlicePairDataset) -> list[torch.Tensor]:
    """The input of every item, twice."""
    return [pairs[index]["image"] for _ in range(2) for index in range(len(pairs))]


@pytest.fixture
def files_read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are read, in order."""
    names: list[str] = []

    def counted(path: Path, modality: str = "") -> Volume:
        names.append(Path(path).name)
        return read_nifti(path, modality)

    for module in (labels_module, slices_module):
        monkeypatch.setattr(module, "read_nifti", counted)
    return names


ONCE = [
    f"{case}_{what}.nii.gz"
    for case in ("healthy", "lesion")
    for what in ("brain", "flair", "seg", "t2")
]


def test_volumes_are_read_once(phantom_data: Path, files_read: list[str]) -> None:
    two_epochs(dataset(phantom_data))
    assert sorted(files_read) == ONCE


def test_persistent_cache_gives_the_same_and_outlives_the_run(
    phantom_data: Path, tmp_path: Path, files_read: list[str]
) -> None:
    in_memory = dataset(phantom_data)
    files_read.clear()
    first = dataset(phantom_data, cache_dir=tmp_path / "cache")
    assert len(first) == len(in_memory)
    for one, other in zip(two_epochs(first), two_epochs(in_memory), strict=True):
        assert torch.equal(one, other)
    assert sorted(files_read) == ONCE
    files_read.clear()
    again = dataset(phantom_data, cache_dir=tmp_path / "cache")
    assert all(torch.equal(again[3][key], in_memory[3][key]) for key in ("image", "label", "brain"))
    assert files_read == []


def test_persistent_cache_knows_its_settings(phantom_data: Path, tmp_path: Path) -> None:
    """A change of normalisation or rule must not meet the old files."""
    cache = {"cache_dir": tmp_path / "cache"}
    dataset(phantom_data, "val", **cache)
    assert dataset(phantom_data, "val", normalisation="code", **cache)[0]["image"].min() == -3
    assert len(dataset(phantom_data, "val", rule=SliceRule("range", 5, 6), **cache)) == 2
    assert torch.equal(
        dataset(phantom_data, "val", source="t1", **cache)[3]["image"],
        dataset(phantom_data, "val", source="t1")[3]["image"],
    )


def test_load_case_keeps_the_lesions(phantom_data: Path, lesion_phantom: Phantom) -> None:
    found = load_case(lesion_case(phantom_data), FLAIR_T2)
    assert found.has_lesion.tolist() == lesion_phantom.lesion.data.any(axis=(0, 1)).tolist()
    pixels = lesion_phantom.lesion.data.sum(axis=(0, 1)) * (2.0 / 1.875) ** 2
    assert found.lesion_area.numpy() == pytest.approx(pixels, rel=0.05, abs=1.0), (
        "native area in model pixels"
    )
    native = int(lesion_phantom.lesion.data.sum()) * np.prod(lesion_phantom.lesion.spacing[:2])
    assert int(found.lesion.sum()) * 1.875**2 == pytest.approx(native, rel=0.15)
    assert not (found.lesion & ~found.brain).any()


def test_case_without_label_is_healthy(phantom_data: Path) -> None:
    case = lesion_case(phantom_data)
    found = load_case(Case(case.name, case.images, None, case.patient), FLAIR_T2)
    assert not found.lesion.any()
    assert not found.has_lesion.any()


def test_brain_mask_of_the_case_is_taken(phantom_data: Path, tmp_path: Path) -> None:
    """The file decides, not the foreground: of a brain whose mask covers the left half, the right
    half is background.
    """
    case = lesion_case(phantom_data)
    assert case.brain is not None
    whole = load_case(case, FLAIR_T2)
    half = read_nifti(case.brain, "mask")
    half.data[: half.shape[0] // 2] = 0
    path = tmp_path / "half_brain.nii.gz"
    write_nifti(half, path, "uint8")
    found = load_case(replace(case, brain=path), FLAIR_T2)
    assert 0.4 < int(found.brain.sum()) / int(whole.brain.sum()) < 0.6
    assert (found.images["t2"][~found.brain] == 0).all()


def test_slices_are_listed_as_often_as_the_case_says(phantom_data: Path, tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    add_to_datalist(phantom_data, path, split="train", only="healthy", repeat=3)
    add_to_datalist(phantom_data, path, split="train", only="lesion", append=True)
    once = tmp_path / "once.json"
    add_to_datalist(phantom_data, once, split="train", only="healthy")
    healthy = len(dataset(once))
    add_to_datalist(phantom_data, once, split="train", only="lesion", append=True)
    assert len(dataset(path)) == len(dataset(once)) + 2 * healthy


def test_missing_modality(phantom_data: Path) -> None:
    case = lesion_case(phantom_data)
    without = Case(case.name, {"flair": case.images["flair"]}, case.label, case.patient)
    with pytest.raises(InputError) as error:
        load_case(without, FLAIR_T2)
    assert "lesion" in str(error.value)
    assert "t2" in str(error.value)


@pytest.mark.parametrize("key", ["t2", "label"])
@pytest.mark.parametrize("change", ["shape", "place"])
def test_different_grids(
    phantom_data: Path, lesion_phantom: Phantom, tmp_path: Path, key: str, change: str
) -> None:
    case = lesion_case(phantom_data)
    volume = lesion_phantom.lesion if key == "label" else lesion_phantom.images[key]
    moved = np.array(volume.affine)
    moved[0, 3] += 5.0
    wrong = (
        Volume(volume.data[:, :, :-1], volume.affine)
        if change == "shape"
        else Volume(volume.data, moved)
    )
    path = tmp_path / "wrong.nii.gz"
    write_nifti(wrong, path, "int16")
    images = dict(case.images) if key == "label" else {**case.images, key: path}
    with pytest.raises(UnsuitableInputError) as error:
        load_case(Case("patient7", images, path if key == "label" else None, "patient7"), FLAIR_T2)
    assert "patient7" in str(error.value)
    assert "grid" in str(error.value)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"split": "test"}, "test"),
        ({"split": "train", "rule": SliceRule("range", 200, 300)}, "slice rule"),
    ],
    ids=["empty split", "rule without slices"],
)
def test_nothing_left(phantom_data: Path, options: dict[str, Any], word: str) -> None:
    with pytest.raises(UnsuitableInputError) as error:
        dataset(phantom_data, **options)
    assert word in str(error.value)
    assert str(phantom_data) in str(error.value)
    assert "\n" not in str(error.value)


def test_all_slices_have_lesions(lesion_phantom: Phantom, tmp_path: Path) -> None:
    everywhere = lesion_phantom.lesion.with_data(
        (lesion_phantom.images["flair"].data > 0).astype(np.uint8)
    )
    write_phantom(replace(lesion_phantom, lesion=everywhere), tmp_path, "ill")
    (tmp_path / "split.json").write_text(json.dumps({"train": ["ill"]}))
    with pytest.raises(UnsuitableInputError, match="no lesion"):
        dataset(tmp_path)
    assert len(dataset(tmp_path, healthy_only=False)) == brain_slices(lesion_phantom)
