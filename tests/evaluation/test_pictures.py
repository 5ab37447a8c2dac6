"""mmccd.evaluation.pictures: the figures show the slices they name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from mmccd.core.errors import OutputError
from mmccd.evaluation.bootstrap import rank_counts
from mmccd.evaluation.pictures import Shot, choose_shown, write_curves, write_cycle, write_maps
from mmccd.evaluation.variants import Scored

Make = Callable[..., Scored]


@pytest.fixture
def shot(make_scored: Make) -> Shot:
    """A brain of 24 x 24 with a lesion, of which the map is bright."""
    lesion, brain = np.zeros((1, 32, 32), dtype=bool), np.zeros((1, 32, 32), dtype=bool)
    lesion[0, 10:16, 10:16], brain[0, 4:28, 4:28] = True, True
    subject = make_scored(0.5 * brain + 0.5 * lesion, lesion, "test", brain=brain).subject
    layer = np.random.default_rng(0).random((32, 32)).astype(np.float32)
    return Shot(subject, lesion[0].astype(np.float32), layer, layer)


@pytest.mark.parametrize(
    ("count", "shown"),
    [(1, [0]), (3, [0, 1, 2]), (6, [0, 1, 2, 3, 4, 5]), (11, [0, 2, 4, 6, 8, 10])],
)
def test_shown_patients(count: int, shown: list[int]) -> None:
    assert choose_shown(count) == shown


def test_maps_have_a_column_for_each_method(tmp_path: Path, shot: Shot) -> None:
    dark = Shot(shot.subject, np.zeros_like(shot.anomaly), shot.translated, shot.reconstructed)
    write_maps(tmp_path / "one.png", {"DAE": [shot, shot]})
    write_maps(
        tmp_path / "two.png",
        {"DAE": [shot, shot], "A method with a rather long title": [dark, dark]},
    )
    one, two = (matplotlib.image.imread(tmp_path / name) for name in ("one.png", "two.png"))
    assert one.shape[0] == two.shape[0]
    assert two.shape[1] == pytest.approx(one.shape[1] * 4 / 3, abs=2)
    width = two.shape[1]
    middle = slice(int(0.2 * two.shape[0]), int(0.9 * two.shape[0]))
    hot, cold = (
        two[middle, start : start + width // 4, :3].max() for start in (width // 2, 3 * width // 4)
    )
    assert hot > 0.9, "the lesion glows"
    assert cold < 0.1, "nothing in a map of zeros"


def test_cycle_without_a_real_target(tmp_path: Path, shot: Shot) -> None:
    write_cycle(tmp_path / "with.png", [shot], "t2", [shot.translated])
    write_cycle(tmp_path / "without.png", [shot], "t2", [None])
    some, none = (
        matplotlib.image.imread(tmp_path / name)[..., :3] for name in ("with.png", "without.png")
    )
    width = some.shape[1]
    third = (
        slice(int(0.3 * some.shape[0]), int(0.8 * some.shape[0])),
        slice(2 * width // 6 + 4, 3 * width // 6 - 4),
    )
    assert some[third].max() > 0.9
    assert none[third].max() < 0.1
    assert np.array_equal(some[:, : width // 3 - 4], none[:, : width // 3 - 4])


def test_layers_without_values(tmp_path: Path, shot: Shot) -> None:
    """A method that imagines nothing leaves its fields dark instead of failing."""
    empty = np.full((32, 32), np.nan, dtype=np.float32)
    write_cycle(
        tmp_path / "empty.png", [Shot(shot.subject, shot.anomaly, empty, empty)], "t2", [None]
    )
    assert (tmp_path / "empty.png").stat().st_size > 1000


def test_curves(tmp_path: Path) -> None:
    ranks = rank_counts([np.array([True, False, True])], [np.array([0.9, 0.5, 0.1])])
    write_curves(tmp_path / "curves.png", {"DAE": (ranks, 0.83)}, 0.5)
    assert matplotlib.image.imread(tmp_path / "curves.png").shape[2] in (3, 4)


def test_folder_that_is_not_there(tmp_path: Path, shot: Shot) -> None:
    with pytest.raises(OutputError, match=r"maps\.png"):
        write_maps(tmp_path / "nowhere" / "maps.png", {"DAE": [shot]})
