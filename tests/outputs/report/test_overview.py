"""mmccd.outputs.report.overview: which slices are shown, and which way round."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import nibabel as nib
import numpy as np
import pytest
import torch
from nibabel import orientations
from numpy.typing import NDArray
from tests.reports import report_of

from mmccd.core.result import Result
from mmccd.core.score_maps import ScoreMaps
from mmccd.core.volume import Volume
from mmccd.outputs.report.overview import write_overview
from mmccd.outputs.report.view import most_anomalous

REPORT = report_of()
CYCLE = ScoreMaps(*[torch.zeros(1, 1, 2, 2)] * 5)
RIGHT, LEFT, ANTERIOR, POSTERIOR = 1, -1, 1, -1
CONTOUR, NOTICE_COLOUR = (0, 213, 255), (255, 157, 92)


def scores(*values: float) -> NDArray[np.float32]:
    """A map whose slices hold one voxel of these values, on a floor of small ones."""
    anomaly = np.full((len(values), 20, 20), 0.01, dtype=np.float32)
    anomaly[:, 4, 5] += np.asarray(values, dtype=np.float32)
    return anomaly


@pytest.mark.parametrize(
    ("values", "count", "distance", "chosen"),
    [
        ([1, 5, 2, 4, 3], 2, 1, [1, 3]),
        ([1, 5, 2, 4, 3], 5, 1, [0, 1, 2, 3, 4]),
        ([9, 8, 7, 1, 1, 1, 6], 2, 3, [0, 6]),
        ([1, 9, 8, 7, 2], 3, 2, [1, 3]),
        ([0, 0, 9, 0, 0], 3, 2, [0, 2, 4]),
        ([1, 2, 3], 5, 10, [2]),
    ],
)
def test_most_anomalous(values: list[float], count: int, distance: int, chosen: list[int]) -> None:
    assert most_anomalous(scores(*values), count, distance) == chosen


def test_a_small_strong_anomaly_beats_a_large_weak_background() -> None:
    anomaly = np.full((3, 50, 50), 0.2, dtype=np.float32)
    anomaly[0] = 0.25
    anomaly[2, 10:16, 10:16] = 3.0
    assert most_anomalous(anomaly, 1, 1) == [2]


def test_empty_map_has_slices_to_show() -> None:
    assert len(most_anomalous(np.zeros((8, 4, 4), dtype=np.float32), 3, 2)) == 3


def head(side: int, front: int) -> Result:
    """Three slices of noise with a bright block off the middle, towards a side and front or back,
    segmented; stored as RAS.
    """
    data = np.random.default_rng(0).uniform(60, 180, (60, 80, 3)).astype(np.float32)
    i, j = 30 + side * 15, 40 + front * 20
    block = np.zeros(data.shape, dtype=np.uint8)
    block[i - 7 : i + 7, j - 7 : j + 7] = 1
    data[block > 0] = 200
    volume = Volume(data, np.diag([2.0, 2.0, 2.0, 1.0]), "flair")
    anomaly = volume.with_data(block.astype(np.float32))
    return Result(
        volume,
        anomaly,
        anomaly,
        volume.with_data(block),
        volume.with_data(np.ones_like(block)),
        CYCLE,
        REPORT,
    )


def turned(result: Result, codes: str) -> Result:
    """The same result stored in another axis order."""

    def turn(volume: Volume) -> Volume:
        image = nib.Nifti1Image(volume.data, volume.affine)
        transform = orientations.ornt_transform(
            nib.io_orientation(volume.affine), orientations.axcodes2ornt(codes)
        )
        new = image.as_reoriented(transform)
        return Volume(
            np.asarray(new.dataobj).astype(volume.data.dtype), new.affine, volume.modality
        )

    volumes = (
        result.image,
        result.anomaly_map,
        result.smoothed_map,
        result.segmentation,
        result.brain_mask,
    )
    return Result(*(turn(volume) for volume in volumes), CYCLE, REPORT)


def picture(result: Result, path: Path) -> NDArray[np.uint8]:
    """Pixels of the overview, RGB."""
    write_overview(result, path)
    return np.asarray(np.round(plt.imread(path)[..., :3] * 255), dtype=np.uint8)


def panel_rows(pixels: NDArray[np.uint8]) -> list[slice]:
    """The panels from top to bottom: three long runs of rows in which many pixels are not black."""
    busy = (pixels.max(axis=2) > 10).mean(axis=1) > 0.35
    edges = np.flatnonzero(np.diff(np.concatenate([[False], busy, [False]]).astype(int)))
    runs = [
        slice(int(start), int(stop))
        for start, stop in zip(edges[::2], edges[1::2], strict=True)
        if stop - start > 30
    ]
    assert len(runs) == 3
    return runs


def outline_centre(pixels: NDArray[np.uint8]) -> tuple[float, float]:
    """Where the outline lies in the lowest panel: shares of its width and height, from the top
    left.
    """
    panel = pixels[panel_rows(pixels)[2]].astype(int)
    lit = np.flatnonzero((panel.max(axis=2) > 10).mean(axis=0) > 0.5)
    panel = panel[:, lit[0] : lit[-1] + 1]
    rows, columns = np.nonzero(np.abs(panel - CONTOUR).sum(axis=2) < 90)
    assert len(rows) > 30
    return float(columns.mean() / panel.shape[1]), float(rows.mean() / panel.shape[0])


@pytest.mark.parametrize("codes", ["RAS", "LPS", "ASR", "SPL"])
@pytest.mark.parametrize(
    ("side", "front", "left", "top"),
    [
        (RIGHT, ANTERIOR, True, True),
        (RIGHT, POSTERIOR, True, False),
        (LEFT, ANTERIOR, False, True),
        (LEFT, POSTERIOR, False, False),
    ],
)
def test_the_pictures_left_is_the_patients_right(
    tmp_path: Path, codes: str, side: int, front: int, left: bool, top: bool
) -> None:
    pixels = picture(turned(head(side, front), codes), tmp_path / "overview.png")
    x, y = outline_centre(pixels)
    assert (x < 0.4) == left
    assert (x > 0.6) == (not left)
    assert (y < 0.4) == top
    assert (y > 0.6) == (not top)
    input_panel = pixels[panel_rows(pixels)[0]]
    lit = np.flatnonzero((input_panel.max(axis=2) > 10).mean(axis=0) > 0.5)
    input_panel = input_panel[:, lit[0] : lit[-1] + 1].mean(axis=2)
    middle_row, middle = input_panel.shape[0] // 2, input_panel.shape[1] // 2
    quarters = {
        (True, True): input_panel[:middle_row, :middle],
        (True, False): input_panel[:middle_row, middle:],
        (False, True): input_panel[middle_row:, :middle],
        (False, False): input_panel[middle_row:, middle:],
    }
    assert max(quarters, key=lambda quarter: quarters[quarter].mean()) == (top, left)


def test_file(tmp_path: Path) -> None:
    path = tmp_path / "overview.png"
    write_overview(head(RIGHT, ANTERIOR), path)
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    height, width = plt.imread(path).shape[:2]
    assert 150 < width < 3000
    assert 300 < height < 3000
    assert path.stat().st_size < 3e6
    assert plt.get_fignums() == [], "no figure stays open"


def test_notice_is_whole(tmp_path: Path) -> None:
    """Research use only: also in a narrow picture of one slice."""
    pixels = picture(head(RIGHT, ANTERIOR), tmp_path / "overview.png").astype(int)
    columns = np.nonzero(np.abs(pixels - NOTICE_COLOUR).sum(axis=2) < 60)[1]
    assert len(columns) > 100
    assert columns.min() > 2
    assert columns.max() < pixels.shape[1] - 3


def test_nothing_found(tmp_path: Path) -> None:
    """No outline, and no division by an empty map."""
    result = head(RIGHT, ANTERIOR)
    empty = result.anomaly_map.with_data(np.zeros_like(result.anomaly_map.data))
    nothing = Result(
        result.image,
        empty,
        empty,
        result.segmentation.with_data(np.zeros_like(result.segmentation.data)),
        result.brain_mask,
        CYCLE,
        REPORT,
    )
    pixels = picture(nothing, tmp_path / "overview.png").astype(int)
    assert (np.abs(pixels - CONTOUR).sum(axis=2) < 60).sum() == 0


def test_anisotropic_pixels_keep_their_proportions(tmp_path: Path) -> None:
    """A head of 120 x 160 mm is drawn as wide as that, whatever its pixels are."""
    result = head(RIGHT, ANTERIOR)
    coarse = [
        Volume(volume.data[::3], np.diag([6.0, 2.0, 2.0, 1.0]), volume.modality)
        for volume in (
            result.image,
            result.anomaly_map,
            result.smoothed_map,
            result.segmentation,
            result.brain_mask,
        )
    ]
    pixels = picture(Result(*coarse, CYCLE, REPORT), tmp_path / "overview.png")
    rows = panel_rows(pixels)[0]
    lit = np.flatnonzero((pixels[rows].max(axis=2) > 10).mean(axis=0) > 0.5)
    assert (lit[-1] - lit[0]) / (rows.stop - rows.start) == pytest.approx(120 / 160, rel=0.05)


def test_nan_in_the_input(tmp_path: Path) -> None:
    result = head(RIGHT, ANTERIOR)
    data = result.image.data.copy()
    data[0, 0, 0] = np.nan
    pixels = picture(replace(result, image=result.image.with_data(data)), tmp_path / "overview.png")
    assert len(panel_rows(pixels)) == 3
