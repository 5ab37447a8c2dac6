"""The pages against the program: commands run, parse, and name what exists; links lead
somewhere.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path

import pytest
import torch
from tests.docs.markdown import ROOT, Block, anchors, blocks, inline_code, links, pages, prose

from mmccd.apps.cli import cli

BUNDLES = sorted(path.parent for path in ROOT.glob("bundles/*/configs"))
TESTED = [page for page in pages() if any(block.tested for block in blocks(page))]
SHELL = ("", "bash", "sh", "console")
MONAI_OWN = {"config_file", "meta_file", "logging_file"}


def names(page: Path) -> str:
    """Name of a test."""
    return page.relative_to(ROOT).as_posix()


def program(words: list[str]) -> str:
    """The program a command starts, without its folder; variables set before it are passed over."""
    return next((Path(word).name for word in words if not re.match(r"\w+=", word)), "")


def shell_blocks() -> list[Block]:
    """Blocks that a reader types."""
    return [block for page in pages() for block in blocks(page) if block.language in SHELL]


def mmccd_commands() -> list[tuple[str, list[str]]]:
    """(place, words behind ``mmccd``) of every command line in a block."""
    found = []
    for block in shell_blocks():
        if "mmccd " not in block.text:
            continue
        for words in block.commands():
            if program(words) == "mmccd":
                at = next(index for index, word in enumerate(words) if Path(word).name == "mmccd")
                found.append((block.place, words[at + 1 :]))
    return found


@pytest.mark.parametrize("page", TESTED, ids=names)
@pytest.mark.slow
def test_marked_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order, in one folder: ``mmccd`` commands end with 0, Python code runs through."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MMCCD_QUIET", "1")
    threads = torch.get_num_threads()
    for block in blocks(page):
        if not block.tested:
            continue
        if block.language == "python":
            exec(compile(block.text, block.place, "exec"), {"__name__": "page"})
            continue
        assert block.language in SHELL, f"{block.place}: a tested block is bash or python"
        for words in block.commands():
            assert program(words) == "mmccd", (
                f"{block.place}: a tested block holds mmccd commands only, got {words[0]}"
            )
            assert cli.run(words[1:]) == 0, f"{block.place}: {shlex.join(words)}"
    assert torch.get_num_threads() == threads
    assert any(tmp_path.iterdir()), f"{page}: its commands wrote nothing"


def test_some_commands_are_run() -> None:
    tested = {
        words[0]
        for page in TESTED
        for block in blocks(page)
        if block.tested and block.language != "python"
        for words in block.commands()
    }
    used = {
        words[1]
        for page in TESTED
        for b in blocks(page)
        if b.tested and b.language != "python"
        for words in b.commands()
    }
    assert tested == {"mmccd"}
    assert {"phantom", "predict", "datalist", "doctor"} <= used


@pytest.mark.parametrize(("place", "words"), mmccd_commands())
def test_command_lines_parse(place: str, words: list[str]) -> None:
    standing_in = {"S": "flair", "T": "t1"}
    words = [standing_in.get(word, word) for word in words if word not in cli.GLOBAL_FLAGS]
    if words and words[0] in ("--help", "--version", "COMMAND") or "--help" in words:
        return
    assert words and words[0] in cli.COMMANDS, f"{place}: unknown command in {words}"
    cli.form(words[0]).parse(words[1:])


def test_command_lines_are_found() -> None:
    assert len(mmccd_commands()) > 20


@pytest.mark.parametrize("page", pages(), ids=names)
def test_flags_in_prose_exist(page: Path) -> None:
    """``mmccd COMMAND ... --flag`` and a bare ``COMMAND ... --flag`` in backticks, as in tables."""
    for text in inline_code(page):
        words = text.removeprefix("mmccd ").split()
        if (
            not words
            or words[0] not in cli.COMMANDS
            or (len(words) == 1 and not text.startswith("mmccd "))
        ):
            continue
        flags = {argument.flag for argument in cli.form(words[0]).arguments}
        known = flags | set(cli.GLOBAL_FLAGS) | {"--help"}
        used = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))
        assert used <= known, f"{names(page)}: `{text}`: unknown {sorted(used - known)}"


def config_runs() -> list[tuple[str, Path, list[str]]]:
    """(place, bundle, words behind ``run``) of every ``python -m monai.bundle run`` in a block,
    loops unrolled.
    """
    found = []
    for block in shell_blocks():
        folder = block.page.parents[1] if block.page.parents[2].name == "bundles" else None
        values: list[str] = [""]
        for words in block.commands():
            if words[0] == "cd" and Path(words[1]).name in {bundle.name for bundle in BUNDLES}:
                folder = ROOT / "bundles" / Path(words[1]).name
            if words[0] == "for":
                values = words[3:]
            if "monai.bundle" in words and "run" in words:
                assert folder is not None, f"{block.place}: nobody says from which bundle's folder"
                rest = words[words.index("run") + 1 :]
                found += [
                    (block.place, folder, [word.replace("$METHOD", value) for word in rest])
                    for value in values
                ]
    return found


@pytest.mark.parametrize(("place", "bundle", "words"), config_runs())
def test_bundle_runs_name_what_exists(place: str, bundle: Path, words: list[str]) -> None:
    flags = {
        word.removeprefix("--"): value
        for word, value in zip(words, [*words[1:], ""], strict=True)
        if word.startswith("--")
    }
    files = re.findall(r"[\w./-]+\.json", flags["config_file"])
    assert files, f"{place}: no config file"
    known = set(MONAI_OWN)
    for file in files:
        assert (bundle / file).is_file(), f"{place}: {bundle.name} has no {file}"
        known |= set(json.loads((bundle / file).read_text()))
    unknown = {flag.partition("#")[0] for flag in flags} - known
    assert not unknown, f"{place}: {bundle.name} has no settings {sorted(unknown)}"


def test_bundle_runs_are_found() -> None:
    assert len(config_runs()) > 8


@pytest.mark.parametrize("page", pages(), ids=names)
def test_named_configs_exist(page: Path) -> None:
    for name in re.findall(r"\bconfigs/[\w/*-]+\.json", prose(page)):
        assert any(list(bundle.glob(name)) for bundle in BUNDLES), (
            f"{names(page)}: no bundle has {name}"
        )


@pytest.mark.parametrize("page", pages(), ids=names)
def test_named_make_targets_exist(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    texts = [text for text in inline_code(page) if text.startswith("make ")]
    texts += [
        shlex.join(words)
        for block in blocks(page)
        if block.language in SHELL and "make " in block.text
        for words in block.commands()
    ]
    for text in texts:
        words = text.split()
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:", makefile, re.MULTILINE), (
                f"{names(page)}: `{text}`: no such target"
            )


@pytest.mark.parametrize("page", pages(), ids=names)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        path = Path(os.path.normpath(page.parent / target)) if target else page
        assert path.is_relative_to(ROOT) and path.exists(), f"{names(page)}: {link}: no such file"
        if anchor:
            assert anchor in anchors(path), (
                f"{names(page)}: {link}: no such heading; there are {sorted(anchors(path))}"
            )


def test_pictures_are_small() -> None:
    """``benchmarks/small_pictures.py`` makes them so."""
    sizes = {path.name: path.stat().st_size for path in (ROOT / "docs" / "images").glob("*.png")}
    assert {name: size for name, size in sizes.items() if size > 150_000} == {}


def test_raw_results_stay_out() -> None:
    """Raw figures are files of a release; a page links what stands here."""
    stored = [*(ROOT / "docs" / "results").glob("*"), *(ROOT / "docs" / "benchmarks").glob("*")]
    text = "\n".join(page.read_text() for page in pages())
    assert [path.name for path in stored if f"{path.parent.name}/{path.name}" not in text] == []
    assert sum(path.stat().st_size for path in stored) < 300_000


def test_every_picture_is_shown() -> None:
    shown = {Path(link).name for page in pages() for link in links(page) if link.endswith(".png")}
    assert {path.name for path in (ROOT / "docs" / "images").glob("*.png")} <= shown
