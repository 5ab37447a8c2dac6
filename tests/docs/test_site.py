"""The site: it builds without a warning, shows every page, and loads nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from tests.docs.markdown import ROOT, pages, slug

sys.path.insert(0, str(ROOT / "docs"))
import hooks

LOADED = re.compile(
    r"<(?:script|img|iframe|source)[^>]*\ssrc=\"(?:https?:)?//|<link[^>]*(?:stylesheet|preconnect|preload|icon)[^>]*href=\"(?:https?:)?//"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as ``make docs`` does."""
    for name in ("mkdocs", "material", "mkdocstrings"):
        if find_spec(name) is None:
            pytest.skip(f"{name} is not installed (the extra 'docs'): the site is not built here")
    folder = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--quiet",
        "--config-file",
        str(ROOT / "mkdocs.yml"),
        "--site-dir",
        str(folder),
    ]
    environment = {
        **os.environ,
        "NO_MKDOCS_2_WARNING": "1",
        "http_proxy": "http://127.0.0.1:9",
        "https_proxy": "http://127.0.0.1:9",
    }
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stdout + done.stderr
    return folder


def test_every_page_is_there(site: Path) -> None:
    for page in pages():
        if page == ROOT / "README.md":
            continue
        place = page.relative_to(ROOT).as_posix().removeprefix("docs/")
        name = place.replace("README.md", "index.md").replace(".md", ".html")
        assert (site / name).is_file(), name


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        assert not LOADED.search(page.read_text()), page.relative_to(site)
    for style in site.rglob("*.css"):
        assert not re.search(r"@import|url\(\s*[\"']?(?:https?:)?//", style.read_text()), (
            style.relative_to(site)
        )


PHONE = {"width": 400, "height": 800}
BEYOND = """() => {
    const root = document.documentElement;
    const scrolls = node => ["auto", "scroll", "hidden"].includes(getComputedStyle(node).overflowX);
    const inside = node => {
        for (let parent = node.parentElement; parent !== null; parent = parent.parentElement)
            if (parent !== root && parent !== document.body && scrolls(parent)) return true;
        return false;
    };
    const wide = [...document.querySelectorAll("main *")].filter(node =>
        node.getBoundingClientRect().right > root.clientWidth + 1 && !inside(node));
    return [root.scrollWidth - root.clientWidth, wide.map(node => node.outerHTML.slice(0, 80))];
}"""
"""By how much the page is wider than the window, in pixels, and what reaches beyond it; a table or
block that scrolls in a place of its own may.
"""


@pytest.mark.slow
def test_no_page_is_wider_than_a_phone(site: Path, browser: Any) -> None:
    names = sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html"))
    page = browser.new_page(viewport=PHONE)
    page.set_default_timeout(300_000)  # the API is long, and machines are busy
    found = {}
    for name in names:
        page.goto((site / name).as_uri())
        found[name] = page.evaluate(BEYOND)
    page.evaluate("document.querySelector('main p').style.width = '600px'")
    spoilt = page.evaluate(BEYOND)
    page.close()
    assert len(names) > 30
    assert {name: beyond for name, beyond in found.items() if beyond != [0, []]} == {}
    assert spoilt[0] > 0 and spoilt[1], "a paragraph that is too wide would have been seen"


def test_the_api_is_shown(site: Path) -> None:
    text = (site / "api.html").read_text()
    for name in (
        "mmccd.pipeline.AnomalyPipeline.run",
        "mmccd.methods.CycleSettings",
        "mmccd.core.errors.UnsuitableInputError",
    ):
        assert f'id="{name}"' in text, name
    assert not re.search(r":(func|class|meth|mod|data|attr):", text)
    assert "Find the brain, run the cycle, threshold the map." in text


@pytest.mark.parametrize(
    ("place", "link", "expected"),
    [
        ("brain.md", "checks.md", "checks.md"),
        ("index.md", "images/demo.png", "images/demo.png"),
        (
            "brain.md",
            "../bundles/brain_extraction/docs/model_card.md",
            "bundles/brain_extraction/docs/model_card.md",
        ),
        ("bundles/brain_extraction/docs/README.md", "model_card.md", "model_card.md"),
        ("CHANGELOG.md", "docs/brain.md", "brain.md"),
    ],
)
def test_links_of_the_repository_become_links_of_the_site(
    place: str, link: str, expected: str
) -> None:
    assert hooks.site_link(place, link) == expected


def test_only_links_are_rewritten() -> None:
    class Page:
        class file:  # noqa: N801
            src_uri = "CHANGELOG.md"

    text = "[a](docs/a.md#b) [c](https://x.org/docs/c.md) [d](#e) `docs/f.md`"
    assert (
        hooks.on_page_markdown(text, Page())
        == "[a](a.md#b) [c](https://x.org/docs/c.md) [d](#e) `docs/f.md`"
    )


def test_references_of_docstrings_become_links() -> None:
    html = (
        '<h3 id="a.b.C">C</h3> see :class:<code>~a.b.C</code>, :func:<code>~a.b.d</code>,'
        " :meth:<code>run</code>"
    )
    assert hooks.on_page_content(html).endswith(
        'see <a href="#a.b.C"><code>C</code></a>, <code>d</code>, <code>run</code>'
    )


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [("1. Train what", "1-train-what"), ("`a`: b (c)", "a-b-c"), ("[x](y.md) z", "x-z")],
)
def test_anchors(heading: str, anchor: str) -> None:
    assert slug(heading) == anchor
