"""A study from its first step to its last, going on where it was ended."""

from __future__ import annotations

import logging
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from mmccd.bundle import copy_bundles, find_bundles
from mmccd.core import Console, OutputError, make_folder, write_json
from mmccd.jobs import ALONE, Workers
from mmccd.research.check import Checked
from mmccd.research.networks import NETWORKS
from mmccd.research.state import FILE, State, differences
from mmccd.research.steps import Place, Step, steps_of_seed, table_of
from mmccd.research.summary import write_summary

STUDY = "study.json"

logger = logging.getLogger(__name__)


@dataclass
class Run:
    """A study in its folder.

    Attributes:
        checked: the study.
        output: its folder.
        state: what is done.
        steps: all, in their order.
        shipped: the bundles that are copied.
    """

    checked: Checked
    output: Path
    state: State
    steps: list[Step]
    shipped: Path

    def is_done(self, step: Step) -> bool:
        """Whether a step came to its end with what is asked for now, and its files are there."""
        known = self.state.inputs(step.name)
        there = all(file.is_file() for file in step.results)
        return known == step.inputs and self.state.is_done(step.name) and there

    @property
    def left(self) -> list[Step]:
        """The steps that are not done."""
        return [step for step in self.steps if not self.is_done(step)]

    def refuse_changed(self) -> None:
        """Raise OutputError where a training was begun for something else than is asked for now."""
        for step in self.steps:
            found = self._changes(step)
            if step.is_training and found:
                raise OutputError(
                    f"{self.output}: {step.name} was begun with other settings ({found}); --force"
                    " starts it and all that follows anew; or choose another --output",
                    code="study.changed",
                )

    def go(self, console: Console) -> None:
        """Do what is left.

        Raises:
            MmccdError: a step failed; those before it stay done.
            KeyboardInterrupt: with a line that says where the same command goes on.
        """
        make_folder(self.output)
        write_json(self.output / STUDY, self.checked.study.model_dump(mode="json"))
        for seed in self.checked.study.seeds:
            _copy_once(seed_folder(self.output, seed) / "bundles", self.shipped)
        for step in self.steps:
            if self.is_done(step):
                console.note(f"{step.name}: done before", kind="step", step=step.name)
            else:
                self._do(step, console)
        self._summarise()

    def _summarise(self) -> None:
        study = self.checked.study
        if study.evaluation is None:
            return
        folders = [seed_folder(self.output, seed) for seed in study.seeds]
        tables = {
            preset: [table_of(folder, preset) for folder in folders] for preset in study.presets
        }
        write_summary(self.output, tables)

    def _do(self, step: Step, console: Console) -> None:
        known, found = self.state.inputs(step.name), self._changes(step)
        how = "begins"
        if found:
            how = f"starts anew: {found}"
            step.forget()
        elif known is not None:
            how = (
                "is done again: its files are gone" if self.state.is_done(step.name) else "goes on"
            )
        console.note(f"{step.name}: {how}", kind="step", step=step.name)
        console.stage(step.name)
        self.state.begin(step.name, step.inputs)
        start, done = time.monotonic(), False
        try:
            step.act(console)
            done = True
        except KeyboardInterrupt as error:
            raise KeyboardInterrupt(
                f"interrupted in {step.name!r}; the same command goes on there"
            ) from error
        finally:
            self.state.end(step.name, time.monotonic() - start, done)

    def _changes(self, step: Step) -> str:
        known = self.state.inputs(step.name)
        return "; ".join(differences(known, step.inputs)) if known is not None else ""


def open_run(
    checked: Checked,
    output: Path,
    device: str = "auto",
    bundles: str | None = None,
    workers: Workers = ALONE,
) -> Run:
    """A study in a folder that is new, empty or its own; nothing is written yet.

    Args:
        checked: the study.
        output: its folder.
        device: where networks run.
        bundles: folder of the bundles that it copies; None for the usual one.
        workers: who makes the maps of its evaluation.

    Raises:
        OutputError: the folder holds something else.
        InputError: its state is damaged.
    """
    is_ours = not output.exists() or (output / FILE).is_file()
    if not is_ours and (not output.is_dir() or any(output.iterdir())):
        raise OutputError(
            f"{output}: holds something else than a study; choose another --output",
            code="output.exists",
        )
    shipped = find_bundles(bundles)
    steps = [
        step
        for seed in checked.study.seeds
        for step in steps_of_seed(
            checked, seed, Place(seed_folder(output, seed).resolve(), device, workers), shipped
        )
    ]
    return Run(checked, output, State.read(output), steps, shipped)


def seed_folder(output: Path, seed: int) -> Path:
    """Where one seed is worked on."""
    return output / f"seed_{seed}"


def _copy_once(folder: Path, shipped: Path) -> None:
    """The bundles without the weights, model cards and calibrations that ship: what a study says of
    its networks is never said of others.
    """
    if folder.is_dir():
        return
    staged = folder.with_name(".bundles.tmp")
    shutil.rmtree(staged, ignore_errors=True)
    copy_bundles(shipped, staged)
    for name in NETWORKS.values():
        for part in ("models", "calibrations"):
            shutil.rmtree(staged / name / part, ignore_errors=True)
        for card in (staged / name / "docs").glob("model_card*.md"):
            card.unlink()
    staged.rename(folder)
