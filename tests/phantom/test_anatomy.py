"""mmccd.phantom.anatomy: the built-in brain, and label maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from mmccd.brain import find_brain
from mmccd.core.errors import InputError, UnsuitableInputError
from mmccd.core.volume import Volume
from mmccd.io.nifti import write_nifti
from mmccd.phantom import BUILT_IN, PLAIN, find_anatomies, load_anatomy, make_phantom
from mmccd.phantom.anatomy import LABELS
from mmccd.phantom.physics import TISSUES


def head_labels(flip: bool = False) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """A head of 1 mm voxels: white ball, grey shell, sulcal fluid, bone, scalp; a ventricle to the
    left; where it is flipped, the first axis points left.
    """
    axes = np.ogrid[-70:71, -80:81, -70:71]
    distance = np.sqrt(sum(axis.astype(float) ** 2 for axis in axes))
    labels = np.zeros(distance.shape, dtype=np.float32)
    for radius, label in ((66, 507), (60, 515), (56, 24), (53, 3), (47, 2)):
        labels[distance < radius] = label
    labels[np.sqrt((axes[0] + 20.0) ** 2 + axes[1] ** 2 + axes[2] ** 2) < 9] = 4
    affine = np.eye(4)
    affine[:3, 3] = (-70, -80, -70)
    if flip:
        labels, affine = labels[::-1].copy(), affine @ np.diag([-1.0, 1, 1, 1])
        affine[0, 3] = 70
    return labels, affine


@pytest.fixture(scope="module", params=[False, True], ids=["right", "left"])
def label_file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    labels, affine = head_labels(request.param)
    path = tmp_path_factory.mktemp("labels") / "head_01.nii.gz"
    write_nifti(Volume(labels, affine, "labels"), path, "int16")
    return path


def test_every_tissue_has_relaxation_values_and_no_label_stands_for_two() -> None:
    assert set(LABELS) <= set(TISSUES)
    labels = [label for group in LABELS.values() for label in group]
    assert len(labels) == len(set(labels))


def test_built_in() -> None:
    anatomy = load_anatomy()
    assert anatomy.name == BUILT_IN
    assert not anatomy.has_head
    total = sum(anatomy.shares.values())
    inside = anatomy.depth > 0
    assert float((total[inside] - 1).abs().max()) < 1e-3
    assert float(total[~inside].max()) == 0
    litres = float(inside.sum()) * abs(np.linalg.det(anatomy.affine[:3, :3])) / 1e6
    assert 1.4 < litres < 2.2
    assert all(float(share.min()) >= 0 for share in anatomy.shares.values())


def test_built_in_has_no_head() -> None:
    with pytest.raises(UnsuitableInputError, match="--anatomy FILE or DIR"):
        load_anatomy(None, head=True)


def test_label_map(label_file: Path) -> None:
    """Tissues where they belong in mm, whatever way the file's axes point; partial volume at
    borders; shares that sum to 1.
    """
    anatomy = load_anatomy(label_file)
    assert anatomy.name == "head_01"

    def at(name: str, *place: float) -> float:
        index = np.rint(
            (np.asarray(place) - anatomy.affine[:3, 3]) / np.diag(anatomy.affine)[:3]
        ).astype(int)
        return float(anatomy.shares[name][tuple(index)])

    assert at("white", 0, 0, 0) == pytest.approx(1)
    assert at("fluid", -20, 0, 0) == pytest.approx(1), "the ventricle is on the left"
    assert at("fluid", 20, 0, 0) == pytest.approx(0)
    assert at("grey", 0, 50, 0) == pytest.approx(1)
    assert 0.05 < at("white", 0, 47, 0) < 0.95
    total = sum(anatomy.shares.values())
    assert float((total[anatomy.depth > 2] - 1).abs().max()) < 1e-3
    assert "scalp" not in anatomy.shares
    low, high = anatomy.brain_box
    assert np.allclose((low + high) / 2, 0, atol=1.5)
    assert np.allclose(high - low, 2 * 52.5, atol=2 * 4), (
        "tissue and what lies between it, without the fluid round it"
    )


@pytest.mark.slow
def test_label_map_with_its_head(label_file: Path) -> None:
    anatomy = load_anatomy(label_file, head=True)
    assert anatomy.has_head
    assert set(anatomy.shares) == set(LABELS)
    assert np.allclose(anatomy.head_box[1] - anatomy.head_box[0], 2 * 65, atol=2)
    made = make_phantom(0, None, PLAIN, anatomy, head=True)
    outside = (made.brain.data == 0) & (made.images["flair"].data > 0)
    assert outside.sum() > 0.2 * made.brain.data.sum()


def test_not_a_label_map(tmp_path: Path) -> None:
    path = tmp_path / "flair.nii.gz"
    write_nifti(
        Volume(np.full((40, 40, 40), 300, dtype=np.float32), np.eye(4), "flair"), path, "int16"
    )
    with pytest.raises(
        UnsuitableInputError, match=r"flair\.nii\.gz.*found \[300\].*expected a label map"
    ) as caught:
        load_anatomy(path)
    assert "\n" not in str(caught.value)


def test_find_anatomies(tmp_path: Path) -> None:
    assert find_anatomies(BUILT_IN) == [None]
    for name in ("b.nii.gz", "a.nii", "notes.txt"):
        (tmp_path / name).touch()
    assert find_anatomies(tmp_path) == [tmp_path / "a.nii", tmp_path / "b.nii.gz"]
    assert find_anatomies(tmp_path / "a.nii") == [tmp_path / "a.nii"]


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_no_anatomy(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=f"{name}.*expected a NIfTI file with FreeSurfer labels"):
        find_anatomies(tmp_path / name)


@pytest.mark.slow
def test_real_label_map(real_data: Path) -> None:
    """A brain of 1 to 1.8 litres in one piece; a phantom with its head is refused as not
    skull-stripped, one without is taken.
    """
    path = sorted((real_data / "labels").glob("*.nii.gz"))[13]
    anatomy = load_anatomy(path, head=True)
    inside = (anatomy.depth > 0).numpy()
    pieces, count = ndimage.label(inside)
    assert np.bincount(pieces.ravel())[1:].max() > 0.999 * inside.sum(), count
    assert 0.9 < inside.sum() / 1e6 < 1.9
    head = make_phantom(1, None, None, anatomy, head=True)
    with pytest.raises(UnsuitableInputError, match="not skull-stripped"):
        find_brain(head.images["flair"])
    bare = make_phantom(1, "glioma", None, load_anatomy(path))
    assert find_brain(bare.images["flair"]).method == "already stripped"
    assert bare.lesion.data.any()
