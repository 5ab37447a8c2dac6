"""What a run by ``python -m monai.bundle run`` begins with: a config without slips, our log lines,
and errors as everywhere: one line and an exit code.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sys
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any

import torch
import torch.distributed as dist
from monai.bundle import ConfigParser, ReferenceResolver

from mmccd.bundle.configs import check_config
from mmccd.core import MmccdError, complain, first_line

DEBUG_VARIABLE = "MMCCD_DEBUG"
"""Where it is set, errors come with their traceback."""
_MONAI = "monai.bundle"
_NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC)


def begin_run() -> None:
    """First line of ``initialize`` in the configs of the bundles.

    MONAI hands no config to an expression in it, so it is looked for among the callers. In a
    process that is MONAI's program, and not somebody's notebook, errors become one line, and what
    the package logs is shown.

    Raises:
        UsageError: see :func:`~mmccd.bundle.configs.check_config`.
    """
    if _is_program():
        report_errors()
        _show_log()
    callers = list(_callers(sys._getframe()))
    parsers = [frame.f_locals.get("self") for frame in callers]
    parser = next((one for one in parsers if isinstance(one, ConfigParser)), None)
    if parser is not None:
        check_config(parser.get(), _files(callers))


def report_errors() -> None:
    """From now on what ends this process is one line on stderr, and its exit code."""
    sys.excepthook = _report


def _report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    text, code = describe(error)
    # torch.distributed lets a hook write into a buffer, which the exit below would lose.
    place = sys.__stderr__ if dist.is_available() and dist.is_initialized() else sys.stderr
    with contextlib.redirect_stderr(place):
        complain(" ".join(text.split()), code, error if os.environ.get(DEBUG_VARIABLE) else None)
    # The interpreter takes the code of a hook that ends so; by itself it would be 1.
    raise SystemExit(code)


def describe(error: BaseException) -> tuple[str, int]:
    """An error, in MONAI's wrappings, as one line and an exit code."""
    chain = list(_chain(error))
    ours = next((one for one in chain if isinstance(one, MmccdError)), None)
    if ours is not None:
        return str(ours), ours.exit_code
    if isinstance(error, KeyboardInterrupt):
        return "interrupted; the last whole epoch is kept", 130
    frames = list(_frames(error.__traceback__))
    name = _failed_name(frames)
    root = next((one for one in chain if not _is_wrapping(one)), chain[-1])
    place = ": ".join(filter(None, (_files(frames), name)))
    what = f"{place}: {type(root).__name__}: {first_line(root)}"
    if isinstance(root, MemoryError | torch.OutOfMemoryError):
        return f"{what}; out of memory: take a smaller --batch_size", 7
    if isinstance(root, OSError) and root.errno in _NOT_WRITABLE:
        return f"{what}; choose another output_dir or free some space", 5
    if isinstance(root, FileNotFoundError):
        return f"{what}; expected an existing file", 3
    if name.partition("#")[0] in ("run", "finalize") and _is_wrapping(error):
        return f"defect: {what}; please report it ({DEBUG_VARIABLE}=1 shows where)", 1
    return f"{what}; correct the setting ({DEBUG_VARIABLE}=1 shows where)", 2


def _is_wrapping(error: BaseException) -> bool:
    """Whether MONAI only says with it what it was about to build or to evaluate."""
    return isinstance(error, RuntimeError) and str(error).startswith("Failed to ")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, what caused it, and so on."""
    one: BaseException | None = error
    while one is not None:
        yield one
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)


def _frames(trace: TracebackType | None) -> Iterator[FrameType]:
    """From the program to what failed."""
    while trace is not None:
        yield trace.tb_frame
        trace = trace.tb_next


def _callers(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _failed_name(frames: list[FrameType]) -> str:
    """The name in the config that MONAI was about to build; empty where it was none."""
    names = [
        str(frame.f_locals["id"])
        for frame in frames
        if isinstance(frame.f_locals.get("self"), ReferenceResolver) and "id" in frame.f_locals
    ]
    return names[-1].replace(ReferenceResolver.sep, "#") if names else ""


def _files(frames: list[FrameType]) -> str:
    """The config files that MONAI was given."""
    for frame in frames:
        given: Any = frame.f_locals.get("config_file")
        if given and str(frame.f_globals.get("__name__", "")).startswith(_MONAI):
            return ", ".join(map(str, given)) if isinstance(given, list | tuple) else str(given)
    return "config"


def _is_program() -> bool:
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return spec is not None and spec.name == f"{_MONAI}.__main__"


def _show_log() -> None:
    """Show lines of the package, unless a ``logging.conf`` does."""
    ours = logging.getLogger("mmccd")
    ours.setLevel(logging.INFO)
    if not ours.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s - %(levelname)s - %(message)s"))
        ours.addHandler(handler)
    if not os.environ.get(DEBUG_VARIABLE):
        # MONAI's StatsHandler logs an error of a run with its traceback, to the root, and raises.
        logging.getLogger().addFilter(_without_trace)


def _without_trace(record: logging.LogRecord) -> bool:
    record.exc_info = None
    return True
