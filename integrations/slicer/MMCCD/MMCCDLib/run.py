"""Run ``mmccd predict`` as a process, and read what it says.

Nothing here needs Slicer, and all of it runs under Python 3.9, which Slicer may have. MMCCD itself
lives in an environment of its own: its packages and Slicer's must not meet.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PRESETS = ("balanced", "fast", "full", "cycle")
OPERATING_POINTS = ("balanced", "specific", "sensitive")
DEVICES = ("auto", "cpu", "cuda", "mps")
STAGES = {
    "read": "reading the image",
    "brain": "loading the models and finding the brain",
    "check": "checking the image",
    "score": "looking at the slices",
    "write": "writing the results",
}
_OF_SLICER = (
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONNOUSERSITE",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
)
_MOST_LINES = 5


class RunError(Exception):
    """The run failed; the text is one line for people.

    Args:
        text: the line.
        exit_code: of the program; None where it did not start.
        code: stable code of the error, where the program gives one.
    """

    def __init__(self, text: str, exit_code: int | None = None, code: str | None = None) -> None:
        super().__init__(text)
        self.exit_code, self.code = exit_code, code


@dataclass(frozen=True)
class Options:
    """What a user may choose."""

    preset: str = PRESETS[0]
    operating_point: str = OPERATING_POINTS[0]
    device: str = DEVICES[0]
    unchecked: bool = False

    def words(self) -> list[str]:
        """As flags."""
        words = ["--preset", self.preset, "--operating-point", self.operating_point]
        return [*words, "--device", self.device, *(["--unchecked"] if self.unchecked else [])]


def find_program(chosen: str = "") -> str:
    """The program ``mmccd``: the chosen file, or that of a chosen environment, or what the shell
    finds.

    Raises:
        RunError: there is none.
    """
    if chosen:
        folder = Path(chosen).expanduser()
        inside = [folder / place / "mmccd" for place in (".", "bin", "Scripts")]
        for path in (folder, *inside, *(one.with_suffix(".exe") for one in inside)):
            if path.is_file():
                return str(path)
        raise RunError(f"{chosen}: no program mmccd; expected the file or its environment's folder")
    found = shutil.which("mmccd")
    if found is None:
        raise RunError("the program mmccd is not found; give its file or its environment's folder")
    return found


def command(program: str, image: str | Path, output: str | Path, options: Options) -> list[str]:
    """The command line of one run."""
    where = ["--output", str(output), "--force", "--json", "--log-format", "json"]
    return [program, "predict", *where, *options.words(), "--", str(image)]


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Variables for the process, without those by which another Python would find Slicer's
    packages and libraries.
    """
    return {name: value for name, value in environment.items() if name not in _OF_SLICER}


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        text: for people.
        share: of the stage, 0 to 1; None where that is not known.
    """

    text: str
    share: float | None = None


def progress_of(line: str) -> Progress | None:
    """What a line on stderr says of the progress; None where it says nothing of it."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    if not isinstance(event, dict) or event.get("event") not in ("stage", "progress"):
        return None
    text = STAGES.get(str(event.get("stage")), str(event.get("stage")))
    if event["event"] == "stage" or not event.get("total"):
        return Progress(text)
    left = event.get("seconds_left")
    more = f", {left:.0f} s left" if isinstance(left, (int, float)) else ""
    return Progress(text + more, event.get("done", 0) / event["total"])


@dataclass(frozen=True)
class Layer:
    """An image to be loaded.

    Attributes:
        name: for people.
        path: NIfTI file.
        kind: ``volume`` or ``segmentation``.
        colour: of a segmentation, red, green and blue from 0 to 1.
        span: of a volume, the values at both ends of the colours.
        lowest: of a volume, what is below it is not shown.
    """

    name: str
    path: str
    kind: str
    colour: tuple[float, float, float] | None = None
    span: tuple[float, float] | None = None
    lowest: float | None = None


@dataclass(frozen=True)
class RunResult:
    """What a run found.

    Attributes:
        layers: to be loaded, the map first.
        summary: one line for people.
        warnings: of the report.
        report: the page, to be opened in a browser; empty where there is none.
    """

    layers: tuple[Layer, ...]
    summary: str
    warnings: tuple[str, ...]
    report: str


def result_of(return_code: int, stdout: str, stderr: str) -> RunResult:
    """Read what a finished run printed.

    Raises:
        RunError: it failed, or printed something else.
    """
    try:
        content = json.loads(stdout)
    except ValueError:
        content = None
    if return_code != 0 or not isinstance(content, dict) or "files" not in content:
        error = content.get("error") if isinstance(content, dict) else None
        code = content.get("code") if isinstance(content, dict) else None
        raise RunError(error or _last_words(stderr, return_code), return_code, code)
    return RunResult(
        _layers(content),
        _summary(content),
        tuple(content.get("warnings", ())),
        content["files"].get("report.html", ""),
    )


def _last_words(stderr: str, return_code: int) -> str:
    """What stderr ends with, as a text."""
    lines = []
    for line in stderr.strip().splitlines()[-_MOST_LINES:]:
        try:
            lines.append(str(json.loads(line)["message"]))
        except (ValueError, KeyError, TypeError):
            lines.append(line)
    return lines[-1] if lines else f"mmccd ended with exit code {return_code} and said nothing"


def _layers(content: Mapping[str, Any]) -> tuple[Layer, ...]:
    files, threshold = content["files"], float(content["threshold"])
    top = max(_largest(files), threshold)
    known = {
        # As on the report's page: coloured from three quarters of the threshold on.
        "anomaly_map.nii.gz": Layer(
            "Anomaly map", "", "volume", span=(0.0, top), lowest=threshold * 0.75
        ),
        "segmentation.nii.gz": Layer("Anomaly", "", "segmentation", (0.0, 213 / 255, 1.0)),
        "brain_mask.nii.gz": Layer("Brain", "", "segmentation", (152 / 255, 164 / 255, 176 / 255)),
    }
    return tuple(
        Layer(one.name, files[name], one.kind, one.colour, one.span, one.lowest)
        for name, one in known.items()
        if name in files
    )


def _largest(files: Mapping[str, str]) -> float:
    """The map's largest value; 0 where the report does not say."""
    try:
        return float(json.loads(Path(files["report.json"]).read_text())["map"]["max"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0


def _summary(content: Mapping[str, Any]) -> str:
    volumes = content["volumes_ml"]
    return (
        f"{volumes['anomalous']:.1f} mL of {volumes['brain']:.0f} mL brain above the threshold"
        f" {content['threshold']:.4g}. {content.get('notice', '')}".strip()
    )


class Running:
    """A run that is under way. Whoever has it asks :meth:`poll` now and then.

    Args:
        words: see :func:`command`.
        environment: see :func:`clean_environment`.

    Raises:
        RunError: the program cannot be started.
    """

    def __init__(self, words: list[str], environment: Mapping[str, str] | None = None) -> None:
        # Files, not pipes: a pipe that nobody empties stops the program.
        self._folder = Path(tempfile.mkdtemp(prefix="mmccd-"))
        self._out, self._err = self._folder / "stdout", self._folder / "stderr"
        self._seen = 0
        self.progress = Progress("starting")
        try:
            with self._out.open("wb") as out, self._err.open("wb") as err:
                self._process = subprocess.Popen(
                    words,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    env=clean_environment(os.environ if environment is None else environment),
                )
        except OSError as error:
            self._clear()
            raise RunError(f"{words[0]}: cannot be started ({error.strerror or error})") from error

    def poll(self) -> RunResult | None:
        """What the run found, once it is over; None before, with :attr:`progress` renewed.

        Raises:
            RunError: it failed, or was ended.
        """
        if not self._folder.exists():
            raise RunError("the run was ended", self._process.poll())
        code = self._process.poll()
        stderr = _content(self._err)
        for line in stderr[self._seen :].splitlines():
            self.progress = progress_of(line) or self.progress
        self._seen = stderr.rfind("\n") + 1
        if code is None:
            return None
        stdout = _content(self._out)
        self._clear()
        return result_of(code, stdout, stderr)

    def cancel(self) -> None:
        """End the run, if it is under way; it leaves nothing half-written."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._clear()

    def _clear(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


def _content(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace")
