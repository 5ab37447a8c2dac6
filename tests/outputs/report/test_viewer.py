"""mmccd.outputs.report.viewer: what the page of the server gets of a run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from tests.outputs.report.results import make_result
from tests.outputs.report.test_html import native

from mmccd.core.result import Result
from mmccd.outputs.report.viewer import write_viewer
from mmccd.outputs.report.viewer_files import VIEWER_FILE, VOLUMES


def written(result: Result, folder: Path) -> tuple[dict[str, Any], dict[str, nib.Nifti1Image]]:
    folder.mkdir(exist_ok=True)
    write_viewer(result, folder)
    figures = json.loads((folder / VIEWER_FILE).read_text())
    images = {name: nib.load(folder / f"{name}.nii.gz") for name in figures["volumes"]}
    return figures, images


@pytest.mark.parametrize("codes", ["RAS", "LPS", "SPL"])
def test_all_on_one_grid_and_in_their_place(tmp_path: Path, codes: str) -> None:
    result = make_result(codes)
    figures, images = written(result, tmp_path)
    assert figures["volumes"] == list(VOLUMES)
    assert len({image.shape for image in images.values()}) == 1
    assert all(np.allclose(image.affine, images["map"].affine) for image in images.values())
    assert np.array_equal(native(result, images["map"]), result.smoothed_map.data)


def test_the_reconstructed_image_has_the_grey_scale_of_the_input(tmp_path: Path) -> None:
    """The made cycle returns 0.9 times the input (in hundreds), slice by slice in its place."""
    result = make_result()
    figures, images = written(result, tmp_path)
    low, high = figures["returned_window"]
    inside = result.brain_mask.data > 0
    returned = native(result, images["returned"])[inside]
    expected = np.clip(0.9 * result.image.data[inside] / 100, low, high)
    assert np.corrcoef(returned, expected)[0, 1] > 0.8, "the model grid is coarser"
    assert returned.mean() == pytest.approx(expected.mean(), rel=0.02)
    given = result.maps.reconstructed + result.maps.signed
    assert (low, high) == pytest.approx(
        tuple(np.nanpercentile(given.numpy(), [0.5, 99.5])), rel=1e-3
    )


def test_a_method_without_one(tmp_path: Path) -> None:
    result = make_result()
    nothing = torch.full_like(result.maps.reconstructed, float("nan"))
    figures, images = written(
        replace(result, maps=replace(result.maps, reconstructed=nothing)), tmp_path
    )
    assert "returned" not in images
    assert "returned_window" not in figures


def test_nothing_of_the_patient(tmp_path: Path) -> None:
    figures, images = written(make_result(), tmp_path)
    assert "SMITH" not in json.dumps(figures)
    for image in images.values():
        assert image.header["descrip"].item() == b""
