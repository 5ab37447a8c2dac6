"""mmccd.phantom.write: files, datalist, splits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mmccd.core.errors import InputError, OutputError
from mmccd.data.cases import find_cases, split_cases
from mmccd.io.nifti import read_nifti
from mmccd.phantom import (
    HEALTHY,
    KINDS,
    LESIONS,
    MIXED,
    Phantom,
    write as write_module,
    write_phantom,
    write_phantoms,
)
from mmccd.phantom.write import anatomy_splits


def test_what_may_be_asked_for() -> None:
    assert (HEALTHY, *KINDS, MIXED) == LESIONS


def test_files_hold_the_same(lesion_phantom: Phantom, tmp_path: Path) -> None:
    paths = write_phantom(lesion_phantom, tmp_path / "new", "subject")
    endings = {"flair": "flair", "t1": "t1", "t2": "t2", "label": "seg", "brain": "brain"}
    assert {key: path.name for key, path in paths.items()} == {
        key: f"subject_{ending}.nii.gz" for key, ending in endings.items()
    }
    volumes = {
        **lesion_phantom.images,
        "label": lesion_phantom.lesion,
        "brain": lesion_phantom.brain,
    }
    for key, path in paths.items():
        read = read_nifti(path)
        assert np.array_equal(read.data, volumes[key].data)
        assert np.allclose(read.affine, volumes[key].affine, atol=1e-4)
    (case,) = find_cases(tmp_path / "new")
    assert case.images == {key: paths[key] for key in ("flair", "t1", "t2")}
    assert (case.label, case.brain) == (paths["label"], paths["brain"])


def test_folder_that_cannot_be_made(healthy_phantom: Phantom, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file"):
        write_phantom(healthy_phantom, tmp_path / "file", "subject")


def test_the_design_s_split_of_sixteen_label_maps() -> None:
    """01 to 12 train, 13 and 14 validate, 15 and 16 test."""
    assert (
        anatomy_splits([f"{n:02d}" for n in range(1, 17)])
        == ["train"] * 12 + ["val"] * 2 + ["test"] * 2
    )


class Factory:
    """Stands for the making of a phantom, which takes seconds; notes what was asked for."""

    def __init__(self, healthy: Phantom, lesion: Phantom) -> None:
        self.phantoms = {False: healthy, True: lesion}
        self.calls: list[tuple[int, str | None, float, bool]] = []
        self.anatomies: list[Path | None] = []

    def make(
        self, seed: int, lesions: str | None, acquisition: object, anatomy: object, head: bool
    ) -> Phantom:
        self.calls.append((seed, lesions, acquisition.slice_mm, head))  # type: ignore[attr-defined]
        return self.phantoms[bool(lesions)]

    def load(self, source: Path | None, head: bool) -> None:
        self.anatomies.append(source)


@pytest.fixture
def factory(
    healthy_phantom: Phantom, lesion_phantom: Phantom, monkeypatch: pytest.MonkeyPatch
) -> Factory:
    result = Factory(healthy_phantom, lesion_phantom)
    monkeypatch.setattr(write_module, "make_phantom", result.make)
    monkeypatch.setattr(write_module, "load_anatomy", result.load)
    return result


@pytest.fixture
def label_maps(tmp_path: Path) -> Path:
    folder = tmp_path / "labels"
    folder.mkdir()
    for number in range(1, 9):
        (folder / f"head_{number:02d}.nii.gz").touch()
    return folder


def names(folder: Path) -> dict[str, list[str]]:
    return {
        split: [case.name for case in cases]
        for split, cases in split_cases(folder / "datalist.json").items()
    }


def test_built_in_subjects_are_individuals(factory: Factory, tmp_path: Path) -> None:
    path = write_phantoms(tmp_path / "out", subjects=5, seed=10)
    assert [call[:2] for call in factory.calls] == [(seed, None) for seed in range(10, 15)]
    assert len({call[2] for call in factory.calls}) == 5, "each has its own scanner"
    assert names(tmp_path / "out") == {
        "train": ["phantom_builtin_0010", "phantom_builtin_0011", "phantom_builtin_0012"],
        "val": ["phantom_builtin_0013"],
        "test": ["phantom_builtin_0014"],
    }
    assert all(
        file.is_file()
        for case in find_cases(path)
        for file in [*case.images.values(), case.label, case.brain]
        if file
    )


def test_label_maps_are_split_and_used_evenly(
    factory: Factory, tmp_path: Path, label_maps: Path
) -> None:
    write_phantoms(tmp_path / "out", 16, 0, label_maps)
    assert factory.anatomies == [
        label_maps / f"head_{1 + number // 2:02d}.nii.gz" for number in range(16)
    ]
    found = names(tmp_path / "out")
    assert {
        split: sorted({case.rsplit("_", 1)[0] for case in cases}) for split, cases in found.items()
    } == {
        "train": [f"phantom_head_{n:02d}" for n in range(1, 7)],
        "val": ["phantom_head_07"],
        "test": ["phantom_head_08"],
    }
    assert {case.patient for case in split_cases(tmp_path / "out" / "datalist.json")["val"]} == {
        "phantom_head_07"
    }


def test_one_split_only_and_added_later(factory: Factory, tmp_path: Path, label_maps: Path) -> None:
    write_phantoms(tmp_path / "out", 2, 0, label_maps, split="val")
    write_phantoms(
        tmp_path / "out", 3, 50, split="test", lesions="glioma", head=False, slice_mm=4.0
    )
    assert names(tmp_path / "out") == {
        "train": [],
        "val": ["phantom_head_07_0000", "phantom_head_07_0001"],
        "test": [f"phantom_builtin_{seed:04d}" for seed in (50, 51, 52)],
    }
    assert factory.calls[2:] == [(seed, "glioma", 4.0, False) for seed in (50, 51, 52)]


def test_mixed_lesions(factory: Factory, tmp_path: Path) -> None:
    write_phantoms(tmp_path / "out", 12, 0, lesions="mixed")
    assert len({call[1] for call in factory.calls}) >= 3


def test_a_split_without_label_maps(tmp_path: Path, label_maps: Path) -> None:
    for path in sorted(label_maps.iterdir())[3:]:
        path.unlink()
    with pytest.raises(InputError, match="--split test.*none of 3 label maps"):
        write_phantoms(tmp_path / "out", 1, 0, label_maps, split="test")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_same_arguments_give_the_same_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_phantoms(tmp_path / name, 1, 3, lesions="ms", slice_mm=10.0, pixel_mm=3.0)
    (first,), (second,) = (sorted((tmp_path / name).glob("*/*_t2.nii.gz")) for name in ("a", "b"))
    assert np.array_equal(read_nifti(first).data, read_nifti(second).data)
    assert {path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*")} == {
        path.relative_to(tmp_path / "b") for path in (tmp_path / "b").rglob("*")
    }
