"""mmccd.research.run: steps are done once, go on where they were ended, and start anew only where
that was asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mmccd.core import Console, InputError, OutputError
from mmccd.research import Checked, Run, Study, open_run
from mmccd.research.state import State, differences
from mmccd.research.steps import Step


class Said(Console):
    """Keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str, **values: Any) -> None:
        self.notes.append(text)


class Steps:
    """Two steps that write a file each, the first a training; they count what happens."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log: list[str] = []
        self.fails: BaseException | None = None

    def make(self, epochs: int = 1) -> list[Step]:
        return [self._step("train", epochs, True), self._step("evaluate", epochs, False)]

    def _step(self, name: str, epochs: int, is_training: bool) -> Step:
        file = self.folder / f"{name}.txt"

        def act(console: Console) -> None:
            self.log.append(name)
            if self.fails is not None:
                raise self.fails
            file.write_text("done")

        return Step(name, {"epochs": epochs}, (file,), act, self._forget(name, file), is_training)

    def _forget(self, name: str, file: Path) -> Callable[[], None]:
        def forget() -> None:
            self.log.append(f"forget {name}")
            file.unlink(missing_ok=True)

        return forget


@pytest.fixture
def steps(tmp_path: Path) -> Steps:
    (tmp_path / "seed_0" / "bundles").mkdir(parents=True)
    return Steps(tmp_path)


def run(steps: Steps, epochs: int = 1) -> Run:
    checked = Checked(Study(data="d"), {}, [], None)
    return Run(checked, steps.folder, State.read(steps.folder), steps.make(epochs), Path())


def test_each_step_once(steps: Steps) -> None:
    console = Said()
    run(steps).go(console)
    again = run(steps)
    assert again.left == []
    again.go(console)
    assert steps.log == ["train", "evaluate"]
    assert console.notes == [
        "train: begins",
        "evaluate: begins",
        "train: done before",
        "evaluate: done before",
    ]


def test_going_on(steps: Steps) -> None:
    """What was done stays done; what was ended is not forgotten."""
    steps.fails = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt, match="'train'; the same command goes on there"):
        run(steps).go(Said())
    steps.fails, console = None, Said()
    run(steps).refuse_changed()
    run(steps).go(console)
    assert steps.log == ["train", "train", "evaluate"]
    assert console.notes[0] == "train: goes on"


def test_a_changed_training_is_refused(steps: Steps) -> None:
    run(steps).go(Said())
    changed = run(steps, epochs=2)
    with pytest.raises(OutputError, match=r"train was begun with other settings \(epochs 1 -> 2\)"):
        changed.refuse_changed()
    console = Said()
    changed.go(console)
    assert console.notes[0] == "train: starts anew: epochs 1 -> 2"
    assert steps.log[2:] == ["forget train", "train", "forget evaluate", "evaluate"]


def test_results_that_are_gone(steps: Steps) -> None:
    run(steps).go(Said())
    (steps.folder / "evaluate.txt").unlink()
    console = Said()
    run(steps).go(console)
    assert console.notes[-1] == "evaluate: is done again: its files are gone"


def test_a_failure_says_so_and_keeps_the_steps_before(steps: Steps) -> None:
    run(steps).go(Said())
    (steps.folder / "evaluate.txt").unlink()
    steps.fails = InputError("no image")
    with pytest.raises(InputError, match="no image"):
        run(steps).go(Said())
    assert [step.name for step in run(steps).left] == ["evaluate"]


def test_a_folder_of_others_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    checked = Checked(Study(data="d"), {}, [], None)
    with pytest.raises(OutputError, match="holds something else than a study"):
        open_run(checked, tmp_path)


def test_damaged_state(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(InputError, match=r"state\.json: cannot be read"):
        State.read(tmp_path)


def test_differences() -> None:
    old = {"forward": {"max_epochs": 4, "seed": 0}, "after": ["a"]}
    new = {"forward": {"max_epochs": 6, "seed": 0}, "after": ["a"], "gpus": 2}
    assert differences(old, new) == ["forward.max_epochs 4 -> 6", "gpus null -> 2"]
    assert differences(old, dict(old)) == []
