"""mmccd.quality.rules: each finding at its limit, refusals, and the contrasts of phantoms."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mmccd.bundle import FORWARD
from mmccd.core.errors import ModelError, UnsuitableInputError
from mmccd.core.findings import Finding
from mmccd.core.volume import Volume
from mmccd.phantom import Phantom
from mmccd.quality.contrast import CONTRAST
from mmccd.quality.features import QUALITY, BrainSlices, measure
from mmccd.quality.rules import (
    STATISTICS,
    InputStatistics,
    Review,
    check_contrast,
    check_direction,
    check_extent,
    check_faces,
    check_quality,
    check_thickness,
    check_tilt,
    face_shares,
    review,
)


@pytest.fixture(scope="module")
def statistics(project: Path) -> InputStatistics:
    """Those that ship."""
    return InputStatistics.read(project / "bundles" / FORWARD)


def slices_of(phantom: Phantom, name: str) -> BrainSlices:
    return BrainSlices.of(phantom.images[name], phantom.brain.data > 0)


@pytest.fixture(scope="module")
def brain(healthy_phantom: Phantom) -> BrainSlices:
    return slices_of(healthy_phantom, "flair")


def ellipsoid(spacing: float = 5.0, height: float = 130.0) -> BrainSlices:
    """A brain without content."""
    axes = [
        np.linspace(-1, 1, int(height / spacing)),
        (np.arange(128) - 63.5) * 1.875 / 85,
        (np.arange(128) - 63.5) * 1.875 / 65,
    ]
    mask = sum(grid**2 for grid in np.meshgrid(*axes, indexing="ij")) < 1
    return BrainSlices(mask.astype(np.float32), np.asarray(mask), (spacing, 1.875, 1.875))


def codes(findings: Sequence[Finding]) -> list[str]:
    return [finding.code for finding in findings]


def cut(slices: BrainSlices, axis: int, share: float, low: bool = True) -> BrainSlices:
    """Without a share of the brain's box at one end."""
    inside = np.flatnonzero(
        slices.mask.any(axis=tuple(other for other in range(3) if other != axis))
    )
    edge = round(share * len(inside))
    keep = np.zeros(slices.mask.shape[axis], dtype=bool)
    keep[inside[edge:] if low else inside[: len(inside) - edge]] = True
    mask = slices.mask & np.moveaxis(
        np.broadcast_to(keep, np.moveaxis(slices.mask, axis, -1).shape), -1, axis
    )
    return replace(slices, mask=mask, image=np.where(mask, slices.image, 0).astype(np.float32))


def test_a_phantom_is_as_usual(brain: BrainSlices, statistics: InputStatistics) -> None:
    """But for its slices of 12 mm."""
    found = review(brain, statistics)
    assert codes(found.findings) == ["slices.thick"]
    assert found.figures["contrast_probabilities"]["flair"] > 0.5


@pytest.mark.parametrize("name", ["t1", "t2"])
def test_another_contrast_is_refused(
    healthy_phantom: Phantom, lesion_phantom: Phantom, statistics: InputStatistics, name: str
) -> None:
    for phantom in (healthy_phantom, lesion_phantom):
        found = review(slices_of(phantom, name), statistics)
        with pytest.raises(
            UnsuitableInputError,
            match=rf"a\.nii: the contrast looks like {name.upper()} .* expected FLAIR.*--unchecked",
        ):
            found.settle("a.nii")
        assert "contrast.not_flair" in codes(found.settle("a.nii", unchecked=True))


@pytest.mark.parametrize(("scale", "shift"), [(0.003, 0), (1, 1000), (1, -1000), (0.01, -3)])
def test_nothing_depends_on_scale_and_zero_point(
    brain: BrainSlices, scale: float, shift: float
) -> None:
    expected = measure(brain)
    image = np.where(brain.mask, brain.image * scale + shift, 0)
    found = measure(replace(brain, image=image.astype(np.float32)))
    assert set(expected) == {*CONTRAST, *QUALITY}
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=5e-3), name


@pytest.mark.parametrize(
    ("flair", "count", "refuses"), [(0.9, 0, False), (0.4, 1, False), (0.01, 1, True)]
)
def test_contrast_limits(flair: float, count: int, refuses: bool) -> None:
    found = check_contrast(
        {"flair": flair, "t1": 0.6 - flair / 2, "t2": 0.4 - flair / 2},
        {"flair_warn": 0.5, "flair_refuse": 0.2},
    )
    assert len(found) == count
    assert any(finding.refuses for finding in found) is refuses


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("low", [True, False])
def test_half_a_brain_is_refused(statistics: InputStatistics, axis: int, low: bool) -> None:
    limits = statistics.limits
    whole = ellipsoid()
    assert check_faces(whole, limits) == []
    (found,) = check_faces(cut(whole, axis, 0.5, low), limits)
    assert (found.code, found.refuses) == ("brain.incomplete", True)
    face = [("bottom", "top"), ("front", "back"), ("right", "left")][axis][0 if low else 1]
    assert f"cut off at its {face}" in found.text
    (slight,) = check_faces(cut(whole, axis, 0.14, low), limits)
    assert (slight.code, slight.refuses) == ("brain.cut_off", False)
    assert face in slight.text


def test_face_shares_are_areas() -> None:
    block = BrainSlices(
        np.ones((10, 128, 128), np.float32), np.ones((10, 128, 128), bool), (5.0, 1.875, 1.875)
    )
    assert set(face_shares(block).values()) == {1.0}


@pytest.mark.parametrize(
    ("height", "expected"),
    [(130.0, []), (60.0, ["brain.short", "brain.size"]), (20.0, ["brain.too_short"])],
)
def test_too_few_slices(statistics: InputStatistics, height: float, expected: list[str]) -> None:
    found = check_extent(ellipsoid(5.0, height), {**statistics.limits, "brain_ml": [1000, 2300]})
    assert codes(found) == expected
    assert any(finding.refuses for finding in found) is ("brain.too_short" in expected)


def test_a_brain_of_wrong_size(statistics: InputStatistics) -> None:
    wrong = replace(ellipsoid(), spacing=(12.0, 1.875, 1.875))
    (found,) = check_extent(wrong, statistics.limits)
    assert "check the voxel spacing" in found.text
    assert not found.refuses


def test_who_gives_half_a_mask_may_want_it(brain: BrainSlices, statistics: InputStatistics) -> None:
    half = cut(brain, 2, 0.5)
    with pytest.raises(UnsuitableInputError, match="cut off at its right"):
        review(half, statistics).settle("a.nii")
    found = review(half, statistics, chosen_by_user=True).settle("a.nii")
    assert "brain.incomplete" in codes(found)
    assert not any(finding.refuses for finding in found)


def test_quality_limits(statistics: InputStatistics, brain: BrainSlices) -> None:
    limits, usual = statistics.limits, measure(brain)
    assert check_quality(usual, 1.0, limits) == []
    for name, value, code in (
        ("bias", 3.0, "brightness.uneven"),
        ("jump", 0.5, "brightness.jumps"),
        ("detail", 0.01, "image.blurred"),
        ("detail", 2.0, "image.noisy"),
    ):
        (found,) = check_quality({**usual, name: value}, 1.0, limits)
        assert found.code == code
        assert not found.refuses
    (found,) = check_quality(usual, 20.0, limits)
    assert found.code == "image.out_of_distribution"


def test_strong_bias_is_noticed(brain: BrainSlices, statistics: InputStatistics) -> None:
    ramp = np.geomspace(0.1, 4.0, 128, dtype=np.float32)
    found = review(replace(brain, image=brain.image * ramp), statistics).settle("a")
    assert "brightness.uneven" in codes(found)


def test_slices_of_different_brightness_are_noticed(
    brain: BrainSlices, statistics: InputStatistics
) -> None:
    flicker = np.where(np.arange(len(brain.image)) % 2, 1.0, 0.75).astype(np.float32)[:, None, None]
    found = review(replace(brain, image=brain.image * flicker), statistics).settle("a")
    assert "brightness.jumps" in codes(found)


def test_noise_and_blank_content_are_unlike_anything(
    brain: BrainSlices, statistics: InputStatistics
) -> None:
    random = np.random.default_rng(0)
    for content in (random.uniform(1, 2, brain.image.shape), np.ones(brain.image.shape)):
        found = review(replace(brain, image=(content * brain.mask).astype(np.float32)), statistics)
        assert found.findings


def test_thick_slices(statistics: InputStatistics) -> None:
    assert check_thickness(ellipsoid(5.0), statistics.limits) == []
    (found,) = check_thickness(ellipsoid(8.0), statistics.limits)
    assert found.code == "slices.thick"
    assert "8.0 mm apart" in found.text


@pytest.mark.parametrize(("degrees", "count"), [(0, 0), (15, 0), (30, 1)])
def test_tilt(degrees: float, count: int) -> None:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("x", degrees, degrees=True).as_matrix()
    assert len(check_tilt(Volume(np.zeros((3, 3, 3)), affine))) == count


def test_upside_down_and_back_to_front() -> None:
    slices = ellipsoid()
    lower = np.zeros_like(slices.mask)
    lower[:9, 70:, 40:90] = True
    lower &= slices.mask
    assert check_direction(slices, lower) == []
    (found,) = check_direction(slices, lower[::-1])
    assert found.code == "head.upside_down"
    (found,) = check_direction(slices, lower[:, ::-1])
    assert found.code == "head.back_to_front"
    assert check_direction(slices, np.zeros_like(lower)) == [], (
        "a scan without cerebellum says nothing"
    )


def test_the_first_refusal_is_the_error() -> None:
    findings = (Finding("a.code", "warned"), Finding("another.code", "refused", "refusal"))
    found = Review(findings, {})
    with pytest.raises(
        UnsuitableInputError, match="^scan: refused, or accept it with --unchecked$"
    ) as caught:
        found.settle("scan")
    assert caught.value.code == "another.code"
    assert found.settle("scan", unchecked=True) == findings


@pytest.mark.parametrize("content", [None, "{", "[]", json.dumps({"classifier": {}})])
def test_damaged_statistics(tmp_path: Path, content: str | None) -> None:
    (tmp_path / "configs").mkdir()
    if content is not None:
        (tmp_path / STATISTICS).write_text(content)
    with pytest.raises(ModelError, match="restore it"):
        InputStatistics.read(tmp_path)
