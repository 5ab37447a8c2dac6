"""The page of mmccd.apps.serve in Chromium."""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.apps.serve.fake import REFUSAL, STUDIES, Served, fake_runner, served
from tests.outputs.report.results import POINTS, make_result

from mmccd import NOTICE
from mmccd.apps.serve.engine import working_process
from mmccd.apps.serve.options import ServeOptions
from mmccd.core import Settings
from mmccd.outputs.report.risks import risks_of
from mmccd.phantom import DEMO_LESIONS, Acquisition, make_phantom, write_phantom

PATIENCE_MS = 120_000
SIZES = [(1400, 1000), (800, 1000), (400, 800)]
DROP = """
([files]) => {
  const transfer = new DataTransfer();
  for (const [name, content] of files) {
    const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
    transfer.items.add(new File([bytes], name));
  }
  const event = new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true });
  document.getElementById("drop").dispatchEvent(event);
}
"""


@dataclass
class Opened:
    """A page, its server, and what the browser said."""

    page: Any
    server: Served
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    uploads: list[str] = field(default_factory=list)

    def open(self, address: str = "") -> None:
        self.page.goto(address or self.server.address)
        self.page.wait_for_selector("body[data-ready]")

    def drop(self, *files: tuple[str, bytes]) -> None:
        content = [(name, base64.b64encode(data).decode()) for name, data in files]
        self.page.evaluate(DROP, [content])

    def item(self, name: str) -> Any:
        return self.page.locator("#scans li").filter(has_text=name).first

    def press(self, name: str, action: str) -> None:
        self.item(name).locator(f"[data-action={action}]").click()

    def show(self, name: str) -> None:
        self.page.evaluate("delete document.body.dataset.shown")
        self.press(name, "show")
        self.page.wait_for_selector("body[data-shown]")

    def millilitres(self) -> float:
        return float(self.page.inner_text("#volume"))

    def slide(self, name: str, value: float) -> None:
        self.page.evaluate(
            "([name, value]) => { const one = document.getElementById(name); one.value = value;"
            " one.dispatchEvent(new Event('input')); }",
            [name, value],
        )


@contextmanager
def opened_page(browser: Any, server: Served, size: tuple[int, int] = SIZES[0]) -> Iterator[Opened]:
    context = browser.new_context(viewport={"width": size[0], "height": size[1]})
    opened = Opened(context.new_page(), server)
    opened.page.set_default_timeout(PATIENCE_MS)
    opened.page.on(
        "console",
        lambda message: (
            opened.complaints.append(message.text) if message.type in ("error", "warning") else None
        ),
    )
    opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
    opened.page.on("request", lambda request: opened.requests.append(request.url))
    opened.page.on(
        "request",
        lambda request: opened.uploads.append(request.url) if request.method == "POST" else None,
    )
    opened.open()
    yield opened
    context.close()


@pytest.fixture(scope="module")
def opened(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """A page with two scans that are done, ``now.nii.gz`` shown."""
    with served(tmp_path_factory.mktemp("page")) as server:
        for name in ("earlier.nii.gz", "now.nii.gz"):
            server.wait(server.upload(name)["id"])
        with opened_page(browser, server) as page:
            page.show("now.nii.gz")
            yield page


@pytest.fixture
def slow(browser: Any, tmp_path: Path) -> Iterator[Opened]:
    """A page whose server takes four seconds for a scan."""
    with served(tmp_path, fake_runner(4.0)) as server, opened_page(browser, server) as page:
        yield page


@pytest.fixture
def quick(browser: Any, tmp_path: Path) -> Iterator[Opened]:
    with served(tmp_path, fake_runner(0.2)) as server, opened_page(browser, server) as page:
        yield page


class TestUpload:
    def test_a_drop_becomes_a_scan_with_progress(self, slow: Opened) -> None:
        slow.drop(("head.nii.gz", b"a scan"))
        item = slow.item("head.nii.gz")
        item.get_by_text("scores the slices").wait_for()
        assert "left" in item.inner_text()
        assert 0.25 < item.locator("progress").evaluate("one => one.value") < 0.9
        item.locator("[data-action=show]").wait_for()
        assert "mL above the threshold" in item.inner_text()
        assert "head.nii.gz: done" in slow.page.inner_text("#news")
        assert slow.complaints == []

    def test_several_files_and_a_dicom_study(self, quick: Opened, tmp_path: Path) -> None:
        quick.drop(("a.nii.gz", b"1"), ("b.zip", b"2"), ("IM1", b"3"), ("IM2", b"4"))
        quick.item("IM1 (2 files)").locator("[data-action=show]").wait_for()
        assert quick.page.locator("#scans li").count() == 3
        folder = tmp_path / "study" / "series"
        folder.mkdir(parents=True)
        for n in range(3):
            (folder / f"{n}").write_bytes(b"slice")
        quick.page.set_input_files("#folder", tmp_path / "study")
        quick.item("study (3 files)").wait_for()

    def test_chosen_files(self, quick: Opened, tmp_path: Path) -> None:
        for name in ("a.nii", "b.nii"):
            (tmp_path / name).write_bytes(b"1")
        quick.page.set_input_files("#files", [tmp_path / "a.nii", tmp_path / "b.nii"])
        for name in ("a.nii", "b.nii"):
            quick.item(name).locator("[data-action=show]").wait_for()

    def test_too_large_is_told_before_it_is_sent(self, browser: Any, tmp_path: Path) -> None:
        with served(tmp_path, max_mib=1) as server, opened_page(browser, server) as page:
            page.drop(("large.nii", bytes(2**20 + 1)))
            page.item("large.nii").get_by_text("serve.too_large").wait_for()
            assert page.uploads == []
            assert server.client.get("/api/scans").json()["scans"] == []
            page.press("large.nii", "delete")
            assert page.page.locator("#scans li").count() == 0


class TestQueue:
    def test_cancel(self, slow: Opened) -> None:
        slow.drop(("first.nii", b"1"), ("second.nii", b"2"))
        slow.item("first.nii").get_by_text("scores the slices").wait_for()
        assert "number 1 in the queue" in slow.item("second.nii").inner_text()
        slow.press("first.nii", "cancel")
        slow.item("first.nii").get_by_text("cancelled").wait_for()
        slow.item("second.nii").locator("[data-action=show]").wait_for()

    def test_what_the_checks_refuse(self, quick: Opened) -> None:
        quick.drop(("t2.nii.gz", b"broken"))
        problem = quick.item("t2.nii.gz").locator(".problem")
        problem.wait_for()
        text = problem.inner_text()
        told = REFUSAL.replace("--unchecked", "“Go on unchecked”")
        assert text == f"t2.nii.gz: {told} (t2.nii.gz) (contrast.not_flair, exit code 4)"
        quick.press("t2.nii.gz", "unchecked")
        quick.item("t2.nii.gz, unchecked").locator("[data-action=show]").wait_for()

    def test_reload_in_the_middle(self, slow: Opened) -> None:
        slow.drop(("first.nii", b"1"), ("second.nii", b"2"))
        slow.item("first.nii").get_by_text("scores the slices").wait_for()
        slow.page.reload()
        slow.page.wait_for_selector("body[data-ready]")
        assert slow.page.locator("#scans li").count() == 2
        for name in ("first.nii", "second.nii"):
            slow.item(name).locator("[data-action=show]").wait_for()

    def test_delete(self, quick: Opened) -> None:
        quick.drop(("a.nii", b"1"))
        quick.item("a.nii").locator("[data-action=show]").wait_for()
        quick.show("a.nii")
        assert quick.page.is_visible("#viewer")
        quick.press("a.nii", "delete")
        quick.page.wait_for_selector("#no-scans")
        quick.page.wait_for_selector("#viewer", state="hidden")
        assert "#scan" not in quick.page.url
        assert quick.server.client.get("/api/scans").json()["scans"] == []

    def test_a_server_that_is_gone(self, quick: Opened) -> None:
        quick.page.route("**/api/scans", lambda route: route.abort())
        quick.page.get_by_text("the server does not answer").wait_for()
        quick.page.unroute("**/api/scans")
        quick.page.wait_for_selector("#problem", state="hidden")


class TestChoice:
    def test_several_studies(self, quick: Opened) -> None:
        quick.drop(("visits.zip", b"studies"))
        item = quick.item("visits.zip")
        item.get_by_text("holds several studies: choose a series").wait_for()
        assert item.locator(".problem").is_hidden()
        rows = item.locator(".choices tbody tr")
        told = [" | ".join(row.locator("td").all_inner_texts()) for row in rows.all()]
        assert "2024-03-01 | Brain MRI | series 3 “t2 flair 3” | 24 images, axial" in told[0]
        assert "not FLAIR" in told[2]
        quick.page.reload()
        quick.page.wait_for_selector("body[data-ready]")
        rows.nth(1).locator("button").click()
        done = quick.item("visits.zip, series 5 “t2 flair 5”")
        done.locator("[data-action=show]").wait_for()
        assert done.locator(".choices").is_hidden()
        (scan,) = quick.server.client.get("/api/scans").json()["scans"]
        assert scan["series"] == STUDIES[1].id
        assert quick.complaints == []

    def test_another_series_of_a_scan_that_is_done(self, quick: Opened) -> None:
        quick.drop(("study.zip", b"series!"))
        item = quick.item("study.zip")
        item.locator("[data-action=show]").wait_for()
        quick.show("study.zip")
        button = item.locator("[data-action=series]")
        assert button.get_attribute("aria-expanded") == "false"
        button.press("Enter")
        assert button.get_attribute("aria-expanded") == "true"
        assert quick.page.evaluate("document.activeElement.dataset.action") == "series"
        item.locator(".choices button").nth(1).click()
        quick.page.wait_for_selector("#viewer", state="hidden")
        quick.item("study.zip, series 7").locator("[data-action=show]").wait_for()
        quick.item("study.zip").locator("[data-action=series]").click()
        assert item.locator(".choices button").nth(1).is_disabled(), "it is the chosen one"

    @pytest.mark.parametrize("size", SIZES)
    def test_the_list_fits(self, quick: Opened, size: tuple[int, int]) -> None:
        quick.page.set_viewport_size({"width": size[0], "height": size[1]})
        quick.drop(("visits.zip", b"studies"))
        quick.item("visits.zip").locator(".choices button").first.wait_for()
        assert quick.page.evaluate("document.documentElement.scrollWidth") <= size[0]


class TestViewer:
    def test_it_starts_without_a_complaint_and_asks_only_its_server(self, opened: Opened) -> None:
        assert opened.page.is_hidden("#no-viewer")
        assert opened.page.evaluate("mmccd.panes.main.viewer.volumes.length") == 4
        assert opened.complaints == []
        known = (opened.server.address, "data:", "blob:")
        assert [url for url in opened.requests if not url.startswith(known)] == []

    def test_the_threshold_changes_the_volume(self, opened: Opened) -> None:
        result = make_result()
        opened.page.click("#reset") if opened.page.is_enabled("#reset") else None
        assert opened.millilitres() == pytest.approx(result.report.volumes_ml.anomalous, abs=0.051)
        opened.slide("threshold", 600)
        threshold = opened.page.evaluate("mmccd.state.threshold")
        above = (result.smoothed_map.data > threshold).sum() * result.image.voxel_ml
        assert 0 < above < result.report.volumes_ml.anomalous
        assert opened.millilitres() == pytest.approx(above, abs=0.051)
        assert opened.page.is_visible("#moved")
        opened.page.click("#reset")
        assert opened.page.is_hidden("#moved")

    @pytest.mark.parametrize("name", ["specific", "sensitive", "balanced"])
    def test_the_operating_point_changes_the_volume(self, opened: Opened, name: str) -> None:
        result = make_result()
        opened.slide("point", ["specific", "balanced", "sensitive"].index(name))
        threshold = POINTS[name]["threshold"]
        above = (result.smoothed_map.data > threshold).sum() * result.image.voxel_ml
        assert opened.millilitres() == pytest.approx(above, abs=0.051)
        assert opened.page.inner_text("#point-name") == name

    def test_the_regions_follow_and_jump(self, opened: Opened) -> None:
        opened.slide("point", 1)
        lesions = make_result().report.lesions
        rows = opened.page.locator("#lesions tr")
        volumes = [float(row.locator("td").nth(1).inner_text()) for row in rows.all()]
        assert volumes[0] == pytest.approx(lesions[0].volume_ml, abs=0.0051)
        assert volumes == sorted(volumes, reverse=True)
        assert rows.first.locator("td").nth(4).inner_text() == "high"
        rows.first.locator("button").press("Enter")
        place = opened.page.evaluate(
            "Array.from(mmccd.panes.main.viewer.frac2mm(mmccd.panes.main.viewer.scene.crosshairPos,"
            " 0, true)).slice(0, 3)"
        )
        assert place == pytest.approx(lesions[0].peak_mm, abs=0.05)
        assert f"S {lesions[0].peak_mm[2]:.1f} mm" in opened.page.inner_text("#location")
        opened.slide("threshold", 1000)
        assert rows.count() == 0
        assert "Nothing lies above" in opened.page.inner_text("#lesions-text")
        opened.page.click("#reset")

    def test_keys_move_the_crosshair_of_both(self, opened: Opened) -> None:
        opened.page.select_option("#beside", "returned")
        opened.page.wait_for_selector("body[data-beside=returned]")
        assert "x′" in opened.page.inner_text("#side-caption")
        opened.page.focus("#main-canvas")
        before = opened.page.evaluate("mmccd.panes.main.fraction")
        opened.page.keyboard.press("PageUp")
        main, side = (
            opened.page.evaluate(f"mmccd.panes.{name}.fraction") for name in ("main", "side")
        )
        assert main[2] > before[2]
        assert side == pytest.approx(main)
        opened.page.select_option("#beside", "")
        opened.page.wait_for_selector("#frame-side", state="hidden")

    def test_another_scan_beside_it(self, opened: Opened) -> None:
        opened.page.select_option("#beside", label="other scan: earlier.nii.gz")
        opened.page.wait_for_selector("#difference")
        assert "+0.0 mL" in opened.page.inner_text("#difference")
        assert "not registered" in opened.page.inner_text("#side-caption")
        opened.page.select_option("#beside", "")

    def test_layouts_and_opacity(self, opened: Opened) -> None:
        for name in ("planes", "axial", "render", "all"):
            opened.page.select_option("#layout", name)
        opened.slide("opacity", 25)
        assert opened.page.evaluate("mmccd.panes.main.map.opacity") == 0.25
        assert opened.complaints == []

    def test_the_risks_are_those_of_the_report(self, opened: Opened) -> None:
        result = make_result(report={"threshold": {"calibration": {"points": POINTS}}})
        told = opened.page.locator("#risks li").all_inner_texts()
        assert [one.line for one in risks_of(result) if one.code != "volume.seen"] == told
        assert "of 1000 mL healthy brain at most 1 mL" in opened.page.inner_text("#point-meaning")

    def test_downloads(self, opened: Opened) -> None:
        with opened.page.expect_download() as download:
            opened.page.click("#download")
        assert download.value.suggested_filename.startswith("mmccd-")
        assert opened.page.locator("#result-files a").count() >= 6

    def test_the_address_brings_it_back(self, opened: Opened) -> None:
        opened.page.reload()
        opened.page.wait_for_selector("body[data-ready]")
        assert opened.page.inner_text("#viewer-title") == "now.nii.gz"
        assert "now" not in opened.page.url

    def test_without_webgl_the_figures_stay(self, browser: Any, opened: Opened) -> None:
        page = browser.new_page()
        page.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
        page.goto(opened.page.url)
        page.wait_for_selector("body[data-ready]")
        assert "no WebGL 2" in page.inner_text("#no-viewer")
        assert page.is_visible("#overview")
        expected = make_result().report.volumes_ml.anomalous
        assert float(page.inner_text("#volume")) == pytest.approx(expected, abs=0.051)
        page.close()


class TestForEverybody:
    @pytest.mark.parametrize("size", SIZES)
    def test_nothing_is_cut_off_and_the_notice_stays(
        self, opened: Opened, size: tuple[int, int]
    ) -> None:
        page = opened.page
        page.set_viewport_size({"width": size[0], "height": size[1]})
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        notice = page.locator("header .notice")
        assert notice.inner_text() == NOTICE
        page.wait_for_function(
            "document.querySelector('header .notice').getBoundingClientRect().top >= 0"
        )
        page.set_viewport_size({"width": SIZES[0][0], "height": SIZES[0][1]})

    def test_every_control_has_a_name(self, opened: Opened) -> None:
        nameless = opened.page.evaluate(
            "[...document.querySelectorAll('input, button, select, a, canvas, progress')].filter("
            "one => !(one.getAttribute('aria-label') || one.labels?.length ||"
            " one.textContent.trim())).map((one) => one.outerHTML)"
        )
        assert nameless == []

    def test_the_tab_key_reaches_every_control(self, opened: Opened) -> None:
        page = opened.page
        page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
        wanted = set(
            page.evaluate(
                "[...document.querySelectorAll('[id]')].filter((one) => one.tabIndex === 0 &&"
                " !one.disabled && one.checkVisibility()).map((one) => one.id)"
            )
        )
        reached = set()
        for _ in range(120):
            page.keyboard.press("Tab")
            reached.add(page.evaluate("document.activeElement.id"))
        assert wanted - reached == set()
        assert len(wanted) > 10

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_axe_finds_nothing_serious(self, opened: Opened, project: Path, scheme: str) -> None:
        script = axe(project)
        if script is None:
            pytest.skip("no axe-core: set AXE_CORE to its axe.min.js, or npm install axe-core")
        opened.page.emulate_media(color_scheme=scheme)
        opened.page.evaluate(script.read_text())
        found = opened.page.evaluate("axe.run()")["violations"]
        bad = [
            (one["id"], [node["html"] for node in one["nodes"]])
            for one in found
            if one["impact"] in ("serious", "critical")
        ]
        assert bad == []
        opened.page.emulate_media(color_scheme="light")


def axe(project: Path) -> Path | None:
    places = [
        Path(os.environ.get("AXE_CORE", "")),
        project / "node_modules" / "axe-core" / "axe.min.js",
    ]
    return next((path for path in places if path.is_file()), None)


class TestToken:
    def test_the_address_with_the_token_opens_the_page(self, browser: Any, tmp_path: Path) -> None:
        with served(tmp_path, token="t" * 43) as server:
            page = browser.new_context().new_page()
            page.goto(server.address)
            page.wait_for_selector("#problem:not([hidden])")
            assert "no token" in page.inner_text("#problem")
            page.goto("about:blank")
            page.goto(f"{server.address}/#token={'t' * 43}")
            page.wait_for_selector("#limits:not(:empty)")
            assert "token" not in page.url
            page.reload()
            page.wait_for_selector("body[data-ready]")
            assert page.is_hidden("#problem")
            page.context.close()


def through_the_networks(browser: Any, folder: Path, settings: Settings, flair: Path) -> float:
    """Drop a file on a page with the true engine; the volume that the page shows, and that the
    server was told.
    """
    options = ServeOptions(folder, settings)
    with (
        working_process(options) as runner,
        served(folder, runner, settings=settings) as server,
        opened_page(browser, server) as page,
    ):
        page.page.set_input_files("#files", flair)
        ends = page.item(flair.name).locator("[data-action=show], .problem:not([hidden])")
        ends.first.wait_for(timeout=10 * 60_000)
        page.show(flair.name)
        (scan,) = server.client.get("/api/scans").json()["scans"]
        shown = page.millilitres()
        assert shown == pytest.approx(scan["summary"]["volumes_ml"]["anomalous"], abs=0.051)
        page.slide("threshold", 900)
        assert page.millilitres() < shown
        page.page.select_option("#beside", "returned")
        page.page.wait_for_selector("body[data-beside=returned]")
        assert page.complaints == []
    return shown


@pytest.mark.slow
def test_a_phantom(browser: Any, tmp_path: Path, shared_bundles: Path) -> None:
    write_phantom(
        make_phantom(2, DEMO_LESIONS, Acquisition(slice_mm=12.0, pixel_mm=2.0)), tmp_path, "a"
    )
    settings = Settings(bundles=str(shared_bundles), preset="fast", device="cpu", threshold=0.5)
    flair = tmp_path / "a" / "a_flair.nii.gz"
    assert through_the_networks(browser, tmp_path / "served", settings, flair) > 0


@pytest.mark.slow
def test_a_real_flair(browser: Any, tmp_path: Path, real_data: Path) -> None:
    """A patient with 8 mL of lesions."""
    flair = tmp_path / "flair.nii.gz"
    shutil.copy(real_data / "ms" / "OPENMS_26" / "OPENMS_26_flair.nii.gz", flair)
    settings = Settings(preset="fast", device="cpu")
    assert through_the_networks(browser, tmp_path / "served", settings, flair) > 0.5
