"""The picture: the right slices, the right way round."""

from __future__ import annotations

from pathlib import Path

import matplotlib.image
import nibabel.orientations as orientations
import numpy as np
import pytest

from mmccd.bundle import load_pair
from mmccd.data.phantom import make_phantom
from mmccd.pipeline import AnomalyPipeline
from mmccd.report.overview import most_anomalous, write_overview
from mmccd.result import Result
from mmccd.volume import Volume


def test_most_anomalous_slices_come_in_order_and_apart() -> None:
    anomaly = np.full((20, 8, 8), 0.1, dtype=np.float32)
    for index, value in ((3, 5.0), (4, 4.9), (12, 9.0), (17, 2.0)):
        anomaly[index, 2:4, 2:4] = value
    assert most_anomalous(anomaly, 3, min_distance=3) == [3, 12, 17]
    assert most_anomalous(anomaly, 2, min_distance=1) == [3, 12]


def test_an_empty_map_still_gives_slices() -> None:
    assert len(most_anomalous(np.zeros((6, 4, 4), dtype=np.float32), 3, min_distance=1)) == 3


def reoriented(volume: Volume, codes: str) -> Volume:
    """The same image with other axes."""
    transform = orientations.ornt_transform(orientations.io_orientation(volume.affine), orientations.axcodes2ornt(codes))
    data = orientations.apply_orientation(volume.data, transform)
    return Volume(np.asarray(data), volume.affine @ orientations.inv_ornt_aff(transform, volume.shape), volume.modality, volume.provenance)


@pytest.mark.parametrize("codes", ["RAS", "PSL", "LPI"])
def test_right_is_left_and_front_is_top(codes: str, tmp_path: Path, tiny_bundles: Path) -> None:
    """A bright patch in the patient's right front lies in the left upper quarter of each picture of the first row."""
    flair = make_phantom(slice_mm=15.0, pixel_mm=2.0).images["flair"]
    index = np.indices(flair.shape).reshape(3, -1)
    world = (flair.affine[:3, :3] @ index + flair.affine[:3, 3:]).reshape(3, *flair.shape)
    brain = flair.data > 0
    centre = [float(world[axis][brain].mean()) for axis in range(3)]
    patch = brain & (world[0] > centre[0] + 15) & (world[1] > centre[1] + 25)
    marked = reoriented(flair.with_data(np.where(patch, 4000, flair.data / 100).astype(np.float32)), codes)
    mask = reoriented(flair.with_data(brain.astype(np.float32)), codes)
    result: Result = AnomalyPipeline(load_pair(tiny_bundles), "fast", "cpu", threshold=1e9).run(marked, mask)
    write_overview(result, tmp_path / "overview.png")
    pixels = matplotlib.image.imread(tmp_path / "overview.png")[..., :3].mean(axis=-1)
    height, width = pixels.shape
    assert height > 300
    assert width > 500
    first_row = pixels[int(0.1 * height) : int(0.35 * height)]
    bright = np.argwhere(first_row > 0.95)
    columns = 5
    left, right = 0.05 * width, 0.92 * width
    place = (bright[:, 1] - left) / (right - left) * columns % 1
    inside = (place > 0.12) & (place < 0.88)
    assert inside.sum() > 50
    assert np.median(place[inside]) < 0.5, "the patient's right is on the left"
    assert np.median(bright[inside, 0]) < len(first_row) / 2, "the front is on top"
