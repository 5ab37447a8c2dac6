"""The contrast of brains whose intensities have another scale and zero point: z-scored, shifted,
from -1 to 1. A FLAIR is accepted and a T1 or T2 refused, whatever the zero point is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from mmccd.bundle import FORWARD
from mmccd.core import Volume
from mmccd.io import read_nifti
from mmccd.phantom import DEMO_LESIONS, DEMO_SEED, Acquisition, Phantom, make_phantom
from mmccd.quality.features import BrainSlices
from mmccd.quality.rules import InputStatistics, Review, review

Rescale = Callable[[NDArray[np.float64], NDArray[np.bool_]], NDArray[np.float64]]


def z_scored(data: NDArray[np.float64], brain: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Background 0, in the middle of the tissue's intensities."""
    return np.where(brain, (data - data[brain].mean()) / data[brain].std(), 0)


def z_scored_all(data: NDArray[np.float64], brain: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Background at the minimum."""
    return (data - data[brain].mean()) / data[brain].std()


def between_minus_one_and_one(
    data: NDArray[np.float64], brain: NDArray[np.bool_]
) -> NDArray[np.float64]:
    return 2 * (data - data.min()) / (data.max() - data.min()) - 1


def shifted(data: NDArray[np.float64], brain: NDArray[np.bool_]) -> NDArray[np.float64]:
    return data + 1000


SCALES = [z_scored, z_scored_all, between_minus_one_and_one, shifted]


@pytest.fixture(scope="module")
def statistics(project: Path) -> InputStatistics:
    return InputStatistics.read(project / "bundles" / FORWARD)


def reviewed(
    volume: Volume, brain: NDArray[np.bool_], statistics: InputStatistics, rescale: Rescale
) -> Review:
    data = rescale(volume.data.astype(np.float64), brain).astype(np.float32)
    return review(BrainSlices.of(volume.with_data(data), brain), statistics)


def contrast_codes(found: Review) -> set[str]:
    return {one.code for one in found.findings if one.code.startswith("contrast.")}


@pytest.mark.parametrize("rescale", SCALES)
@pytest.mark.parametrize("contrast", ["flair", "t1", "t2"])
def test_the_answer_does_not_depend_on_the_zero_point(
    healthy_phantom: Phantom, statistics: InputStatistics, contrast: str, rescale: Rescale
) -> None:
    brain = healthy_phantom.brain.data > 0
    volume = healthy_phantom.images[contrast]
    expected = reviewed(volume, brain, statistics, lambda data, _: data)
    found = reviewed(volume, brain, statistics, rescale)
    for name, value in expected.figures["contrast_probabilities"].items():
        assert found.figures["contrast_probabilities"][name] == pytest.approx(value, abs=0.02)
    for name in ("strangeness", "bias", "jump", "detail"):
        assert found.figures[name] == pytest.approx(expected.figures[name], rel=0.02, abs=0.01)
    assert contrast_codes(found) == (set() if contrast == "flair" else {"contrast.not_flair"})


def test_the_phantom_of_the_demonstration_is_a_flair(statistics: InputStatistics) -> None:
    phantom = make_phantom(DEMO_SEED, DEMO_LESIONS, Acquisition(pixel_mm=1.875))
    found = reviewed(
        phantom.images["flair"], phantom.brain.data > 0, statistics, lambda data, _: data
    )
    assert contrast_codes(found) == set()


def with_agent(slices: BrainSlices, strength: float) -> BrainSlices:
    """A FLAIR after a contrast agent: meninges and veins at the outline, patches of fluid in the
    sulci, the midline and the plexus in the ventricles are brighter, up to ``strength`` times the
    tissue's brightness above its fluid.
    """
    mm, image = slices.spacing[1], slices.image.astype(np.float64)
    fluid, tissue = np.percentile(image[slices.mask], (2, 50))
    depth = mm * np.stack(
        [ndimage.distance_transform_edt(np.pad(layer, 1))[1:-1, 1:-1] for layer in slices.mask]
    )
    random = np.random.default_rng(0)
    patches = ndimage.gaussian_filter(random.normal(size=image.shape), (0.5, 5 / mm, 5 / mm))
    patches = np.clip(0.5 + patches / patches.std(), 0, 1)
    dark = np.clip((tissue - image) / (tissue - fluid), 0, 1)
    columns = np.arange(image.shape[2]) - np.argwhere(slices.mask)[:, 2].mean()
    share = 0.6 * (depth <= 3) + 0.5 * patches * dark * ((depth > 3) & (depth < 25))
    share = share + 0.6 * patches * (np.abs(columns) * mm < 2) * (depth < 12)
    share = share + (patches > 0.9) * (dark > 0.6) * (depth > 25)
    bright = fluid + strength * (tissue - fluid)
    share = np.clip(ndimage.gaussian_filter(share, (0, 0.7, 0.7)), 0, 1) * slices.mask
    image = image + share * np.maximum(bright - image, 0)
    return replace(slices, image=image.astype(np.float32))


@pytest.mark.parametrize("strength", [1.3, 1.7])
def test_a_contrast_agent_makes_no_other_contrast(
    healthy_phantom: Phantom,
    lesion_phantom: Phantom,
    statistics: InputStatistics,
    strength: float,
) -> None:
    for phantom in (healthy_phantom, lesion_phantom):
        slices = BrainSlices.of(phantom.images["flair"], phantom.brain.data > 0)
        enhanced = with_agent(slices, strength)
        assert np.abs(enhanced.image - slices.image)[slices.mask].mean() > 0
        assert contrast_codes(review(enhanced, statistics)) == set()


@pytest.mark.parametrize("contrast", ["flair", "t1"])
@pytest.mark.parametrize("rescale", [z_scored, shifted])
def test_real_brains(
    real_data: Path, statistics: InputStatistics, contrast: str, rescale: Rescale
) -> None:
    """Test patients, and one whose contrast is weak."""
    for name in ("lgg/TCGA_CS_4942_19970222", "lgg/TCGA_CS_4943_20000902", "ms/OPENMS_26"):
        case = real_data / name
        volume = read_nifti(case / f"{case.name}_{contrast}.nii.gz", contrast)
        found = reviewed(volume, volume.data > 0, statistics, rescale)
        codes = contrast_codes(found)
        assert ("contrast.not_flair" in codes) is (contrast != "flair"), name
