"""mmccd.outputs.report.risks: each cause, its words and its figures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.outputs.report.results import at_point, make_result, without_lesion

from mmccd.brain import EXTRACTED, STRIPPED
from mmccd.core import all_codes
from mmccd.core.result import Result
from mmccd.outputs.report import risks
from mmccd.outputs.report.html import render_page
from mmccd.outputs.report.risks import marked_at_ends, risks_of


def lines(result: Result) -> dict[str, str]:
    return {one.code: one.line for one in risks_of(result)}


def of_report(**report: Any) -> dict[str, str]:
    return lines(make_result(report=report))


@pytest.mark.parametrize("code", sorted(risks._OF_FINDINGS))
def test_findings(code: str) -> None:
    assert code in all_codes(), "a code that is given somewhere"
    finding = {"code": code, "text": "as it is", "severity": "warning"}
    found = of_report(findings=[finding])
    assert code in found
    assert code not in of_report()
    text = found[code]
    assert text.endswith(".") and text.count(".") == 1
    assert not any(letter.isdigit() for letter in text), "no figure that the run does not know"


def test_thick_slices() -> None:
    assert "6.0 mm apart, so" in of_report()["slices.thick"]
    assert "slices.thick" not in of_report(input={"spacing_mm": [1.0, 1.0, 2.5]})
    finding = {"code": "slices.thick", "text": "thick", "severity": "warning"}
    beyond = of_report(input={"spacing_mm": [1.0, 1.0, 7.0]}, findings=[finding])
    assert "7.0 mm apart, more than in any training image" in beyond["slices.thick"]


@pytest.mark.parametrize(("way", "told"), [(EXTRACTED, True), (STRIPPED, False)])
def test_an_extracted_brain(way: str, told: bool) -> None:
    assert ("brain.extracted" in of_report(input={"brain_found_by": way})) is told


@pytest.mark.parametrize(
    ("marked", "code"), [(1.2, "volume.usual"), (13.0, "volume.seen"), (15.0, None)]
)
def test_the_volume_against_healthy_brain(marked: float, code: str | None) -> None:
    """0.1 % in the median, 1 % in the worst case, of 1400 mL."""
    found = of_report(
        threshold=at_point("balanced"), volumes_ml={"brain": 1400.0, "anomalous": marked}
    )
    assert [one for one in found if one.startswith("volume.")] == ([code] if code else [])
    if code:
        assert f"the {marked:.1f} mL that are marked" in found[code]
        assert "1.4 mL" in found[code]
        assert ("14.0 mL" in found[code]) is (code == "volume.seen")


def test_a_threshold_by_hand() -> None:
    given = {"value": 0.7, "source": "given", "calibration": None}
    assert "by hand" in of_report(threshold=given)["volume.unknown"]


def marked_slice(place: int, codes: str = "RAS") -> Result:
    """Four voxels in one slice of the brain, counted from its lowest."""
    result = make_result(codes)
    axis = result.image.superior_axis
    brain = np.moveaxis(result.brain_mask.data, axis, 0)
    inside = np.flatnonzero(brain.any(axis=(1, 2)))
    upwards = result.image.affine[2, axis] > 0
    index = inside[place] if upwards else inside[::-1][place]
    segmentation = np.zeros_like(result.segmentation.data)
    rows, columns = (found[:4] for found in np.nonzero(brain[index]))
    np.moveaxis(segmentation, axis, 0)[index, rows, columns] = 1
    return replace(result, segmentation=result.segmentation.with_data(segmentation))


@pytest.mark.parametrize("codes", ["RAS", "LPI", "SPL"])
def test_marks_at_the_ends(codes: str) -> None:
    """Slices of 6 mm: two of them are an end."""
    volume = 4 * make_result().image.voxel_ml
    for place, expected in ((0, (volume, 0)), (1, (volume, 0)), (2, (0, 0)), (-1, (0, volume))):
        assert marked_at_ends(marked_slice(place, codes)) == pytest.approx(expected)
    lowest, topmost = lines(marked_slice(0, codes)), lines(marked_slice(-1, codes))
    assert "0.2 mL of the marks" in lowest["marks.lowest"]
    assert "marks.topmost" not in lowest
    assert "marks.topmost" in topmost
    assert not {"marks.lowest", "marks.topmost"} & set(lines(marked_slice(4, codes)))


def regions(*volumes: float, count: int | None = None) -> dict[str, str]:
    place = [0.0, 0.0, 0.0]
    lesions = [
        {"volume_ml": one, "centre_mm": place, "peak": 1.0, "peak_mm": place} for one in volumes
    ]
    return of_report(lesions=lesions, lesion_count=count or len(lesions))


def test_many_small_marks() -> None:
    assert "12 of the 13 regions" in regions(3.0, *[0.05] * 12)["marks.small"]
    assert "marks.small" not in regions(3.0, *[0.05] * 9), "few"
    assert "marks.small" not in regions(*[3.0] * 30, *[0.05] * 12), "most are large"
    assert "32 of the 33 regions" in regions(3.0, *[0.05] * 12, count=33)["marks.small"]


def test_how_the_map_is_made() -> None:
    assert "map.both" not in of_report()
    assert "fluid" in of_report(settings={"cycle": {"sign": "both"}})["map.both"]
    weights = {"intensity": 1.0, "error": 0.5, "decision": 1.0, "blind": False}
    found = of_report(settings={"combination": weights, "cycle": {"sign": "both"}})
    assert "map.brightness" in found and "map.both" not in found


def test_nothing_marked() -> None:
    found = lines(without_lesion(make_result(report={"threshold": at_point("balanced")})))
    assert not [code for code in found if code.startswith(("volume.", "marks."))]


def test_the_page_has_them() -> None:
    result = make_result()
    page = render_page(result)
    for one in risks_of(result):
        assert f'data-risk="{one.code}"' in page
