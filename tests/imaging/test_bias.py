"""mmccd.imaging.bias: a known field is taken out."""

from __future__ import annotations

import numpy as np

from mmccd.imaging.bias import correct_bias
from mmccd.phantom import Phantom


def test_a_known_field_is_removed(healthy_phantom: Phantom) -> None:
    flair, brain = healthy_phantom.images["flair"], healthy_phantom.brain.data > 0
    ramp = np.geomspace(0.6, 1.6, flair.shape[0])[:, None, None]
    uneven = flair.with_data((flair.data * ramp).astype(np.float32))
    corrected = correct_bias(uneven, brain)
    middle = [
        np.median(image[:half][brain[:half]]) / np.median(image[half:][brain[half:]])
        for image, half in
        # fmt: skip
        ((uneven.data, flair.shape[0] // 2), (corrected.data, flair.shape[0] // 2))
    ]
    assert abs(np.log(middle[1])) < 0.4 * abs(np.log(middle[0]))
    assert corrected.data.dtype == np.float32
    assert corrected.same_grid(flair)
    assert 0.7 < corrected.data[brain].mean() / uneven.data[brain].mean() < 1.4
