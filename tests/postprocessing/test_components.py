"""mmccd.postprocessing.components: the regions and their places."""

from __future__ import annotations

import numpy as np
import pytest

from mmccd.core.volume import Volume
from mmccd.postprocessing.components import label_as_listed, measure_components
from mmccd.postprocessing.confidence import ConfidenceLevels

AFFINE = np.array([[-2.0, 0, 0, 10], [0, 0, 3.0, -20], [0, 1.0, 0, 5], [0, 0, 0, 1]])


def volume(*voxels: tuple[int, int, int]) -> Volume:
    data = np.zeros((8, 9, 10), dtype=np.uint8)
    for voxel in voxels:
        data[voxel] = 1
    return Volume(data, AFFINE, "mask")


def test_places_and_figures() -> None:
    segmentation = volume((1, 2, 3), (1, 2, 4), (6, 6, 6))
    smoothed = np.zeros(segmentation.shape, dtype=np.float32)
    smoothed[1, 2, 3], smoothed[1, 2, 4], smoothed[6, 6, 6], smoothed[0, 0, 0] = 0.5, 0.75, 2.0, 9.0
    found, count = measure_components(segmentation, smoothed)
    assert count == 2
    first, second = found
    assert first.volume_ml == pytest.approx(2 * 6 / 1000)
    assert first.centre_mm == (8.0, -20 + 3 * 3.5, 7.0)
    assert (first.peak, first.peak_mm) == (0.75, (8.0, -8.0, 7.0))
    assert (second.peak, second.peak_mm, second.centre_mm) == (
        2.0,
        (-2.0, -2.0, 11.0),
        (-2.0, -2.0, 11.0),
    )
    assert (first.mean, second.mean) == (0.625, 2.0)
    assert (first.confidence, second.confidence) == (None, None), "without levels"
    assert list(first.model_dump()) == ["volume_ml", "centre_mm", "peak", "peak_mm", "mean"]


def test_confidence_is_that_of_the_mean() -> None:
    """A peak alone does not make a region sure."""
    segmentation = volume((1, 2, 3), (1, 2, 4), (1, 2, 5), (6, 6, 6), (6, 1, 1))
    smoothed = np.zeros(segmentation.shape, dtype=np.float32)
    smoothed[1, 2, 3], smoothed[1, 2, 4:6] = 3.0, 0.6
    smoothed[6, 6, 6], smoothed[6, 1, 1] = 2.5, 0.7
    levels = ConfidenceLevels(high=2.0, moderate=1.0)
    found, _ = measure_components(segmentation, smoothed, levels=levels)
    assert [one.confidence for one in found] == ["moderate", "high", "low"]
    assert found[0].mean == pytest.approx(1.4)
    assert found[0].peak == 3.0


def test_corners_connect() -> None:
    segmentation = volume((1, 1, 1), (2, 2, 2))
    assert measure_components(segmentation, np.zeros(segmentation.shape, dtype=np.float32))[1] == 1


def test_the_largest_are_listed_and_all_are_counted() -> None:
    segmentation = volume(
        (0, 0, 0), (0, 4, 0), (4, 0, 0), (4, 1, 0), (7, 7, 7), (7, 7, 8), (7, 7, 9)
    )
    found, count = measure_components(
        segmentation, np.zeros(segmentation.shape, dtype=np.float32), most=2
    )
    assert count == 4
    assert [round(one.volume_ml * 1000) for one in found] == [18, 12]


def test_labels_are_places_in_the_list() -> None:
    """The largest is 1; what is not listed has one more than the list is long."""
    segmentation = volume((6, 6, 6), (1, 2, 3), (1, 2, 4), (7, 0, 0))
    smoothed = np.zeros(segmentation.shape, dtype=np.float32)
    smoothed[6, 6, 6] = 2.0
    listed, _ = measure_components(segmentation, smoothed, most=2)
    labels = label_as_listed(segmentation, listed)
    assert [labels[1, 2, 3], labels[1, 2, 4], labels[6, 6, 6], labels[7, 0, 0]] == [1, 1, 2, 3]
    assert np.count_nonzero(labels) == 4
    assert not label_as_listed(volume(), []).any()


def test_nothing() -> None:
    segmentation = volume()
    assert measure_components(segmentation, np.zeros(segmentation.shape, dtype=np.float32)) == (
        [],
        0,
    )
