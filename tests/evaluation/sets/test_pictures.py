"""mmccd.evaluation.sets.pictures: outlines in their colours, where they belong."""

from __future__ import annotations

from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from mmccd.core.errors import OutputError
from mmccd.evaluation.pictures import TRUTH
from mmccd.evaluation.sets.pictures import MARKED, write_worst
from mmccd.evaluation.sets.worst import WorstShot


@pytest.fixture
def shot() -> WorstShot:
    """The label in the left half of the picture, in front; a mark in the right half, behind."""
    brain, truth, marked = (np.zeros((64, 64), dtype=bool) for _ in range(3))
    brain[4:60, 4:60], truth[12:20, 10:20], marked[44:52, 44:54] = True, True, True
    image = np.where(brain, 0.5, 0.0).astype(np.float32)
    return WorstShot("ms", "a_case", 1.25, 40, image, brain, truth, marked, marked)


def where(picture: NDArray[np.float32], colour: str) -> NDArray[np.int64]:
    """Places of the pixels of a colour, without the legend below: (row, column) as shares."""
    close = np.abs(picture[..., :3] - to_rgb(colour)).max(axis=2) < 0.15
    places = np.argwhere(close) / np.array(close.shape)
    return places[places[:, 0] < 0.8]


def test_outlines(tmp_path: Path, shot: WorstShot) -> None:
    """As the arrays lie: rows downwards, columns to the right; a fifth of the width each."""
    write_worst(tmp_path / "worst.png", "false mark", {"RULE": [shot]})
    picture = matplotlib.image.imread(tmp_path / "worst.png")
    truth, marked = where(picture, TRUTH), where(picture, MARKED)
    assert len(truth) > 50
    assert len(marked) > 50
    assert truth[:, 1].max() < marked[:, 1].min() < marked[:, 1].max() < 0.25
    assert truth[:, 0].max() < marked[:, 0].min()


def test_a_row_for_each_method(tmp_path: Path, shot: WorstShot) -> None:
    """Also for one that has nothing to show."""
    write_worst(tmp_path / "one.png", "false mark", {"RULE": [shot] * 5})
    write_worst(tmp_path / "two.png", "false mark", {"RULE": [shot] * 5, "NONE": []})
    one, two = (matplotlib.image.imread(tmp_path / name) for name in ("one.png", "two.png"))
    assert one.shape[1] == two.shape[1]
    assert two.shape[0] > 1.7 * one.shape[0]


def test_folder_that_is_not_there(tmp_path: Path, shot: WorstShot) -> None:
    with pytest.raises(OutputError, match=r"worst\.png"):
        write_worst(tmp_path / "nowhere" / "worst.png", "false mark", {"RULE": [shot]})
