"""Starts the working process, watches it, and keeps the status file: time-outs, SIGTERM,
crashes.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmccd.apps.map.status import DONE, FAILED, RUNNING, WAITING, RunStatus, StudyStatus
from mmccd.apps.map.studies import Study
from mmccd.core import MmccdError, Settings
from mmccd.outputs import MARKER, STAGING, remove_results

logger = logging.getLogger(__name__)

HEARTBEAT_S = 15.0
"""The status file is written at least so often, so that who watches it sees that the run lives."""
_TICK_S = 0.5


@dataclass(frozen=True)
class Plan:
    """What has to be done.

    Attributes:
        studies: all of them.
        outputs: folder of each.
        folder: the output folder, which holds the status file.
        models: folder of the bundles, or None.
        settings: of the run.
    """

    studies: list[Study]
    outputs: list[Path]
    folder: Path
    models: Path | None
    settings: Settings

    def line(self, indices: list[int]) -> str:
        """The plan for a worker that does some of the studies."""
        return json.dumps(
            {
                "indices": indices,
                "studies": [self.studies[index].as_dict() for index in indices],
                "outputs": [str(self.outputs[index]) for index in indices],
                "models": str(self.models) if self.models else None,
                "settings": self.settings.model_dump(mode="json"),
            }
        )


class Supervisor:
    """Runs workers until no study is waiting.

    A study that takes too long is ended with its worker, and a new worker goes on with the others.
    The same where a worker dies.

    Args:
        plan: what to do.
        status: kept up to date, and written.
    """

    def __init__(self, plan: Plan, status: RunStatus) -> None:
        self.plan, self.status = plan, status
        self._written = 0.0
        self._began = 0.0
        self._current: int | None = None

    def run(self) -> None:
        """Work through all studies.

        Raises:
            MmccdError: something that ends the whole run.
        """
        while waiting := [
            index for index, study in enumerate(self.status.studies) if study.state == WAITING
        ]:
            with self._worker(waiting) as process:
                self._follow(process)
            if all(self.status.studies[index].state == WAITING for index in waiting):
                raise MmccdError(
                    f"the working process ended before it began (exit code {process.returncode});"
                    " see the lines above"
                )

    @contextlib.contextmanager
    def _worker(self, indices: list[int]) -> Iterator[subprocess.Popen[bytes]]:
        """A working process, which is gone when the block ends, and whatever it left unfinished is
        removed.
        """
        command = [sys.executable, "-m", "mmccd.apps.map.worker"]
        # MONAI asks for the name of the user, whom a container need not know.
        environment = {"HOLOSCAN_LOG_LEVEL": "ERROR", "USER": "mmccd", **os.environ}
        environment.pop(
            "HOLOSCAN_CONFIG_PATH", None
        )  # read by us, and Holoscan refuses a path at which nothing is mounted
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            bufsize=0,
            env=environment,
        )
        try:
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(self.plan.line(indices).encode() + b"\n")
            yield process
        finally:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()
            if self._current is not None:
                remove_unfinished(self.plan.outputs[self._current], self.plan.folder)
                self._current = None

    def _follow(self, process: subprocess.Popen[bytes]) -> None:
        """Take events until the worker has ended or its study has taken too long."""
        assert process.stdout is not None
        rest = b""
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while True:
                if selector.select(_TICK_S):
                    chunk = os.read(process.stdout.fileno(), 65536)
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        self._take(json.loads(line))
                    if not chunk:
                        self._bury(process.wait())
                        return
                if self._late():
                    return
                if time.monotonic() - self._written > HEARTBEAT_S:
                    self._write()

    def _take(self, event: dict[str, Any]) -> None:
        """Note an event of the worker (see :data:`mmccd.apps.map.stages.Report`)."""
        if event["event"] == "fatal":
            error = MmccdError(event["message"])
            error.exit_code = event["exit_code"]
            raise error
        study = self.status.studies[event["study"]]
        if event["event"] == "start":
            study.state, self._began, self._current = RUNNING, time.monotonic(), event["study"]
            logger.info(
                "begins (%d of %d, %s)",
                event["study"] + 1,
                len(self.status.studies),
                study.kind,
                extra={"study": study.name},
            )
        elif event["event"] == "stage":
            study.stage = event["stage"]
        else:
            code = event["exit_code"]
            study.timings_s, study.memory_mib = event["timings_s"], event["memory_mib"]
            study.result, study.warnings = event.get("result"), event.get("warnings", [])
            self._end(study, code, event.get("message"))
            self._current = None
        self._write()

    def _end(self, study: StudyStatus, code: int, message: str | None) -> None:
        """A study has ended."""
        study.state, study.exit_code, study.message = (FAILED if code else DONE), code, message
        extra = {
            "study": study.name,
            "stage": study.stage,
            "exit_code": code,
            "seconds": round(time.monotonic() - self._began, 1),
        }
        for warning in study.warnings:
            logger.warning("%s", warning, extra={"study": study.name})
        if code:
            logger.error("%s (exit code %d)", message, code, extra=extra)
        else:
            logger.info("done in %.1f s", extra["seconds"], extra=extra)

    def _late(self) -> bool:
        """Whether the study at work has taken too long; it is then over."""
        limit = self.plan.settings.timeout_s
        if self._current is None or not limit or time.monotonic() - self._began < limit:
            return False
        study = self.status.studies[self._current]
        self._end(
            study,
            7,
            f"took longer than {limit:g} s, in the stage {study.stage}; raise MMCCD_TIMEOUT_S, or"
            " take a GPU or a quicker preset",
        )
        return True

    def _bury(self, code: int) -> None:
        """The worker has ended by itself: after the last study, or in the middle of one."""
        if self._current is None:
            return
        study = self.status.studies[self._current]
        killed = code == -signal.SIGKILL
        reason = (
            "probably for want of memory; give it more, or a smaller volume"
            if killed
            else "please report it"
        )
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        self._end(
            study,
            7 if killed else 1,
            f"the working process ended by {name} in the stage {study.stage}; {reason}",
        )

    def _write(self) -> None:
        self._written = time.monotonic()
        self.status.write(self.plan.folder)


def remove_unfinished(output: Path, folder: Path) -> None:
    """Take away what a study left behind that was ended in the middle: its staging folder; files
    without ``report.json``; its folder, if that is empty.

    Args:
        output: folder of the study.
        folder: the whole output folder, which stays.
    """
    if not output.is_dir():
        return
    shutil.rmtree(output / STAGING, ignore_errors=True)
    if not (output / MARKER).exists():
        with contextlib.suppress(OSError):
            remove_results(output)
    if output != folder:
        with contextlib.suppress(OSError):
            output.rmdir()
