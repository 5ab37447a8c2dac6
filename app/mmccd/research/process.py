"""One training as a process of its own: watched, logged, and ended with us."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from mmccd.core import Console, MmccdError, OutputError, error_class, make_folder

_ERROR = re.compile(r"[\w.]*(Error|Exception|Interrupt): ")
"""The line of a traceback that says what happened."""
_LOOK_S = 1.0
_END_S = 60.0
"""How long a training that was told to end may take."""


def run_training(
    words: Sequence[str], folder: Path, log: Path, record: Path, epochs: int, console: Console
) -> None:
    """Run a training and tell how far it is.

    Args:
        words: command line.
        folder: where it runs.
        log: gets what it says, behind what is there.
        record: ``training.json``, which it writes after each epoch.
        epochs: in all.
        console: is told the epochs that are done.

    Raises:
        MmccdError: the training failed, with its own last line and exit code.
        KeyboardInterrupt, CancelledError: from outside; the training has ended.
    """
    make_folder(log.parent)
    try:
        said = log.open("a", encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"{log}: cannot be written ({error.strerror}); free some space"
        ) from error
    with said:
        start = said.tell()
        # Its own group: Ctrl-C reaches us alone, and we end it in an orderly way.
        process = subprocess.Popen(
            list(words),
            cwd=folder,
            env={"MLFLOW_DISABLE_TELEMETRY": "true", **os.environ},
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            while process.poll() is None:
                console.progress(min(epochs_done(record), epochs), epochs)
                time.sleep(_LOOK_S)
        finally:
            _end(process)
    if process.returncode:
        raise _failure(process.returncode, log, start)
    console.progress(epochs, epochs)


def epochs_done(record: Path) -> int:
    """Epochs of a training by its record; 0 where there is none."""
    try:
        return int(json.loads(record.read_text(encoding="utf-8"))["epochs"])
    except (OSError, ValueError, LookupError, TypeError):
        return 0


def _end(process: subprocess.Popen[bytes]) -> None:
    """Nothing goes on when we stop: processes of torchrun neither."""
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _failure(code: int, log: Path, start: int) -> MmccdError:
    with log.open(encoding="utf-8", errors="replace") as file:
        file.seek(start)
        lines = [line.strip() for line in file if line.strip()]
    errors = [line for line in lines if _ERROR.match(line)]
    last = (errors or lines or ["it said nothing"])[-1][:300]
    kind = error_class(code) if code > 0 else MmccdError
    return kind(f"training failed (exit {code}): {last}; all that it said: {log}", "study.training")
