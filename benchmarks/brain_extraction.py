"""Compare ways to find the brain against trusted masks (docs/brain.md).

python benchmarks/brain_extraction.py IMAGE=MASK [IMAGE=MASK ...]
    [--methods own,own+n4,atlas,hd-bet] [--bundles DIR]

``atlas``: MNI152 (the T1 image that comes with nilearn) is registered to the head, affine and then
with B-splines, by mutual information (SimpleITK, which has to be installed for this script alone),
and its brain mask carried over. ``own+n4``: our network on the head after N4 within a rough head
mask.
"""

from __future__ import annotations

import argparse
import gzip
import logging
import time
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK
from numpy.typing import NDArray
from scipy import ndimage

from mmccd.brain import intensity_scale
from mmccd.core import Volume
from mmccd.imaging import correct_bias
from mmccd.io import read_nifti
from mmccd.pipeline import make_intake

logger = logging.getLogger(__name__)
Mask = NDArray[np.bool_]


def own(volume: Volume, bundles: Path | None) -> Mask:
    """Our network."""
    return make_intake(bundles).extract(volume).mask


def own_after_n4(volume: Volume, bundles: Path | None) -> Mask:
    """Our network on a corrected image."""
    head = ndimage.binary_fill_holes(volume.data > 0.1 * intensity_scale(volume.data))
    return make_intake(bundles).extract(correct_bias(volume, np.asarray(head))).mask


def hd_bet(volume: Volume, bundles: Path | None) -> Mask:
    """HD-BET, where it is installed."""
    return make_intake(bundles, "hd-bet").extract(volume).mask


def atlas(volume: Volume, bundles: Path | None) -> Mask:
    """Registration of MNI152."""
    fixed = SimpleITK.DiscreteGaussian(_image(volume), 1.0)
    template = _template("t1")
    brain = ndimage.binary_fill_holes(
        ndimage.binary_closing(_template("gm").data + _template("wm").data > 0.4, iterations=4)
    )
    moving = _image(template)
    start = SimpleITK.CenteredTransformInitializer(
        fixed,
        moving,
        SimpleITK.AffineTransform(3),
        SimpleITK.CenteredTransformInitializerFilter.MOMENTS,
    )
    affine = _register(fixed, moving, start, [4, 2], 0.15)
    mesh = SimpleITK.BSplineTransformInitializer(fixed, [5, 5, 4], order=3)
    total = SimpleITK.CompositeTransform([affine, _register(fixed, moving, mesh, [2], 0.1, affine)])
    carried = SimpleITK.Resample(
        _image(template.with_data(brain.astype(np.float32))),
        _image(volume),
        total,
        SimpleITK.sitkLinear,
        0.0,
        SimpleITK.sitkFloat32,
    )
    return np.asarray(SimpleITK.GetArrayFromImage(carried).T >= 0.5)


def _register(
    fixed: SimpleITK.Image,
    moving: SimpleITK.Image,
    start: SimpleITK.Transform,
    shrink: list[int],
    share: float,
    before: SimpleITK.Transform | None = None,
) -> SimpleITK.Transform:
    method = SimpleITK.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(40)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(share, 1)
    method.SetInterpolator(SimpleITK.sitkLinear)
    method.SetShrinkFactorsPerLevel(shrink)
    method.SetSmoothingSigmasPerLevel([factor / 2 for factor in shrink])
    method.SetOptimizerAsGradientDescentLineSearch(
        1.0, 60, convergenceMinimumValue=1e-5, convergenceWindowSize=8
    )
    method.SetOptimizerScalesFromPhysicalShift()
    if before is not None:
        method.SetMovingInitialTransform(before)
    method.SetInitialTransform(start, inPlace=True)
    method.Execute(fixed, moving)
    return start


def _template(tissue: str) -> Volume:
    name = f"mni_icbm152_{tissue}_tal_nlin_sym_09a_converted.nii.gz"
    file = resources.files("nilearn.datasets") / "data" / name
    image = nib.as_closest_canonical(nib.Nifti1Image.from_bytes(gzip.decompress(file.read_bytes())))
    data = image.get_fdata(dtype=np.float32)
    return Volume(
        data / max(float(data.max()), 1.0) if tissue != "t1" else data, np.asarray(image.affine)
    )


def _image(volume: Volume) -> SimpleITK.Image:
    image = SimpleITK.GetImageFromArray(
        np.ascontiguousarray(np.asarray(volume.data, dtype=np.float32).T)
    )
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.affine
    spacing = np.array(volume.spacing)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    return image


METHODS: dict[str, Callable[[Volume, Path | None], Mask]] = {
    "own": own,
    "own+n4": own_after_n4,
    "atlas": atlas,
    "hd-bet": hd_bet,
}


def main() -> None:
    """Print a table: Dice, volumes and seconds of every method on every image."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pairs", nargs="+")
    parser.add_argument("--methods", default="own,own+n4,atlas")
    parser.add_argument("--bundles", type=Path)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logger.info("| image | method | Dice | mL | trusted mL | s |\n|---|---|---|---|---|---|")
    for pair in arguments.pairs:
        path, mask = pair.split("=")
        volume, truth = read_nifti(path), read_nifti(mask).data > 0.5
        for name in arguments.methods.split(","):
            start = time.monotonic()
            found = METHODS[name](volume, arguments.bundles)
            seconds = time.monotonic() - start
            dice = 2 * float((found & truth).sum()) / float(found.sum() + truth.sum())
            sizes = (found.sum() * volume.voxel_ml, truth.sum() * volume.voxel_ml)
            logger.info(
                "| %s | %s | %.3f | %.0f | %.0f | %.1f |",
                Path(path).name,
                name,
                dice,
                *sizes,
                seconds,
            )


if __name__ == "__main__":
    main()
