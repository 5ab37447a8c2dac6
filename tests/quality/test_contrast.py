"""mmccd.quality.contrast: numbers that neither scale nor zero point change."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from mmccd.phantom import Phantom
from mmccd.quality.contrast import (
    CONTRAST,
    StandardBrain,
    blurred_inside,
    box_of,
    correlation,
    measure_contrast,
)

SPACING = (6.0, 2.0, 2.0)


def random_brain(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A block of noise and slopes."""
    random = np.random.default_rng(seed)
    mask = np.zeros((12, 60, 50), dtype=bool)
    mask[1:-1, 5:-5, 5:-5] = True
    slope = np.linspace(0, 3, 50) + np.linspace(0, 1, 12)[:, None, None]
    return (slope + random.normal(size=mask.shape)).astype(np.float32), mask


@settings(max_examples=10, deadline=None)
@given(
    scale=st.floats(1e-3, 1e3), shift=st.floats(-100, 100), outside=st.sampled_from([-1e4, 0, 1e4])
)
def test_scale_and_zero_point_have_no_influence(scale: float, shift: float, outside: float) -> None:
    image, mask = random_brain()
    expected = measure_contrast(image, mask, SPACING)
    changed = np.where(mask, scale * (image.astype(np.float64) + shift), outside)
    found = measure_contrast(changed.astype(np.float32), mask, SPACING)
    assert tuple(found) == CONTRAST
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=2e-3), name


def test_an_inverted_image_is_another_one() -> None:
    image, mask = random_brain()
    found, inverted = (measure_contrast(one, mask, SPACING) for one in (image, -image))
    assert inverted["p95"] == pytest.approx(-found["p5"], abs=1e-3)


def test_robust_units() -> None:
    image, mask = random_brain()
    brain = StandardBrain.of(image, mask, SPACING)
    assert brain.mask.shape == (10, 50, 40)
    low, middle, high = np.percentile(brain.values[brain.inner], (10, 50, 90))
    assert (middle, high - low) == pytest.approx((0, 1), abs=1e-9)
    assert brain.inner.sum() == 10 * 48 * 38
    assert brain.depth.max() == 40


def test_thin_slices_are_passed_over() -> None:
    image, mask = random_brain()
    assert len(StandardBrain.of(image, mask, (1.0, 2.0, 2.0)).mask) == 4


def test_what_the_rim_holds_has_little_influence() -> None:
    """A mask that slips takes fat in."""
    image, mask = random_brain()
    dirty = image.copy()
    dirty[:, :6] = 100
    expected, found = (measure_contrast(one, mask, SPACING) for one in (image, dirty))
    for name in CONTRAST:
        if name not in ("depth_to_2_mm", "depth_to_4_mm"):
            assert found[name] == pytest.approx(expected[name], abs=0.5), name
    assert found["p99"] == pytest.approx(expected["p99"], abs=1e-6)


@pytest.mark.parametrize("value", [0.0, 7.0, -1000.0])
def test_a_brain_without_content(value: float) -> None:
    _, mask = random_brain()
    found = measure_contrast(np.full(mask.shape, value, np.float32), mask, SPACING)
    assert found["p99"] == found["white_correlation"] == 0
    assert np.isfinite(list(found.values())).all()


def test_tissues_of_a_phantom(healthy_phantom: Phantom) -> None:
    """Fluid is dark on FLAIR and T1 and bright on T2; white matter is brightest on T1."""
    from mmccd.quality.features import BrainSlices, measure

    brain = healthy_phantom.brain.data > 0
    flair, t1, t2 = (
        measure(BrainSlices.of(healthy_phantom.images[name], brain))
        for name in ("flair", "t1", "t2")
    )
    assert t2["ventricles_to_grey"] > 0 > max(flair["ventricles_to_grey"], t1["ventricles_to_grey"])
    assert t1["white_to_grey"] > flair["white_to_grey"]


def test_blur_within_a_mask() -> None:
    image, mask = random_brain()
    inside = np.where(mask, 5.0, 1e6)
    np.testing.assert_allclose(blurred_inside(inside, mask, (0, 1, 1))[mask], 5.0)


def test_box_and_correlation() -> None:
    _, mask = random_brain()
    assert box_of(mask) == (slice(1, 11), slice(5, 55), slice(5, 45))
    line = np.arange(20.0)
    assert correlation(line, -line) == pytest.approx(-1)
    assert correlation(line, np.ones(20)) == correlation(line[:5], line[:5]) == 0


def test_templates_are_begun_once_and_without_pytorch() -> None:
    """They are made beside the import of PyTorch."""
    code = (
        "import sys; from mmccd.quality import begin_templates; first = begin_templates();"
        "assert begin_templates() is first; loaded = {'torch', 'monai'} & set(sys.modules);"
        "assert first.result().shape[0] == 4; sys.exit(bool(loaded))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
