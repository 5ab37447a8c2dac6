"""What a study has done already: one file in its folder."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmccd.core import InputError, first_line, write_json
from mmccd.training import flat_differences

FILE = "state.json"
RUNNING, DONE = "running", "done"


@dataclass
class State:
    """The steps of a study.

    Attributes:
        path: the file.
        steps: of each that was begun: its state, what it depends on, and its seconds.
    """

    path: Path
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> State:
        """Of a study's folder.

        Raises:
            InputError: the file is damaged.
        """
        path = folder / FILE
        if not path.is_file():
            return cls(path)
        try:
            return cls(path, dict(json.loads(path.read_text(encoding="utf-8"))["steps"]))
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise InputError(
                f"{path}: cannot be read ({first_line(error)}); expected the state of a study;"
                " choose another --output",
                code="study.unreadable",
            ) from error

    def begin(self, name: str, inputs: dict[str, Any]) -> None:
        """A step begins, or goes on; the time of its earlier parts counts."""
        seconds = self.seconds(name) if self.inputs(name) == inputs else 0.0
        self.steps[name] = {"state": RUNNING, "inputs": inputs, "seconds": seconds}
        self._write()

    def end(self, name: str, seconds: float, done: bool) -> None:
        """A step is done, or was ended after some seconds."""
        step = self.steps[name]
        step["seconds"] = round(step["seconds"] + seconds, 1)
        step["state"] = DONE if done else RUNNING
        self._write()

    def inputs(self, name: str) -> dict[str, Any] | None:
        """What a step depended on; None where it never began."""
        return self.steps.get(name, {}).get("inputs")

    def is_done(self, name: str) -> bool:
        """Whether a step came to its end."""
        return self.steps.get(name, {}).get("state") == DONE

    def seconds(self, name: str) -> float:
        """How long it took, all its parts together."""
        return float(self.steps.get(name, {}).get("seconds", 0.0))

    def _write(self) -> None:
        write_json(self.path, {"steps": self.steps})


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What differs between the inputs of a step: ``forward.max_epochs 4 -> 6``."""
    found = flat_differences(old, new, ".")
    return [f"{place} {_short(was)} -> {_short(now)}" for place, (was, now) in found.items()]


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
