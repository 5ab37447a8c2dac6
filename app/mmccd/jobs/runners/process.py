"""The working process, as its parent sees it: lines of JSON in, lines of JSON out."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import psutil

_CHUNK = 65536


class WorkerProcess:
    """Starts :mod:`mmccd.jobs.runners.worker` in a session of its own. It holds the end of a pipe
    whose other end is ours alone, and ends, with all that it has started, when that is closed: by
    us, or by the system, however this process ends.

    Args:
        order: its first line, see there.
        environment: its variables.
        held: file descriptors that it keeps open for its life, such as that of a lock.
    """

    def __init__(
        self,
        order: Mapping[str, Any],
        environment: Mapping[str, str],
        held: Sequence[int] = (),
    ) -> None:
        theirs, self._life = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mmccd.jobs.runners.worker", str(theirs)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            bufsize=0,
            pass_fds=(theirs, *held),
            # MONAI asks for the name of the user, whom a container need not know.
            env={"USER": "mmccd", **environment},
        )
        os.close(theirs)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        self._rest = b""
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._out, selectors.EVENT_READ)
        self.send(order)

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    @property
    def memory_mib(self) -> float:
        """What it holds now, in MiB; 0 where it has ended."""
        try:
            return float(psutil.Process(self._process.pid).memory_info().rss / 2**20)
        except psutil.Error:
            return 0.0

    def send(self, content: Mapping[str, Any]) -> None:
        """Write a line; that it has ended is seen when it is read from."""
        line = json.dumps(content).encode() + b"\n"
        with contextlib.suppress(BrokenPipeError):
            while line:
                line = line[self._in.write(line) or 0 :]

    def events(self, seconds: float) -> tuple[list[dict[str, Any]], int | None]:
        """What it has told within so many seconds, and its exit code where it has ended (negative
        for a signal).
        """
        if not self._selector.select(seconds):
            return [], None
        chunk = os.read(self._out.fileno(), _CHUNK)
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        return [json.loads(line) for line in lines], None if chunk else self._process.wait()

    def end(self) -> None:
        """Kill it, and what it has started."""
        if self.is_alive:  # its number is its own, and that of its session
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        self._selector.close()
        for stream in (self._in, self._out):
            stream.close()
        os.close(self._life)
