"""mmccd.apps.cli.demo: the demonstration's table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st
from tests.reports import report_of

from mmccd.apps.cli import cli
from mmccd.apps.cli.demo import demo_table, equal_alarms_threshold, lesion_groups, rule_map
from mmccd.core.result import Result
from mmccd.phantom import DEMO_LESIONS, Phantom


@given(st.lists(st.integers(0, 50), min_size=1, max_size=60), st.integers(0, 70))
def test_equal_alarms(values: list[int], alarms: int) -> None:
    """At most as many lie above; and one more value would be too many, but for ties."""
    healthy = np.array(values, dtype=float)
    threshold = equal_alarms_threshold(healthy, alarms)
    above = int((healthy > threshold).sum())
    assert above == min(alarms, len(values)) or (
        above < alarms and (healthy >= threshold).sum() > alarms
    )


def test_groups_share_out_the_mask(lesion_phantom: Phantom) -> None:
    groups = lesion_groups(lesion_phantom)
    assert list(groups) == ["bright", "grey-like", "small"]
    assert np.array_equal(
        sum(group.astype(int) for group in groups.values()), lesion_phantom.lesion.data
    )
    for name, lesion in zip(("bright", "grey-like"), DEMO_LESIONS[:2], strict=True):
        places = (
            np.argwhere(groups[name]) @ lesion_phantom.lesion.affine[:3, :3].T
            + lesion_phantom.lesion.affine[:3, 3]
        )
        assert np.abs(places.mean(0) - lesion.centre_mm).max() < 7


def table(phantom: Phantom, score: np.ndarray, segmentation: np.ndarray) -> list[list[str]]:
    """Numbers of the rows of the map and of the intensity, for a made-up result."""
    volume = phantom.lesion
    result = Result(
        phantom.images["flair"],
        volume.with_data(score),
        volume.with_data(score),
        volume.with_data(segmentation.astype(np.uint8)),
        phantom.brain,
        None,  # type: ignore[arg-type]
        report_of(),
    )
    lines = demo_table(phantom, result).splitlines()
    assert lines[0].startswith("phantom with 6 lesions")
    assert lines[3].startswith("FLAIR above 1.2 of its range")
    return [line[30:].split() for line in (lines[2], lines[4])]


def test_perfect_map(lesion_phantom: Phantom) -> None:
    """All ones for the map; the intensity, without a false alarm allowed, finds nothing of what is
    like grey matter.
    """
    truth = lesion_phantom.lesion.data.astype(np.float32)
    ours, intensity = table(lesion_phantom, truth, truth > 0)
    marked = f"{truth.sum() * lesion_phantom.lesion.voxel_ml:.1f}"
    assert ours == ["1.000", "1.000", "1.000", marked, "0.0", "100%", "100%", "100%"]
    assert 0.1 < float(intensity[0]) < 0.95
    assert float(intensity[1]) >= float(intensity[2])
    assert int(intensity[6].rstrip("%")) < 5


def test_intensity_as_the_map_gives_the_row_of_the_intensity(lesion_phantom: Phantom) -> None:
    """With the intensity itself as map, cut anywhere, both rows agree: the false alarms are the
    same.
    """
    flair = lesion_phantom.images["flair"].data
    ours, intensity = table(
        lesion_phantom, flair, (flair > np.quantile(flair[flair > 0], 0.97)) & (flair > 0)
    )
    assert ours == intensity


def test_nothing_found(lesion_phantom: Phantom) -> None:
    nothing = np.zeros(lesion_phantom.lesion.shape, dtype=np.float32)
    ours, _ = table(lesion_phantom, nothing, nothing > 0)
    assert ours[2:] == ["0.000", "0.0", "0.0", "0%", "0%", "0%"]
    assert float(ours[0]) == pytest.approx(
        lesion_phantom.lesion.data.sum() / lesion_phantom.brain.data.sum(), abs=1e-3
    )


def test_rule_map_is_free_of_scale_and_0_outside(lesion_phantom: Phantom) -> None:
    flair, brain = lesion_phantom.images["flair"], lesion_phantom.brain.data > 0
    score = rule_map(flair, brain)
    assert (score[~brain] == 0).all()
    np.testing.assert_allclose(score, rule_map(flair.with_data(3 * flair.data), brain), atol=1e-3)
    bright = lesion_groups(lesion_phantom)["bright"]
    assert np.median(score[bright & brain]) > np.median(score[brain])


@pytest.mark.slow
def test_the_demonstration_runs_with_what_ships(tmp_path: Path) -> None:
    """As `make demo` does, to the end: its phantom, the weights that ship, the stored threshold."""
    assert cli.run(["demo", "--output", str(tmp_path / "demo")]) == 0
    assert {"overview.png", "report.html", "report.json", "segmentation.nii.gz"} <= {
        path.name for path in (tmp_path / "demo").iterdir()
    }
