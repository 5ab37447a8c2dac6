"""``report.html`` in Chromium: what the page computes, shows and answers."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib.image
import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from tests.outputs.report.results import THRESHOLD, make_result

from mmccd import NOTICE
from mmccd.core.result import Result
from mmccd.outputs.report.write import write_outputs
from mmccd.postprocessing.segmentation import segment
from mmccd.postprocessing.settings import Postprocessing

PATIENCE_MS = 120_000
SCRIPT = Path("app/mmccd/outputs/report/page/segmentation.js")
TILTED = ("LPS", (12.0, -7.0, 20.0))


@dataclass
class Opened:
    """A page, the run it shows, its folder, and what the browser said."""

    page: Any
    result: Result
    folder: Path
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def mask(self) -> NDArray[np.uint8]:
        """The page's segmentation, put into the order of segmentation.nii.gz by its affine."""
        shape = self.page.evaluate("report.shape")
        values = np.array(
            self.page.evaluate("Array.from(report.state.mask)"), dtype=np.uint8
        ).reshape(shape, order="F")
        affine = np.vstack(
            [np.array(self.page.evaluate("report.viewer.volumes[1].hdr.affine"))[:3], [0, 0, 0, 1]]
        )
        stored = nib.load(self.folder / "segmentation.nii.gz")
        whole = np.zeros(stored.shape, dtype=np.uint8)
        places = (
            np.linalg.inv(stored.affine)
            @ affine
            @ np.vstack([np.argwhere(values).T, np.ones(int(values.sum()))])
        )
        assert np.abs(places - np.round(places)).max() < 1e-2
        whole[tuple(np.round(places[:3]).astype(int))] = 1
        return whole

    def millilitres(self) -> float:
        return float(self.page.inner_text("#volume"))

    def slide(self, step: int) -> None:
        self.page.evaluate(
            "step => { slider.value = step; slider.dispatchEvent(new Event('input')); }", step
        )

    def picture(self) -> NDArray[np.float32]:
        """What the viewer shows, RGB from 0 to 1."""
        self.page.wait_for_timeout(500)
        content = self.page.locator("#frame").screenshot(timeout=PATIENCE_MS)
        return np.asarray(matplotlib.image.imread(io.BytesIO(content))[..., :3])


def open_page(
    browser: Any, result: Result, folder: Path, size: tuple[int, int] = (640, 600)
) -> Opened:
    write_outputs(result, folder)
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, offline=True)
    opened = Opened(context.new_page(), result, folder)
    opened.page.set_default_timeout(PATIENCE_MS)
    opened.page.on(
        "console",
        lambda message: (
            opened.complaints.append(message.text) if message.type in ("error", "warning") else None
        ),
    )
    opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
    opened.page.on("request", lambda request: opened.requests.append(request.url))
    opened.page.goto((folder / "report.html").resolve().as_uri())
    opened.page.wait_for_selector("body[data-ready]")
    return opened


@pytest.fixture(scope="module")
def opened(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """An upright head, small regions kept."""
    opened = open_page(browser, make_result(), tmp_path_factory.mktemp("page"))
    yield opened
    opened.page.close()


@pytest.fixture(scope="module")
def tilted(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """A head in an oblique volume with its axes the other way round, its block on the left, small
    regions removed.
    """
    opened = open_page(
        browser,
        make_result(*TILTED, min_component_ml=1.0, side="L"),
        tmp_path_factory.mktemp("tilted"),
    )
    yield opened
    opened.page.close()


@pytest.fixture(params=["opened", "tilted"])
def either(request: pytest.FixtureRequest) -> Opened:
    opened = request.getfixturevalue(request.param)
    opened.page.evaluate("document.getElementById('reset').click()")
    return opened  # type: ignore[no-any-return]


def test_the_viewer_starts_and_asks_for_nothing(either: Opened) -> None:
    assert not either.page.is_visible("#no-viewer")
    assert either.complaints == []
    assert [url for url in either.requests if not url.startswith(("data:", "blob:"))] == [
        either.page.url
    ]


def test_at_the_default_it_is_the_file_voxel_for_voxel(either: Opened) -> None:
    stored = np.asarray(nib.load(either.folder / "segmentation.nii.gz").dataobj)
    assert stored.sum() > 100
    assert np.array_equal(either.mask(), stored)
    assert either.millilitres() == pytest.approx(
        either.result.report.volumes_ml.anomalous, abs=0.051
    )


def test_small_regions_are_removed(tilted: Opened) -> None:
    result = tilted.result
    above = (result.smoothed_map.data > THRESHOLD).sum()
    assert tilted.result.segmentation.data.sum() < above - 100, "the map has small regions"


def test_another_threshold(either: Opened) -> None:
    whole = either.millilitres()
    either.slide(700)
    threshold = either.page.evaluate("report.state.threshold")
    result = either.result
    post = Postprocessing(**result.report.settings.postprocessing)
    brain = result.brain_mask.data > 0
    expected = segment(result.smoothed_map.data, brain, threshold, result.image.voxel_ml, post)
    assert 0 < expected.sum() < result.segmentation.data.sum()
    assert np.array_equal(either.mask(), expected)
    assert either.millilitres() == pytest.approx(expected.sum() * result.image.voxel_ml, abs=0.051)
    assert either.page.is_visible("#moved")
    either.page.click("#reset")
    assert either.millilitres() == whole
    assert not either.page.is_visible("#moved")


def test_a_typed_threshold(opened: Opened) -> None:
    opened.page.fill("#value", "1.25")
    opened.page.keyboard.press("Tab")
    assert opened.page.evaluate("report.state.threshold") == 1.25
    assert opened.millilitres() == pytest.approx(
        (opened.result.smoothed_map.data > np.float32(1.25)).sum() * opened.result.image.voxel_ml,
        abs=0.051,
    )
    opened.page.click("#reset")


def test_healthy_share(opened: Opened) -> None:
    opened.page.click("#reset") if opened.page.is_enabled("#reset") else None
    assert "1 to 2 %" in opened.page.inner_text("#healthy")
    opened.slide(1000)
    assert "less than 1 %" in opened.page.inner_text("#healthy")
    opened.page.click("#reset")


def cyan(picture: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Pixels of the outline: blue and green well above red."""
    return (picture[..., 2] - picture[..., 0] > 0.25) & (picture[..., 1] - picture[..., 0] > 0.15)


def test_overlay_and_brain_are_in_register(either: Opened) -> None:
    """The block is the brightest tissue; its outline lies on it, at the image's left where it is on
    the patient's right, and in front.
    """
    page, viewer = either.page, "report.viewer"
    page.evaluate(f"{viewer}.setCrosshairWidth(0); report.show(report.data.start_voxel)")
    either.slide(450)
    outlined = either.picture()
    page.evaluate(
        f"for (const n of [1, 2, 3]) {viewer}.volumes[n].opacity = 0; {viewer}.opts.atlasOutline ="
        f" 0; {viewer}.updateGLVolume()"
    )
    plain = either.picture()
    page.evaluate(
        f"[0.6, 0.15, 1].forEach((value, n) => {viewer}.volumes[n + 1].opacity = value);"
        f" {viewer}.opts.atlasOutline = 1; {viewer}.updateGLVolume()"
    )
    axial = slice(0, int(0.6 * plain.shape[1]))
    tissue, lines = plain[:, axial].mean(axis=2), cyan(outlined)[:, axial]
    assert cyan(plain).sum() == 0, "what is measured is the outline"
    # Over a neighbourhood, single voxels of noise and letters vanish.
    smooth = ndimage.uniform_filter(tissue, 17)
    head, outline, bright = (
        np.argwhere(mask)[:, ::-1] for mask in (smooth > 0.15, lines, smooth > 0.9 * smooth.max())
    )
    assert min(len(outline), len(bright)) > 30
    width = np.ptp(head[:, 0])
    centre, block, middle = (
        (points.min(axis=0) + points.max(axis=0)) / 2 for points in (outline, bright, head)
    )
    assert np.abs(centre - block).max() < 0.06 * width
    right = either.result.report.lesions[0].centre_mm[0] > 5.0
    assert (centre[0] < middle[0] - 0.1 * width) if right else (centre[0] > middle[0] + 0.1 * width)
    assert centre[1] < middle[1] - 0.05 * width


def test_a_click_on_a_region_moves_the_crosshair(either: Opened) -> None:
    page, lesions = either.page, either.result.report.lesions
    rows = page.locator("[data-lesion]")
    assert rows.count() == len(lesions)
    for number in dict.fromkeys([0, len(lesions) - 1]):
        page.evaluate("report.show([0, 0, 0])")
        rows.nth(number).locator("button").focus()
        page.keyboard.press("Enter")
        place = page.evaluate(
            "Array.from(report.viewer.frac2mm(report.viewer.scene.crosshairPos, 0,"
            " true)).slice(0, 3)"
        )
        assert np.abs(np.array(place) - lesions[number].peak_mm).max() < 0.05
        told = re.search(r"R (\S+), A (\S+), S (\S+) mm", page.inner_text("#location"))
        assert told
        assert np.abs(np.array([float(value) for value in told.groups()]) - place).max() < 0.051


def test_keys_move_the_crosshair(opened: Opened) -> None:
    page = opened.page
    page.evaluate("report.show([10, 20, 5])")
    page.focus("#canvas")
    for key, voxel in (
        ("ArrowLeft", [11, 20, 5]),
        ("ArrowUp", [11, 21, 5]),
        ("PageUp", [11, 21, 6]),
        ("ArrowRight", [10, 21, 6]),
        ("PageDown", [10, 21, 5]),
    ):
        page.keyboard.press(key)
        assert page.evaluate("report.state.voxel") == voxel
    assert page.evaluate("report.viewer.opts.sliceType") == 3


def test_a_button_beside_the_pictures_shows_the_slice(opened: Opened) -> None:
    button = opened.page.locator("[data-slice]").first
    index = int(button.get_attribute("data-slice"))
    button.click()
    assert f"Slice {index + 1} of {opened.result.image.shape[2]}" in opened.page.inner_text(
        "#location"
    )


def test_what_a_reader_must_see(opened: Opened) -> None:
    page = opened.page
    assert "the input: the brain was found <by> a test" in page.inner_text(".warnings")
    assert page.locator(".warnings").get_attribute("role") == "alert"
    for place in ("header", "footer"):
        assert NOTICE in page.inner_text(place)
    page.emulate_media(media="print")
    assert page.is_visible("header .notice")
    assert page.is_visible(".warnings")
    assert not page.is_visible("#viewer")
    assert page.is_visible(".pictures")
    assert page.is_visible("#risks-title")
    assert not page.is_visible("#print")
    page.emulate_media(media="screen")


def test_the_button_prints(opened: Opened) -> None:
    opened.page.evaluate("globalThis.print = () => { globalThis.printed = true; }")
    opened.page.click("#print")
    assert opened.page.evaluate("globalThis.printed")


def test_print_is_light_where_the_screen_is_dark(opened: Opened) -> None:
    page = opened.page
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.emulate_media(media="print", color_scheme="dark")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert light == "rgb(255, 255, 255)" != dark
    page.emulate_media(media="screen", color_scheme="light")


@pytest.mark.parametrize("size", [(1400, 900), (800, 1200), (400, 800)])
def test_nothing_is_cut_off(opened: Opened, size: tuple[int, int]) -> None:
    opened.page.set_viewport_size({"width": size[0], "height": size[1]})
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_every_control_has_a_name(opened: Opened) -> None:
    nameless = opened.page.evaluate(
        "[...document.querySelectorAll('input, button')].filter(one =>"
        " !(one.getAttribute('aria-label') || one.labels?.length || one.textContent.trim())).length"
    )
    assert nameless == 0


def test_without_webgl_the_numbers_stay(browser: Any, tmp_path: Path) -> None:
    result = make_result()
    write_outputs(result, tmp_path)
    page = browser.new_page()
    page.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
    page.goto((tmp_path / "report.html").resolve().as_uri())
    page.wait_for_selector("body[data-ready]")
    assert "no WebGL 2" in page.inner_text("#no-viewer")
    assert float(page.inner_text("#volume")) == pytest.approx(
        result.report.volumes_ml.anomalous, abs=0.051
    )
    page.close()


@pytest.fixture(scope="module")
def alone(browser: Any, project: Path) -> Iterator[Any]:
    """The script that segments, without page and viewer."""
    page = browser.new_page()
    page.add_script_tag(path=project / SCRIPT)
    yield page
    page.close()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("min_ml", [0.0, 0.004, 0.02])
def test_the_script_is_the_postprocessing(alone: Any, seed: int, min_ml: float) -> None:
    """The same voxels on noise, with equal values among them, at a threshold that float32 rounds,
    below zero too.
    """
    random = np.random.default_rng(seed)
    shape = (7, 11, 5)
    anomaly = np.round(random.uniform(0, 1, shape), 1).astype(np.float32)
    brain = random.uniform(size=shape) > 0.2
    threshold = [0.7, 0.6999999999, float(anomaly[3, 3, 3]), -0.5][seed]
    post = Postprocessing(min_component_ml=min_ml)
    expected = segment(anomaly, brain, threshold, 0.001, post)
    found = alone.evaluate(
        "([map, brain, shape, threshold, least]) => Array.from(segmentation.segment(new"
        " Float32Array(map), new Uint8Array(brain), shape, threshold, least, 0.001))",
        [
            anomaly.ravel("F").tolist(),
            brain.ravel("F").astype(int).tolist(),
            list(shape),
            threshold,
            min_ml,
        ],
    )
    assert np.array_equal(np.array(found).reshape(shape, order="F"), expected)


def test_the_components_are_those_of_the_report(alone: Any) -> None:
    """Volume, peak and mean of each region, largest first, as the Python side measures them."""
    result = make_result()
    mask, anomaly = result.segmentation.data, result.smoothed_map.data
    found = alone.evaluate(
        "([mask, map, shape]) => segmentation.components(new Uint8Array(mask), new"
        " Float32Array(map), shape)",
        [mask.ravel("F").tolist(), anomaly.ravel("F").tolist(), list(mask.shape)],
    )
    expected = result.report.lesions
    assert len(found) == result.report.lesion_count
    assert [one["voxels"] for one in found] == sorted(
        (one["voxels"] for one in found), reverse=True
    )
    for lesion in expected:
        # Equally large ones may stand in another order.
        one = min(found, key=lambda one: abs(one["peak"] - lesion.peak))
        assert one["voxels"] * result.image.voxel_ml == pytest.approx(lesion.volume_ml, abs=1e-3)
        assert one["peak"] == pytest.approx(lesion.peak, rel=1e-5)
        assert one["mean"] == pytest.approx(lesion.mean, rel=1e-5)
    place = result.image.affine @ [*found[0]["voxel"], 1.0]
    assert place[:3] == pytest.approx(expected[0].peak_mm, abs=1e-3)


def test_the_outline_is_the_border_within_the_slice(alone: Any) -> None:
    mask = np.zeros((6, 7, 3), dtype=int)
    mask[1:5, 1:6, 1] = 1
    inner = np.zeros_like(mask)
    inner[2:4, 2:5, 1] = 1
    found = alone.evaluate(
        "([mask, shape]) => Array.from(segmentation.outline(new Uint8Array(mask), shape))",
        [mask.ravel("F").tolist(), [6, 7, 3]],
    )
    assert np.array_equal(np.array(found).reshape(mask.shape, order="F"), mask - inner)
