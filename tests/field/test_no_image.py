"""What has the form of an image and is none, or not all of it; and volumes that are too large to be
looked at all at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from mmccd.brain import Brain
from mmccd.core import UnsuitableInputError, Volume
from mmccd.phantom import Phantom
from mmccd.pipeline import make_intake
from mmccd.quality.content import check_slices, check_values, coarse_copy

Array = NDArray[np.float32]


class TestNoImage:
    @pytest.fixture
    def brain(self, healthy_phantom: Phantom) -> tuple[Volume, NDArray[np.bool_]]:
        return healthy_phantom.images["flair"], healthy_phantom.brain.data > 0

    def codes(self, volume: Volume, brain: NDArray[np.bool_]) -> list[str]:
        return [one.code for one in check_slices(volume) + check_values(volume, brain)]

    def test_an_image_is_one(self, brain: tuple[Volume, NDArray[np.bool_]]) -> None:
        volume, mask = brain
        eight_bits = np.round(volume.data / volume.data.max() * 255).astype(np.float32)
        assert self.codes(volume, mask) == self.codes(volume.with_data(eight_bits), mask) == []

    @pytest.mark.parametrize(
        "make",
        [
            lambda image, brain: brain * 1,
            lambda image, brain: brain * 255,
            lambda image, brain: ndimage.gaussian_filter(brain.astype(float), (1, 1, 0)),
            lambda image, brain: brain * (1 + np.digitize(image, np.quantile(image[brain], [0.5]))),
            lambda image, brain: brain * (1 + np.indices(image.shape).sum(0) // 10),
        ],
        ids=["mask", "mask of 255", "probability", "few labels", "parcellation"],
    )
    def test_masks_and_labels(
        self,
        brain: tuple[Volume, NDArray[np.bool_]],
        make: Callable[[Array, NDArray[np.bool_]], Array],
    ) -> None:
        volume, mask = brain
        data = np.asarray(make(volume.data, mask), np.float32)
        assert self.codes(volume.with_data(data), mask) == ["image.labels"]

    @pytest.mark.parametrize("value", [0.0, -7.0, np.nan])
    @pytest.mark.parametrize("axis", [0, 1, 2])
    def test_lost_slices(
        self, brain: tuple[Volume, NDArray[np.bool_]], value: float, axis: int
    ) -> None:
        data = np.array(brain[0].data)
        middle = data.shape[axis] // 2
        np.moveaxis(data, axis, 0)[middle : middle + 2] = value
        (found,) = check_slices(brain[0].with_data(data))
        assert found.code == "slices.empty"
        assert f"2 of {data.shape[axis]} slices hold" in found.text

    def test_what_lies_around_a_head_may_be_empty(
        self, brain: tuple[Volume, NDArray[np.bool_]]
    ) -> None:
        data = np.pad(brain[0].data, 4)
        data[:, 0, 0] = 1.0  # a line at the border, as registration leaves it
        assert check_slices(replace(brain[0], data=data)) == []

    def test_it_is_refused_before_the_cycle(self, brain: tuple[Volume, NDArray[np.bool_]]) -> None:
        volume, mask = brain
        with pytest.raises(UnsuitableInputError, match="mask or a label map") as caught:
            make_intake().prepare(volume.with_data(mask.astype(np.float32)))
        assert caught.value.code == "image.labels"
        lost = np.where(np.arange(volume.shape[2]) == volume.shape[2] // 2, 0, volume.data)
        found = make_intake(unchecked=True).prepare(volume.with_data(lost.astype(np.float32)))
        assert "slices.empty" in [one.code for one in found.findings]

    def test_a_coarse_copy_lies_where_it_did(self, brain: tuple[Volume, NDArray[np.bool_]]) -> None:
        volume, _ = brain
        fine = Volume(volume.data, volume.affine @ np.diag([0.3, 0.3, 1, 1]))
        copy = coarse_copy(fine)
        steps = [max(1, int(1.25 / mm)) for mm in fine.spacing]
        np.testing.assert_array_equal(copy.data, fine.data[:: steps[0], :: steps[1], :: steps[2]])
        np.testing.assert_allclose(copy.spacing, np.array(fine.spacing) * steps)
        np.testing.assert_allclose(copy.affine[:3, 3], fine.affine[:3, 3])

    def test_a_large_volume_is_refused_for_what_its_coarse_copy_shows(
        self, brain: tuple[Volume, NDArray[np.bool_]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        volume, mask = brain
        fine = Volume(mask.astype(np.float32), volume.affine @ np.diag([0.3, 0.3, 1, 1]))
        seen = []

        def find(image: Volume, *others: Any) -> Brain:
            seen.append(image.data.size)
            return Brain(image.data > 0, "already stripped")

        monkeypatch.setattr("mmccd.quality.intake.LARGE", volume.data.size - 1)
        monkeypatch.setattr("mmccd.quality.intake.find_brain", find)
        with pytest.raises(UnsuitableInputError, match="mask or a label map"):
            make_intake().prepare(fine)
        assert len(seen) == 1 and seen[0] < volume.data.size
