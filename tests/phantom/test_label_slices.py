"""mmccd.phantom.label_slices: slices of label maps at any tilt and thickness."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.phantom.label_maps import MARKER, nested_labels, write_labels

from mmccd.core import InputError, UnsuitableInputError, Volume
from mmccd.imaging import GridTransform
from mmccd.io.nifti import write_nifti
from mmccd.phantom import CLASSES, EDGE, cut_label_slices
from mmccd.phantom.label_slices import MIN_BRAIN_PIXELS, NUMBER, class_table

PILLAR = NUMBER["pallidum"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The same head, once with its axes to the left and back."""
    return write_labels(tmp_path_factory.mktemp("labels"), 2)


@pytest.fixture(scope="module")
def slices(files: list[Path]) -> NDArray[np.uint8]:
    return cut_label_slices(files[0], 24, 3)


class TestClasses:
    def test_no_label_stands_for_two(self) -> None:
        labels = [label for _, group in CLASSES.values() for label in group]
        assert len(labels) == len(set(labels))
        assert len(CLASSES) == 12 and list(NUMBER.values()) == list(range(1, 13))

    def test_the_table_is_what_the_classes_say(self) -> None:
        table = class_table()
        assert table.shape == (600,) and table.dtype == np.uint8
        for name, (_, group) in CLASSES.items():
            assert {int(table[label]) for label in group} == {NUMBER[name]}
        assert (table > 0).sum() == sum(len(group) for _, group in CLASSES.values())

    def test_left_and_right_are_one_tissue(self) -> None:
        """FreeSurfer's labels of both sides."""
        table = class_table()
        for left, right in [
            (2, 41),
            (3, 42),
            (4, 43),
            (5, 44),
            (7, 46),
            (8, 47),
            (10, 49),
            (11, 50),
            (12, 51),
            (13, 52),
            (17, 53),
            (18, 54),
            (26, 58),
            (28, 60),
            (31, 63),
        ]:
            assert 0 < table[left] == table[right]

    @pytest.mark.parametrize("label", [0, 1, 40, 130, 165, 258, 507, 515, 599])
    def test_what_is_no_brain(self, label: int) -> None:
        assert class_table()[label] == 0


class TestCutting:
    def test_shape_and_classes(self, slices: NDArray[np.uint8]) -> None:
        assert slices.dtype == np.uint8 and slices.shape[1:] == (2, EDGE, EDGE)
        assert 15 < len(slices) <= 24
        expected = {0, PILLAR, *(NUMBER[name] for name in ("white", "grey", "fluid", "ventricle"))}
        assert set(np.unique(slices).tolist()) == expected, "bone and skin are left out"
        assert ((slices > 0).sum((1, 2, 3)) >= 2 * MIN_BRAIN_PIXELS).all()

    def test_seeded(self, files: list[Path], slices: NDArray[np.uint8]) -> None:
        np.testing.assert_array_equal(cut_label_slices(files[0], 24, 3), slices)
        other = cut_label_slices(files[0], 24, 4)
        assert other.shape != slices.shape or (other != slices).any()
        # Seeds of several numbers, as a pack gives them.
        assert (
            cut_label_slices(files[0], 2, [3, 0]) != cut_label_slices(files[0], 2, [3, 1])
        ).any()

    def test_the_files_axes_do_not_count(
        self, files: list[Path], slices: NDArray[np.uint8]
    ) -> None:
        np.testing.assert_array_equal(cut_label_slices(files[1], 24, 3), slices)

    def test_front_is_above_and_right_is_left(self, slices: NDArray[np.uint8]) -> None:
        """As a radiologist sees it."""
        for one in slices:
            if (one == PILLAR).sum() < 50:
                continue
            _, rows, columns = np.nonzero(one == PILLAR)
            assert rows.mean() < EDGE / 2 - 15 and columns.mean() < EDGE / 2 - 10

    @pytest.mark.parametrize("flip", [False, True])
    def test_as_the_model_sees_it(self, slices: NDArray[np.uint8], flip: bool) -> None:
        """The marker and the ventricles lie where the model grid has those of the whole volume."""
        volume = nested_labels(flip)
        brain = (volume.data > 0) & (volume.data < 500)
        transform = GridTransform.fit(volume, brain)
        middle = transform.to_model(volume.data == MARKER, 0.0)[46]
        expected = centre(middle > 0.5)
        compared = 0
        for one in slices:
            if (one == PILLAR).sum() > 150:
                found = centre((one == PILLAR).any(0)) / 2 - 0.25
                assert np.abs(found - expected).max() < 2.5
                compared += 1
        assert compared > 8
        # Half-pixel exact: the outline of the brain in the widest slice, left and right.
        widest = max(slices, key=lambda one: (one > 0).sum())
        columns = np.flatnonzero((widest > 0).any((0, 1)))
        model = np.flatnonzero((transform.to_model(brain, 0.0)[46] > 0.5).any(0))
        assert abs((columns[0] + columns[-1]) / 4 - 0.25 - (model[0] + model[-1]) / 2) < 1

    def test_planes_of_thick_slices_differ_more_than_those_of_thin_ones(
        self, slices: NDArray[np.uint8]
    ) -> None:
        different = (slices[:, 0] != slices[:, 1]).mean((1, 2))
        assert different.max() > 5 * different.min()

    def test_heights_reach_from_end_to_end(self, files: list[Path]) -> None:
        areas = (cut_label_slices(files[0], 60, 5) > 0).sum((1, 2, 3)) / 2
        assert areas.max() > 0.9 * np.pi * 50 * 62 / 0.9375**2
        assert areas.min() < 0.5 * areas.max()

    def test_labels_beyond_the_table(self, tmp_path: Path) -> None:
        """Cortical parcels above 1000 and negative numbers are no brain, and no crash."""
        volume = nested_labels()
        data = volume.data.copy()
        data[:3], data[-3:] = 2035, -7
        write_nifti(volume.with_data(data), tmp_path / "head.nii.gz", "int16")
        made = cut_label_slices(tmp_path / "head.nii.gz", 2, 0)
        assert len(made) and made.max() <= len(CLASSES)

    def test_no_slices(self, files: list[Path]) -> None:
        assert cut_label_slices(files[0], 0, 0).shape == (0, 2, EDGE, EDGE)


class TestWayOut:
    def test_an_image_is_no_label_map(self, tmp_path: Path) -> None:
        data = np.full((40, 40, 40), 700.0, dtype=np.float32)
        path = tmp_path / "t1.nii.gz"
        write_nifti(Volume(data, np.eye(4), "t1"), path, "int16")
        with pytest.raises(UnsuitableInputError) as caught:
            cut_label_slices(path, 1, 0)
        text = str(caught.value)
        assert text.startswith(f"{path}: has 0 voxels") and "give another file" in text
        assert "\n" not in text

    def test_no_nifti(self, tmp_path: Path) -> None:
        path = tmp_path / "labels.nii.gz"
        path.write_text("no image")
        with pytest.raises(InputError, match=r"labels\.nii\.gz"):
            cut_label_slices(path, 1, 0)


def centre(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean row and column."""
    return np.argwhere(mask).mean(0)
