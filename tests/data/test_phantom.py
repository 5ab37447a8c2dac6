"""mmccd.data.phantom: MR physics, anatomy, lesions, files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import mmccd.data.phantom as phantom_module
from mmccd.brain import find_brain
from mmccd.data.cases import find_cases, split_cases
from mmccd.data.phantom import (
    DEMO_LESIONS,
    FLUID,
    GREY,
    NECROSIS,
    OEDEMA,
    SEQUENCES,
    WHITE,
    Lesion,
    Phantom,
    PulseSequence,
    Tissue,
    make_phantom,
    nulling_inversion_time,
    signal,
    write_phantom,
    write_phantoms,
)
from mmccd.errors import OutputError
from mmccd.io.nifti import read_nifti
from mmccd.volume import Volume


def contrast(tissue: Tissue, modality: str) -> float:
    """Signal relative to white matter."""
    sequence = SEQUENCES[modality]
    return float(signal(tissue.t1, tissue.t2, tissue.pd, sequence) / signal(WHITE.t1, WHITE.t2, WHITE.pd, sequence))


@pytest.mark.parametrize(
    ("tissue", "t1", "t2", "flair"),
    [
        (WHITE, 1.0, 1.0, 1.0),
        (GREY, 0.81, 1.42, 1.15),
        (FLUID, 0.43, 3.65, 0.04),
        (OEDEMA, 0.86, 2.09, 1.75),
        (NECROSIS, 0.58, 3.14, 1.22),
    ],
    ids=["white matter", "grey matter", "fluid", "oedema", "necrosis"],
)
def test_contrasts_are_those_of_the_signal_equations(tissue: Tissue, t1: float, t2: float, flair: float) -> None:
    assert contrast(tissue, "t1") == pytest.approx(t1, abs=0.01)
    assert contrast(tissue, "t2") == pytest.approx(t2, abs=0.01)
    assert contrast(tissue, "flair") == pytest.approx(flair, abs=0.01)


def test_signal_by_hand() -> None:
    """Limits of the equations: no decay and full recovery give the proton density; t = T1 gives 1 - 1/e; TE = T2 gives 1/e."""
    assert signal(1.0, 1e12, 0.7, PulseSequence(1e9, 10)) == pytest.approx(0.7)
    assert signal(600.0, 1e12, 1.0, PulseSequence(600, 0)) == pytest.approx(1 - np.exp(-1))
    assert signal(1.0, 80.0, 1.0, PulseSequence(1e9, 80)) == pytest.approx(np.exp(-1))
    assert signal(1e12, 1e12, 1.0, PulseSequence(5000, 0, 1e-3)) == pytest.approx(0.0, abs=1e-6)
    assert signal(100.0, 1e12, 1.0, PulseSequence(1e9, 0, 100 * np.log(4))) == pytest.approx(0.5)


@pytest.mark.parametrize(("tissue", "tr"), [(FLUID, 9000.0), (FLUID, 6000.0), (WHITE, 9000.0), (GREY, 2000.0)])
def test_nulling(tissue: Tissue, tr: float) -> None:
    inversion = nulling_inversion_time(tissue.t1, tr)
    assert signal(tissue.t1, tissue.t2, tissue.pd, PulseSequence(tr, 120, inversion)) == pytest.approx(0.0, abs=1e-5)
    for other in (0.7 * inversion, 1.3 * inversion):
        assert signal(tissue.t1, 1e9, tissue.pd, PulseSequence(tr, 120, other)) > 0.05


def test_flair_inversion_time_is_near_the_one_that_nulls_fluid() -> None:
    assert SEQUENCES["flair"].ti == pytest.approx(nulling_inversion_time(FLUID.t1, SEQUENCES["flair"].tr), rel=0.05)


@pytest.fixture
def coarse_atlas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every third voxel of the atlas: a phantom of these is made in an instant, and its lengths in mm are thirds."""
    fine = phantom_module._atlas

    def coarse(tissue: str) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        data, affine = fine(tissue)
        return data[::3, ::3, ::3], affine @ np.diag([3.0, 3.0, 3.0, 1.0])

    monkeypatch.setattr(phantom_module, "_atlas", coarse)


def world(volume: Volume) -> NDArray[np.float64]:
    """Position of every voxel in mm."""
    indices = np.stack(np.meshgrid(*[np.arange(n) for n in volume.shape], indexing="ij"), axis=-1)
    return np.asarray(indices @ volume.affine[:3, :3].T + volume.affine[:3, 3])


def test_one_grid(lesion_phantom: Phantom) -> None:
    flair = lesion_phantom.images["flair"]
    assert set(lesion_phantom.images) == {"flair", "t1", "t2"}
    for name, image in lesion_phantom.images.items():
        assert image.modality == name
        assert image.same_grid(flair)
        assert image.data.dtype == np.float32
        assert np.array_equal(image.data > 0, flair.data > 0)
    assert lesion_phantom.lesion.same_grid(flair)
    assert lesion_phantom.lesion.data.dtype == np.uint8


def test_spacing_and_place(healthy_phantom: Phantom) -> None:
    """As asked, up to what a whole number of voxels over the atlas allows; the brain's middle is near the atlas's origin."""
    flair = healthy_phantom.images["flair"]
    assert flair.spacing == pytest.approx((2.0, 2.0, 12.0), rel=0.03)
    assert np.allclose(np.abs(world(flair)[flair.data > 0].mean(0) - [0, -18, 10]), 0, atol=12)
    litres = (flair.data > 0).sum() * flair.voxel_ml / 1000
    assert 1.2 < litres < 2.1


def test_tissues_look_as_they_should(healthy_phantom: Phantom) -> None:
    """Over tissue that is white (bright on T1), grey, or fluid (very bright on T2): the order of the three contrasts."""
    flair, t1, t2 = (healthy_phantom.images[name].data for name in ("flair", "t1", "t2"))
    brain = flair > 0
    white = brain & (t1 > np.quantile(t1[brain], 0.8)) & (t2 < np.median(t2[brain]))
    fluid = brain & (t2 > np.quantile(t2[brain], 0.98))
    grey = brain & (t1 > np.quantile(t1[brain], 0.2)) & (t1 < np.median(t1[brain])) & (t2 < np.quantile(t2[brain], 0.8))
    assert t2[white].mean() < t2[grey].mean() < t2[fluid].mean()
    assert t1[white].mean() > t1[grey].mean() > t1[fluid].mean()
    assert flair[fluid].mean() < 0.6 * flair[white].mean()
    assert 300 < np.median(flair[white]) < 500


def test_lesions_change_what_they_should(lesion_phantom: Phantom) -> None:
    places = world(lesion_phantom.lesion)
    brain = lesion_phantom.images["flair"].data > 0
    ratios = []
    for lesion in DEMO_LESIONS:
        distance = np.linalg.norm(places - lesion.centre_mm, axis=-1)
        core = distance < 0.6 * lesion.radius_mm
        around = brain & (distance > 1.5 * lesion.radius_mm) & (distance < 2.2 * lesion.radius_mm)
        assert lesion_phantom.lesion.data[core].mean() > 0.8
        assert not lesion_phantom.lesion.data[around].any()
        ratios.append({name: image.data[core].mean() / np.median(image.data[around]) for name, image in lesion_phantom.images.items()})
    oedema, necrosis = ratios
    assert oedema["flair"] > 1.4, "bright on FLAIR"
    assert 0.9 < necrosis["flair"] < 1.4, "like grey matter on FLAIR: no threshold finds it"
    assert oedema["t2"] > 1.4
    assert necrosis["t2"] > 1.8
    assert necrosis["t1"] < 0.85


def test_lesions_lie_in_the_brain_and_have_their_size(lesion_phantom: Phantom) -> None:
    lesion = lesion_phantom.lesion
    assert not (lesion.data.astype(bool) & (lesion_phantom.images["flair"].data == 0)).any()
    millilitres = lesion.data.sum() * lesion.voxel_ml
    assert millilitres == pytest.approx(sum(4 / 3 * np.pi * demo.radius_mm**3 / 1000 for demo in DEMO_LESIONS), rel=0.35)


@pytest.mark.usefixtures("coarse_atlas")
def test_lesion_that_reaches_out_of_the_brain_is_cut() -> None:
    place, radius = (66.0, -20.0, 20.0), 14.0
    edge = make_phantom(3, (Lesion(place, radius, OEDEMA),), slice_mm=4.0)
    assert edge.images["flair"].spacing == pytest.approx((3.0, 3.0, 12.0), rel=0.06)
    ball = np.linalg.norm(world(edge.lesion) - place, axis=-1) < radius
    outside = edge.images["flair"].data == 0
    assert (ball & outside).any(), "the ball does reach out of the brain"
    assert edge.lesion.data.any()
    assert not edge.lesion.data[outside].any()


def test_no_lesions_empty_mask(healthy_phantom: Phantom) -> None:
    assert not healthy_phantom.lesion.data.any()


@pytest.mark.usefixtures("coarse_atlas")
def test_the_seed_decides() -> None:
    lesions = (Lesion((30.0, 18.0, 30.0), 15.0, OEDEMA),)
    first, again, other = (make_phantom(seed, lesions, slice_mm=2.0) for seed in (4, 4, 5))
    assert np.array_equal(first.lesion.data, again.lesion.data)
    assert not np.array_equal(first.lesion.data, other.lesion.data)
    for name, image in first.images.items():
        assert np.array_equal(again.images[name].data, image.data)
        assert np.mean(other.images[name].data[image.data > 0] != image.data[image.data > 0]) > 0.9


def test_noise_differs_between_contrasts_and_translation_is_no_lookup_table(healthy_phantom: Phantom) -> None:
    """One FLAIR value stands for many T2 values."""
    flair, t2 = healthy_phantom.images["flair"].data, healthy_phantom.images["t2"].data
    band = (flair > 395) & (flair < 405)
    assert t2[band].std() > 20


def test_brain_is_found(healthy_phantom: Phantom, lesion_phantom: Phantom) -> None:
    for phantom in (healthy_phantom, lesion_phantom):
        for image in phantom.images.values():
            brain = find_brain(image)
            assert brain.method == "already stripped"
            assert (brain.mask >= (image.data > 0)).all()
            assert brain.mask.sum() < 1.02 * (image.data > 0).sum()


def test_files_hold_the_same(lesion_phantom: Phantom, tmp_path: Path) -> None:
    paths = write_phantom(lesion_phantom, tmp_path / "new", "subject")
    assert {key: path.name for key, path in paths.items()} == {
        "flair": "subject_flair.nii.gz",
        "t1": "subject_t1.nii.gz",
        "t2": "subject_t2.nii.gz",
        "label": "subject_seg.nii.gz",
    }
    for key, path in paths.items():
        volume = lesion_phantom.lesion if key == "label" else lesion_phantom.images[key]
        read = read_nifti(path)
        assert np.array_equal(read.data, volume.data)
        assert np.allclose(read.affine, volume.affine, atol=1e-4)
    (case,) = find_cases(tmp_path / "new")
    assert case.images == {key: path for key, path in paths.items() if key != "label"}
    assert case.label == paths["label"]


def test_folder_that_cannot_be_made(healthy_phantom: Phantom, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file"):
        write_phantom(healthy_phantom, tmp_path / "file", "subject")


def test_write_phantoms(healthy_phantom: Phantom, lesion_phantom: Phantom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The datalist names all subjects, 60/20/20 (the subjects themselves come from elsewhere: making one takes seconds)."""
    made: list[tuple[int, int]] = []

    def quick(seed: int, lesions: tuple[Lesion, ...] = ()) -> Phantom:
        made.append((seed, len(lesions)))
        return lesion_phantom if lesions else healthy_phantom

    monkeypatch.setattr(phantom_module, "make_phantom", quick)
    datalist = write_phantoms(tmp_path, subjects=5, seed=10, lesions=True)
    assert made == [(seed, 2) for seed in range(10, 15)]
    groups = split_cases(datalist)
    assert [len(groups[split]) for split in ("train", "val", "test")] == [3, 1, 1]
    cases = [case for group in groups.values() for case in group]
    assert sorted(case.name for case in cases) == [f"phantom_{seed:04d}" for seed in range(10, 15)]
    assert all(path.is_file() for case in cases for path in [*case.images.values(), case.label] if path)
    assert read_nifti(cases[0].label or "").data.any()
    write_phantoms(tmp_path / "healthy", subjects=1, seed=0, lesions=False)
    assert made[-1] == (0, 0)
