"""mmccd.research.plan: a study is read strictly; every mistake is a line of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mmccd.core import InputError, ModelError, UsageError
from mmccd.research import read_study
from mmccd.research.plan import worst_first


def write(folder: Path, content: Any) -> Path:
    path = folder / "study.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_paths_are_seen_from_the_studys_folder(tmp_path: Path) -> None:
    content = {"data": "images", "evaluation": {"sets": ["one", "../two"]}}
    study, problems = read_study(write(tmp_path, content))
    assert problems == [] and study is not None
    assert study.data == str(tmp_path / "images")
    assert study.evaluation is not None
    assert study.evaluation.sets == [str(tmp_path / "one"), str(tmp_path.parent / "two")]
    assert (study.presets, study.seeds, study.forward.max_epochs) == (["balanced"], [0], 100)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"foward": {}}, r"foward: unknown key \(did you mean forward\?\); expected one of data"),
        ({"forward": {"epochs": 3}}, r"forward\.epochs: unknown key .*expected one of max_epochs"),
        ({"evaluation": {"sets": []}}, r"evaluation\.sets: found \[\], expected: "),
        ({"forward": {"max_epochs": 0}}, r"forward\.max_epochs: found 0, expected: .*greater"),
        ({"forward": {"max_epochs": True}}, r"forward\.max_epochs: found True"),
        ({"source": "ct"}, r"source: found 'ct', expected: .*'flair'"),
        ({"seeds": ["one"]}, r"seeds\.0: found 'one'"),
        ({"track": "wandb"}, r"track: found 'wandb'"),
        ({"data": None}, r"data: found None"),
    ],
)
def test_mistakes(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    study, problems = read_study(write(tmp_path, {"data": "images", **change}))
    assert study is None
    (problem,) = problems
    assert isinstance(problem, UsageError) and problem.code == "study.key"
    assert problem.args[0].startswith(f"{tmp_path / 'study.json'}: ")
    with pytest.raises(UsageError, match=said):
        raise problem


def test_every_mistake_is_said(tmp_path: Path) -> None:
    path = write(tmp_path, {"foward": {}, "backward": {"epochs": 3}})
    places = [str(one).split(": ")[1] for one in read_study(path)[1]]
    assert sorted(places) == ["backward.epochs", "data", "foward"]


@pytest.mark.parametrize("content", ["{", "[1]", None])
def test_no_study(tmp_path: Path, content: str | None) -> None:
    path = write(tmp_path, content) if content else tmp_path / "nowhere.json"
    study, problems = read_study(path)
    assert study is None and len(problems) == 1
    assert isinstance(problems[0], UsageError if content == "[1]" else InputError)


def test_worst_first() -> None:
    found = worst_first([InputError("3"), ModelError("6"), UsageError("2")])
    assert [str(one) for one in found] == ["2", "6", "3"]
