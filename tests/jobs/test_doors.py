"""mmccd.jobs.doors: a message names what exists at the door where it is read."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import mmccd
from mmccd.apps.cli import cli
from mmccd.core import FLAG, PREFIX, VARIABLE, Settings
from mmccd.jobs import in_variables

ROOT = Path(mmccd.__file__).parent
PREDICT = ("brain", "core", "imaging", "io", "jobs", "methods", "models", "outputs", "quality")
"""Rooms whose messages a prediction may end with, at either door."""
MORE = ("pipeline.py", "bundle/find.py", "bundle/models.py", "bundle/presets.py")
MORE += ("bundle/calibrations.py",)
NOT_MESSAGES = {"brain/hd_bet.py"}
"""A command line for another program."""
FLAGS = re.compile(r"(?<![\w-])--([a-z][a-z0-9-]*)")
VARIABLES = re.compile(r"\bMMCCD_[A-Z_]+")


def texts() -> Iterator[tuple[str, str]]:
    """All texts in the code that are no docstrings, with the file; formatted values are …."""
    files = [path for room in PREDICT for path in sorted((ROOT / room).rglob("*.py"))]
    for path in [*files, *(ROOT / name for name in MORE)]:
        name = path.relative_to(ROOT).as_posix()
        if name in NOT_MESSAGES:
            continue
        tree = ast.parse(path.read_text())
        docs = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        inner = {
            id(part)
            for node in ast.walk(tree)
            if isinstance(node, ast.JoinedStr)
            for part in node.values
        }
        docs |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if id(node) in docs | inner:
                continue
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield name, node.value
            elif isinstance(node, ast.JoinedStr):
                yield (
                    name,
                    "".join(
                        str(part.value) if isinstance(part, ast.Constant) else "…"
                        for part in node.values
                    ),
                )


ONLY_WHERE_GIVEN = re.compile(r"^(--study|…: has no study that --study|--scheduler)")
"""Texts that are reached only by who gave the flag, and parts of a text that is tested whole."""
MESSAGES = sorted({(name, text) for name, text in texts() if FLAGS.search(text)})


def test_there_are_messages() -> None:
    assert len(MESSAGES) > 25


@pytest.mark.parametrize(("name", "text"), MESSAGES)
def test_flags_exist_at_the_command_line(name: str, text: str) -> None:
    taken = cli.form("predict")
    for flag in FLAGS.findall(text):
        key = flag.replace("-", "_")
        assert key in Settings.declared(FLAG) or taken.takes(key) or key == "rate", name


@pytest.mark.parametrize(("name", "text"), MESSAGES)
def test_no_flag_is_left_where_there_are_variables(name: str, text: str) -> None:
    if ONLY_WHERE_GIVEN.match(text):
        return
    said = in_variables(text)
    assert not FLAGS.search(said), f"{name}: {said}"
    for variable in VARIABLES.findall(said):
        assert variable.removeprefix(PREFIX).lower() in Settings.declared(VARIABLE), name


def test_variables_in_messages_exist() -> None:
    """Those that stand in the code are of what has no flag."""
    for name, text in texts():
        for variable in VARIABLES.findall(text):
            key = variable.removeprefix(PREFIX).lower()
            if key in ("calibrations", "anomaly"):
                continue
            declared = Settings.declared()[key].setting
            assert declared.doors == (VARIABLE,), f"{name}: {text}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "out: already holds x; choose another --output, or replace them with --force",
            "out: already holds x; choose another output folder (HOLOSCAN_OUTPUT_PATH), or replace"
            " them with MMCCD_FORCE=1",
        ),
        ("--device cuda:99: unknown", "MMCCD_DEVICE=cuda:99: unknown"),
        ("use --device auto or cpu", "use MMCCD_DEVICE=auto or cpu"),
        ("give --threshold, or run", "give MMCCD_THRESHOLD, or run"),
        (
            "holds 2 studies; expected one visit; choose one with --study UID or --study DATE, or"
            " give a folder that holds one alone",
            "holds 2 studies; expected one visit; give a folder that holds one alone",
        ),
        (
            "no brain; check the image, or give the brain's mask with --brain-mask",
            "no brain; check the image",
        ),
        ("empty; check it or give another --brain-mask", "empty; check it"),
        ("or accept it with --unchecked", "or accept it with MMCCD_UNCHECKED=1"),
        ("choose with --series UID", "choose with MMCCD_SERIES UID"),
        ("nothing of the kind", "nothing of the kind"),
    ],
)
def test_words(text: str, expected: str) -> None:
    assert in_variables(text) == expected
