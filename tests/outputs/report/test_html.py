"""mmccd.outputs.report.html without a browser: what the file holds, and that it is the run's."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import matplotlib.image
import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from tests.outputs.report.results import (
    POINTS,
    THRESHOLD,
    at_point,
    make_result,
    without_lesion,
)
from tests.reports import changed, report_of

from mmccd import NOTICE
from mmccd.core.result import Result
from mmccd.methods.mmccd.settings import CycleSettings
from mmccd.outputs.report.embedded import Box, grey_levels
from mmccd.outputs.report.html import render_page, write_page
from mmccd.outputs.report.pdf import sections_of
from mmccd.outputs.report.wording import (
    map_sentence,
    map_unit,
    returned_sentence,
    settings_rows,
    threshold_sentence,
    warnings_without_names,
)

TILTED = ("LPS", (12.0, -7.0, 20.0))


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert found
    return dict(json.loads(found[1]))


def volume_of(page: str, name: str) -> nib.Nifti1Image:
    content = gzip.decompress(base64.b64decode(data_of(page)["volumes"][name]))
    return nib.Nifti1Image.from_bytes(content)


def native(result: Result, image: nib.Nifti1Image) -> NDArray[Any]:
    """An embedded volume put back into the input's grid, by its affine alone."""
    whole = np.zeros(result.image.shape, dtype=np.asarray(image.dataobj).dtype)
    places = (
        np.argwhere(np.ones(image.shape, dtype=bool)) @ image.affine[:3, :3].T + image.affine[:3, 3]
    )
    inverse = np.linalg.inv(result.image.affine)
    voxels = places @ inverse[:3, :3].T + inverse[:3, 3]
    assert np.abs(voxels - np.round(voxels)).max() < 1e-3, "voxels lie on voxels"
    whole[tuple(np.round(voxels).astype(int).T)] = np.asarray(image.dataobj).ravel()
    return whole


@pytest.mark.parametrize(
    ("codes", "degrees"),
    [("RAS", (0.0, 0.0, 0.0)), TILTED, ("SPL", (0.0, 0.0, 0.0)), ("ASR", (5.0, 25.0, -10.0))],
)
def test_volumes_keep_values_and_places(codes: str, degrees: tuple[float, float, float]) -> None:
    result = make_result(codes, degrees)
    page = render_page(result)
    embedded = volume_of(page, "map")
    assert embedded.get_data_dtype() == np.float32
    assert nib.aff2axcodes(embedded.affine) == ("R", "A", "S")
    assert np.array_equal(native(result, embedded), result.smoothed_map.data)
    brain = native(result, volume_of(page, "brain"))
    assert np.array_equal(brain, result.brain_mask.data)
    flair = volume_of(page, "flair")
    window = data_of(page)["window"]
    shown = np.clip(native(result, flair), *window)
    assert (
        np.abs(shown - np.clip(result.image.data, *window))[brain > 0].max() <= flair.dataobj.slope
    )


def test_headers_hold_geometry_only() -> None:
    header = volume_of(render_page(make_result(*TILTED)), "flair").header
    for field in ("descrip", "aux_file", "db_name", "intent_name"):
        assert header[field].item() == b""
    assert int(header["sform_code"]) == 1
    assert int(header["qform_code"]) == 0


def test_margin() -> None:
    result = make_result()
    box, tight = Box.around(result.brain_mask), Box.around(result.brain_mask, 0.0)
    assert all(
        wide.start <= narrow.start and wide.stop >= narrow.stop
        for wide, narrow in zip(box.part, tight.part, strict=True)
    )
    assert result.brain_mask.data.sum() == tight.cut(result.brain_mask.data).sum()
    assert all(tight.cut(result.brain_mask.data).any(axis=(1, 2))[[0, -1]])


def test_grey_levels_of_a_constant_and_of_nan() -> None:
    levels, slope, low = grey_levels(np.array([np.nan, 3.0, 3.0], dtype=np.float32), (3.0, 3.0))
    assert levels.tolist() == [0, 0, 0]
    assert slope > 0
    assert low == 3.0


SERIES = {
    "file": 'DICOM series 5 "t2 flair"',
    "format": "DICOM",
    "series_description": "t2 flair",
    "files": 24,
    "shape": [1, 2, 3],
}


def input_of(page: str) -> str:
    (found,) = re.findall(r'<p id="input">(.*?)</p>', page)
    return unescape(found)


def test_which_input_it_is() -> None:
    assert input_of(render_page(make_result())) == "SMITH_JOHN_flair.nii.gz"
    series = make_result(report={"input": SERIES})
    assert input_of(render_page(series)) == "DICOM series \u201ct2 flair\u201d, 24 images"
    nameless = {**SERIES, "series_description": "", "file": "DICOM series 5", "files": 1}
    assert (
        input_of(render_page(make_result(report={"input": nameless})))
        == "DICOM series, without a description, 1 image"
    )


@pytest.mark.parametrize(
    ("notes", "said"),
    [
        ({}, "NIfTI volume, its name is left out"),
        (
            {**SERIES, "file": 'DICOM series 5 "SMITH"', "series_description": "SMITH"},
            "DICOM series, its description is left out, 24 images",
        ),
    ],
)
def test_nothing_of_the_patient_where_names_are_left_out(notes: dict[str, Any], said: str) -> None:
    warnings = [
        '2 series look like FLAIR; series 5 "SMITH JOHN flair" was taken, not series 7 "SMITH'
        ' other" (axial, 5 slices)',
        f"{notes.get('file', 'SMITH_JOHN_flair.nii.gz')}: too bright",
    ]
    result = make_result(report={"input": notes, "warnings": warnings})
    assert "SMITH" in render_page(result), "it is there to be found"
    hidden = replace(result, report=result.report.without_names())
    page = render_page(hidden)
    assert "SMITH" not in page
    assert "series 5 was taken, not series 7 (axial" in page
    assert "the input: too bright" in page
    assert input_of(page) == said
    assert "SMITH" not in hidden.report.model_dump_json()


def test_warnings_never_name_the_input() -> None:
    page = render_page(make_result(report={"warnings": ['series 7 "SMITH other" was left out']}))
    assert page.count("SMITH") == 1, "the input's own name, once"


def test_the_promise_in_millilitres() -> None:
    page = render_page(make_result(report={"threshold": at_point("specific")}))
    assert "of 1000 mL healthy brain at most 0.5 mL is marked, the median over 6" in page
    assert "1000 mL" not in render_page(make_result()), "of a threshold without an operating point"


def test_the_document_says_what_the_page_says() -> None:
    result = make_result(report={"threshold": at_point("balanced"), "input": SERIES})
    page = unescape(re.sub(r"<[^>]*>", "", render_page(result)))
    sections = {one.heading: one.lines for one in sections_of(result)}
    lines = [*sections["Result"][2:], sections["Result"][0].removeprefix("Input: ")[:-1]]
    lines += [line.removeprefix("- ") for line in sections["Marks that are probably wrong"]]
    assert len(lines) > 6
    assert [line for line in lines if line not in page] == []


def test_every_printed_sheet_has_the_notice() -> None:
    page = render_page(make_result())
    assert f'@bottom-left {{ content: "{NOTICE}"' in page


class Page(HTMLParser):
    """Addresses, and identifiers that are used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.images_without_text = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        content = dict(attrs)
        self.addresses += [
            value for name in ("src", "href", "action", "srcset") if (value := content.get(name))
        ]
        self.ids += [value for name, value in content.items() if name == "id" and value]
        self.images_without_text += tag == "img" and not content.get("alt")


def test_the_page_stands_alone() -> None:
    page = render_page(make_result())
    parsed = Page()
    parsed.feed(page)
    assert parsed.addresses
    assert all(address.startswith("data:image/png;base64,") for address in parsed.addresses)
    assert len(parsed.ids) == len(set(parsed.ids))
    assert parsed.images_without_text == 0
    assert "default-src 'none'" in page
    assert page.count(NOTICE) >= 2


def test_text_is_escaped() -> None:
    page = render_page(make_result())
    assert "the brain was found &lt;by&gt; a test" in page
    assert "</script><b>" not in render_page(
        make_result(report={"warnings": ["</script><b>bad</b>"]})
    )


def test_nothing_found(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_page(without_lesion(make_result()), path)
    assert "Nothing lies above the threshold." in path.read_text()


def test_a_given_threshold_above_everything() -> None:
    result = without_lesion(
        make_result(
            threshold=9.0,
            report={"threshold": {"value": 9.0, "source": "given", "calibration": None}},
        )
    )
    page = render_page(result)
    assert "was given by the user" in page
    assert data_of(page)["range"] == 9.0


def test_calibration_in_words() -> None:
    sentence = threshold_sentence(
        make_result(report={"volumes_ml": {"brain": 1400.0, "anomalous": 1.0}}).report
    )
    assert (
        "In healthy brain of 6 validation cases (phantoms), 2 % of the voxels lie above the"
        f" threshold {THRESHOLD}" in sentence
    )
    assert "about 28 mL" in sentence


def test_operating_point_in_words() -> None:
    report = make_result(
        report={
            "threshold": at_point("balanced"),
            "volumes_ml": {"brain": 1400.0, "anomalous": 1.0},
        }
    ).report
    sentence = threshold_sentence(report)
    assert "operating point balanced: at most 0.1 % of healthy brain is marked, median" in sentence
    assert "6 cases (phantoms). Taken together, 0.2 % of" in sentence
    assert "in the worst case 1 %" in sentence
    assert "that would be about 1.4 mL, 14.0 mL in the worst case" in sentence
    assert ("Operating point", "balanced") in settings_rows(report)
    pooled = {"balanced": {**POINTS["balanced"], "statistic": "pooled"}}
    threshold = at_point("balanced")
    calibration = {**threshold["calibration"], "points": {**POINTS, **pooled}}
    other = changed(report, threshold={**threshold, "calibration": calibration})
    assert "that would be about 2.8 mL" in threshold_sentence(other), "of the pooled rate"


def rows_of(page: str) -> list[list[str]]:
    """Cells of the list of regions, its head first."""
    (table,) = re.findall(r'id="lesions-title".*?<table>(.*?)</table>', page, re.S)
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", table, re.S)
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S) for row in rows]


def test_confidence_of_the_regions() -> None:
    result = make_result(report={"threshold": at_point("balanced")})
    lesions = [
        lesion.model_copy(update={"confidence": "high" if number == 0 else "moderate"})
        for number, lesion in enumerate(result.report.lesions)
    ]
    assert len(lesions) > 1
    report = result.report.model_copy(update={"lesions": tuple(lesions)})
    page = render_page(replace(result, report=report))
    head, *rows = rows_of(page)
    column = head.index("Confidence")
    assert [row[column] for row in rows] == [lesion.confidence for lesion in lesions]
    means = [row[head.index("Mean of the map")] for row in rows]
    assert means == [f"{lesion.mean:.3g}" for lesion in lesions]
    assert "not how probable a lesion is" in page


def test_without_operating_points_there_is_no_confidence() -> None:
    page = render_page(make_result())
    assert "Confidence" not in page
    assert "Mean of the map" in rows_of(page)[0]


@pytest.mark.parametrize(
    ("units", "reading", "kind", "unit"),
    [
        ("error", "paper", "paper", "SD of the brain's grey values"),
        ("error", "code", "paper", "(SD of the brain's grey values)²"),
        ("error", "paper", "range", "normalised grey values"),
        ("slice_sd", "paper", "paper", "SD of the slice's own error"),
    ],
)
def test_unit(units: str, reading: str, kind: str, unit: str) -> None:
    report = report_of(
        settings={"cycle": {"reading": reading}, "postprocessing": {"units": units}},
        weights={"forward": {"normalisation": {"flair": {"kind": kind}}}},
    )
    assert map_unit(report) == unit


def test_a_sum_says_what_it_is_of() -> None:
    weights = {"intensity": 1.0, "error": 0.3, "decision": 0.5, "blind": False}
    report = report_of(settings={"combination": weights, "cycle": {"sign": "brighter"}})
    assert map_unit(report) == "score"
    text = map_sentence(report)
    assert text.startswith("A score, the sum of 1 × how bright") and "0.3 × how far" in text
    assert "0.5 × how sure" in text
    assert text.endswith("Only tissue that is brighter than expected counts.")
    assert dict(settings_rows(report))["Sum"] == "intensity 1, error 0.3, decision 0.5"
    without = {"decision": 0.0, "blind": True}
    changed = report_of(settings={"combination": {**weights, **without}})
    assert "how sure" not in map_sentence(changed)
    assert dict(settings_rows(changed))["Sum"].endswith("decision without the cycle")
    assert "Sum" not in dict(settings_rows(report_of()))


def test_thin_slices_are_smoothed_in_their_own_way() -> None:
    post = {"median_size": 5, "across_mm": 3.0, "thin_median_size": 1, "thin_across_mm": 1.5}
    rows = dict(settings_rows(report_of(settings={"postprocessing": post})))
    assert rows["Median filter"] == "5 × 5 model pixels; in slices up to 2.5 mm: off"
    assert rows["Average across slices"].endswith(
        "3 mm; in slices up to 2.5 mm: Gaussian of 1.5 mm"
    )
    usual = dict(settings_rows(report_of(settings={"postprocessing": {"median_size": 5}})))
    assert usual["Median filter"] == "5 × 5 model pixels"


def test_cycle_says_what_was_hidden() -> None:
    """Nothing new stands there for a run that hid strips."""
    veil = CycleSettings(hiding="veil", veil_sd=0.5, draws=3, level=True)
    rows = dict(settings_rows(report_of(settings={"cycle": veil.as_dict()})))
    assert "hiding veil, veil_sd 0.5, draws 3" in rows["Cycle"]
    assert "level True" in rows["Cycle"]
    rows = dict(settings_rows(report_of(settings={"cycle": CycleSettings().as_dict()})))
    assert not any(word in rows["Cycle"] for word in ("hiding", "veil", "draws", "level"))


def test_what_returned_in_one_line() -> None:
    figures = {"correlation": 0.064, "spread": 0.25, "error": 0.7}
    text = returned_sentence(report_of(returned_image=figures))
    assert "a correlation of 0.06 " in text
    assert "0.25 times" in text
    assert "0.70 on average" in text
    assert text in unescape(render_page(make_result(report={"returned_image": figures})))
    assert "follows the input" not in render_page(make_result()), "a method without such an image"


def test_a_short_description_does_not_change_other_words() -> None:
    report = report_of(
        input={"file": 'DICOM series 3 "T1"', "series_description": "T1"},
        warnings=["the contrast looks like T1"],
    )
    assert warnings_without_names(report) == ["the contrast looks like T1"]


def pictures(page: str, part: str) -> list[NDArray[np.float32]]:
    found = re.findall(rf'<img alt="[^"]*: {part}[^"]*" src="data:image/png;base64,([^"]*)">', page)
    return [matplotlib.image.imread(io.BytesIO(base64.b64decode(text))) for text in found]


@pytest.mark.parametrize("side", ["R", "L"])
@pytest.mark.parametrize(
    ("codes", "degrees"), [("RAS", (0.0, 0.0, 0.0)), ("ASR", (0.0, 0.0, 0.0)), TILTED]
)
def test_pictures_are_radiological_and_in_register(
    side: str, codes: str, degrees: tuple[float, float, float]
) -> None:
    """The block is bright at the image's left where it is on the patient's right, and at the same
    place in what returned.
    """
    page = render_page(make_result(codes, degrees, side=side))
    places = []
    for part in ("input", "FLAIR that returned"):
        # Slices with the block only: the brightest picture.
        picture = max(
            (
                image[..., :3].mean(axis=2) if image.ndim == 3 else image
                for image in pictures(page, part)
            ),
            key=lambda p: (p > 0.8).sum(),
        )
        smooth = picture.astype(float)
        rows, columns = np.nonzero(smooth > 0.8)
        places.append((np.median(columns) / picture.shape[1], np.median(rows) / picture.shape[0]))
    (x, y), (returned_x, returned_y) = places
    assert (x < 0.45) if side == "R" else (x > 0.55)
    assert y < 0.45
    assert abs(x - returned_x) < 0.15
    assert abs(y - returned_y) < 0.15
