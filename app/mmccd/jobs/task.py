"""One thing to do: an input, where its results go, and with which settings."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmccd.core import Settings
from mmccd.jobs.inputs import DICOM, Input


@dataclass(frozen=True)
class Task:
    """An input and where its results go.

    Attributes:
        number: place in the run, from 1 on.
        input: the image.
        output: folder of its results.
        shown: its name in log, account and messages; never the patient's.
        settings: of the prediction.
        resume: whether complete results of the same request stay, and unfinished ones are made
            again; else whatever is there already is an error, unless the settings say ``force``.
        private: whether no path of the input may be shown, of whatever kind it is.
    """

    number: int
    input: Input
    output: Path
    shown: str
    settings: Settings = Settings()
    resume: bool = False
    private: bool = False

    @property
    def hidden_paths(self) -> list[Path]:
        """Paths that stand in no text: those of DICOM files and folders, because archives name
        them after patients, with the output folder, which may be named after one; and all paths of
        a private input.
        """
        one = self.input
        if one.kind != DICOM:
            return [one.path] if self.private else []
        paths = list(one.files) or [one.path]
        return paths if self.private else [*paths, self.output]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            **asdict(self),
            "input": self.input.as_dict(),
            "output": str(self.output),
            "settings": self.settings.model_dump(mode="json"),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Task:
        """The way back."""
        known = {
            "input": Input.from_dict(values["input"]),
            "output": Path(values["output"]),
            "settings": Settings(**values["settings"]),
        }
        return cls(**{**values, **known})


def shown_in_a_list(number: int, one: Input) -> str:
    """A name for log and account where people gave the input: of DICOM its place in the list."""
    return f"DICOM study {number}" if one.kind == DICOM else one.name
