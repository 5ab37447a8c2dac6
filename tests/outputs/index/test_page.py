"""``index.html`` in Chromium: order, sorting, filter, links, pictures, and no network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.outputs.index.cases import case, cohort

from mmccd import NOTICE
from mmccd.outputs.index.write import INDEX, render_index, write_index


@dataclass
class Opened:
    """A page, and what the browser said."""

    page: Any
    folder: Path
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def column(self, number: int) -> list[str]:
        cells = self.page.locator(f"tbody tr > :nth-child({number})")
        return [text.strip() for text in cells.all_inner_texts()]

    def names(self) -> list[str]:
        return self.column(2)

    def sort(self, title: str) -> None:
        self.page.get_by_role("button", name=title, exact=True).click()


@pytest.fixture(scope="module")
def opened(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    folder = tmp_path_factory.mktemp("index")
    cases = []
    for one in cohort():
        if one.is_judged:
            (folder / one.name).mkdir()
            Image.new("RGB", (144, 168), "gray").save(folder / one.name / "thumbnail.jpg")
            (folder / one.name / "report.html").write_text(f"<title>{one.name}</title>")
            one = replace(one, thumbnail=f"{one.name}/thumbnail.jpg")
        cases.append(one)
    write_index(cases, folder)
    context = browser.new_context(viewport={"width": 1400, "height": 900}, offline=True)
    opened = Opened(context.new_page(), folder)
    opened.page.on("console", lambda message: opened.complaints.append(message.text))
    opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
    opened.page.on("request", lambda request: opened.requests.append(request.url))
    opened.page.goto((folder / INDEX).resolve().as_uri())
    opened.page.wait_for_selector("body[data-ready]")
    yield opened
    context.close()


def test_it_asks_for_its_own_files_only(opened: Opened) -> None:
    opened.page.wait_for_timeout(500)
    assert opened.page.evaluate("[...document.images].filter(one => one.naturalWidth > 0).length")
    assert opened.complaints == []
    home = opened.folder.resolve().as_uri()
    assert all(url.startswith(home) for url in opened.requests)
    assert any(url.endswith("thumbnail.jpg") for url in opened.requests), "pictures are seen"


def test_a_script_of_another_is_not_run(opened: Opened) -> None:
    """The policy knows the page's own script by its hash, and no other one."""
    opened.page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {text: 'window.hurt ="
        " 1'}))"
    )
    assert opened.page.evaluate("window.hurt") is None
    opened.complaints.clear()


def test_the_unusual_come_first(opened: Opened) -> None:
    opened.page.reload()
    assert opened.names()[:3] == ["broken", "strange", "large"]
    assert opened.column(7)[:3][0] == "no result"
    assert "OOD score" in opened.column(7)[1]
    assert "how far the most unusual figure" in opened.page.inner_text("main")


def test_sorting(opened: Opened) -> None:
    opened.sort("mL")
    volumes = opened.column(4)
    assert volumes[0] == "140.0"
    assert volumes[-1] == "–", "what has no value is last"
    opened.sort("mL")
    assert [float(one) for one in opened.column(4)[:-1]] == sorted(map(float, volumes[:-1]))
    assert opened.column(4)[-1] == "–"
    opened.sort("Case")
    assert opened.names()[0] == "broken"
    visits = [one for one in opened.names() if one.startswith("sub-7")]
    assert visits == [f"sub-7_ses-{visit}" for visit in (1, 2, 3, 10)], "10 comes after 3"
    assert opened.page.locator("th[aria-sort]").count() == 1


def test_the_filter(opened: Opened) -> None:
    opened.page.fill("#filter", "SES-")
    assert opened.page.locator("tbody tr:visible").count() == 4
    assert opened.page.inner_text("#shown") == "4 of 20 shown"
    opened.page.fill("#filter", "")
    assert opened.page.locator("tbody tr:visible").count() == 20


def test_links_lead_to_reports(opened: Opened) -> None:
    links = opened.page.locator("tbody th a")
    assert links.count() == 19
    opened.page.get_by_role("link", name="large", exact=True).click()
    assert opened.page.title() == "large"
    opened.page.go_back()
    opened.page.wait_for_selector("body[data-ready]")


def test_warnings_and_errors_can_be_read(opened: Opened) -> None:
    row = opened.page.locator("tbody tr", has_text="large")
    row.locator("summary").click()
    assert "the <brightness> varies" in row.inner_text()
    broken = opened.page.locator("tbody tr", has_text="broken")
    broken.locator("summary").click()
    assert "looks like T1" in broken.inner_text()


def test_the_curve(opened: Opened) -> None:
    figure = opened.page.locator(".curves figure")
    assert figure.count() == 1
    assert "+7.0 mL" in figure.inner_text()
    assert figure.locator("circle").count() == 4


@pytest.mark.parametrize("size", [(1400, 900), (800, 1000), (400, 800)])
def test_nothing_is_cut_off(opened: Opened, size: tuple[int, int]) -> None:
    opened.page.set_viewport_size({"width": size[0], "height": size[1]})
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_without_script_the_table_stands(browser: Any, opened: Opened) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((opened.folder / INDEX).resolve().as_uri())
    assert page.locator("tbody tr").count() == 20
    context.close()


def test_text_from_cases_is_no_markup() -> None:
    text = render_index([case("<b>x</b>", None, error='<script>alert("1")</script>', code="a.b")])
    assert "<b>x" not in text
    assert "<script>alert" not in text
    assert text.count(NOTICE) == 2


def test_five_hundred_cases_are_a_small_page() -> None:
    cases = [case(f"case{n}", 1.0 + n, thumbnail=f"case{n}/thumbnail.jpg") for n in range(500)]
    assert len(render_index(cases)) < 1_000_000


def test_no_case() -> None:
    assert "0 cases" in render_index([])
