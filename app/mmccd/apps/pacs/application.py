"""``python app`` as a process of its own: its limits, its status file and its exit codes hold."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from mmccd.apps.map.status import NAME
from mmccd.apps.pacs.settings import PREFIX
from mmccd.core import MmccdError

_TICK_S = 0.5
_PATIENCE_S = 20.0
"""The application ends within a second or two of SIGTERM."""


def command(environment: Mapping[str, str]) -> list[str]:
    """The words that start the application: the container's (HOLOSCAN_APPLICATION), else the
    installed package's.
    """
    place = environment.get("HOLOSCAN_APPLICATION")
    return [sys.executable, place] if place else [sys.executable, "-m", "mmccd.apps.map.run"]


def own_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """What the application may know: not where the archive is, and no credentials."""
    return {name: value for name, value in environment.items() if not name.startswith(PREFIX)}


def run_application(source: Path, output: Path, beat: Callable[[], None]) -> None:
    """Run the application on a folder to its end. Its log lines join ours.

    Args:
        source: folder with one DICOM study.
        output: folder for the results.
        beat: called now and then.

    Raises:
        MmccdError: it failed; with its exit code and its message.
    """
    words = [*command(os.environ), "-i", str(source), "-o", str(output)]
    process = subprocess.Popen(
        words, env=own_variables(os.environ), stdin=subprocess.DEVNULL, start_new_session=True
    )
    try:
        while process.poll() is None:
            try:
                process.wait(_TICK_S)
            except subprocess.TimeoutExpired:
                beat()
    finally:
        _end(process)
    if process.returncode:
        error = MmccdError(
            _message(output)
            or f"the application ended with exit code {process.returncode}; see the lines above"
        )
        error.exit_code = {-signal.SIGKILL: 7}.get(process.returncode, max(1, process.returncode))
        raise error


def _end(process: subprocess.Popen[bytes]) -> None:
    """End it, if it has not ended."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _message(output: Path) -> str | None:
    """What the status file says about the failure; it has nothing of the patient."""
    try:
        content = json.loads((output / NAME).read_text())
        messages = [content["message"], *(study["message"] for study in content["studies"])]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return next((str(message) for message in messages if message), None)
