"""Python programs without the seconds that ``import torch`` and ``import monai`` take each time.

A server of :mod:`multiprocessing` imports them once and makes each program by a fork: a process of
its own, with its own words, folder, variables and exit code, whose modules are as they were after
their import. The Python programs that such a program starts are forked, too. What it takes to
start one anew is for tests that do so by :mod:`subprocess`.
"""

from __future__ import annotations

import atexit
import gc
import multiprocessing
import os
import resource
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

IMPORTED = [
    *("torch", "monai.bundle", "monai.engines", "mmccd.training", "mmccd.pipeline"),
    *("mmccd.apps.map.run", "mmccd.apps.map.operators"),
]
"""By the server, before its first program; what is not installed is left out."""
STACK_BYTES = 32 * 2**20
"""Of the threads of Holoscan: a process has it from its start on, and here that is the server's."""


def run_python(
    words: Sequence[str], cwd: Path, environment: Mapping[str, str], timeout_s: float = 300.0
) -> subprocess.CompletedProcess[str]:
    """Run a Python program to its end, as ``subprocess.run(..., capture_output=True)`` does.

    Args:
        words: behind ``python``: a path, or ``-m`` and a module, and the program's words.
        cwd: the folder it runs in.
        environment: all its variables. ``OMP_NUM_THREADS`` among them is heeded; a library that
            reads another one at its import has read that of the tests.
        timeout_s: until it is killed.

    Returns:
        Exit code (negative for a signal), stdout and stderr.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    with tempfile.TemporaryDirectory() as folder:
        said = [Path(folder, name) for name in ("stdout", "stderr")]
        arguments = (list(words), cwd, dict(environment), said)
        process = context.Process(target=_program, args=arguments)
        limits = resource.getrlimit(resource.RLIMIT_STACK)
        resource.setrlimit(resource.RLIMIT_STACK, (_enough(*limits), limits[1]))
        try:
            process.start()
        finally:
            resource.setrlimit(resource.RLIMIT_STACK, limits)
        process.join(timeout_s)
        if process.is_alive():
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(words, timeout_s, *(one.read_bytes() for one in said))
        assert process.exitcode is not None
        texts = [one.read_text() if one.exists() else "" for one in said]
    return subprocess.CompletedProcess(list(words), process.exitcode, *texts)


def _enough(soft: int, hard: int) -> int:
    if soft == resource.RLIM_INFINITY:
        return soft
    most = STACK_BYTES if hard == resource.RLIM_INFINITY else min(STACK_BYTES, hard)
    return max(soft, most)


def _program(
    words: list[str], cwd: Path, environment: Mapping[str, str], said: Sequence[Path]
) -> None:
    """Be a program, in a process that the server made."""
    for number, path in zip((1, 2), said, strict=True):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    os.chdir(cwd)
    subprocess.Popen = _forked  # type: ignore[assignment,misc]
    sys.exit(_be(words, environment))


_Popen = subprocess.Popen


def _forked(
    command: Sequence[str],
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    **more: Any,
) -> subprocess.Popen[Any]:
    """As :class:`subprocess.Popen`, but a Python program is run by the process that is forked for
    it.
    """
    if command[0] != sys.executable:
        return _Popen(command, env=env, pass_fds=pass_fds, **more)
    variables = dict(os.environ if env is None else env)

    def stay() -> None:
        try:
            _close_all_but(sorted({0, 1, 2, *pass_fds}))
            gc.enable()  # subprocess has switched it off
            atexit._clear()  # what who started it has to do at its own end
            signal.signal(signal.SIGPIPE, signal.SIG_IGN)
            for number in (signal.SIGTERM, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            code = _be(list(command[1:]), variables)
        except BaseException:
            code = 1
        os._exit(code)

    return _Popen(command, preexec_fn=stay, pass_fds=pass_fds, **more)  # noqa: PLW1509


def _close_all_but(kept: Sequence[int]) -> None:
    for one, other in zip(kept, [*kept[1:], os.sysconf("SC_OPEN_MAX")], strict=True):
        os.closerange(one + 1, other)


def _be(words: list[str], environment: Mapping[str, str]) -> int:
    """Be ``python`` with these words and variables; its exit code."""
    import torch

    os.environ.clear()
    os.environ.update(environment)
    torch.set_num_threads(int(environment.get("OMP_NUM_THREADS", torch.get_num_threads())))
    code: object = None
    try:
        if words[0] == "-m":
            sys.argv = words[1:]
            sys.path.insert(0, str(Path.cwd()))
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = words
            runpy.run_path(words[0], run_name="__main__")
    except SystemExit as end:
        code = end.code
    except BaseException:
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        code = 1
    if isinstance(code, str):
        sys.stderr.write(f"{code}\n")
        code = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return int(code or 0)  # type: ignore[call-overload,no-any-return]
