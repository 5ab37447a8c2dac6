"""The stack that Holoscan needs, and what it says of a smaller one."""

from __future__ import annotations

import os
import resource
import warnings

from mmccd.core import UsageError

STACK_BYTES = 32 * 2**20
_WARNING = "Current stack size"


def ignore_stack_warning() -> None:
    """Say nothing of a small stack, here and in processes that are started from here on.

    Where the MONAI Deploy App SDK is installed, every ``import monai`` loads Holoscan, which warns
    of it. Only a graph needs the stack, and the application that runs one checks it itself.
    """
    warnings.filterwarnings("ignore", _WARNING, RuntimeWarning)
    told = os.environ.get("PYTHONWARNINGS")
    rule = f"ignore:{_WARNING}:RuntimeWarning"
    os.environ["PYTHONWARNINGS"] = f"{told},{rule}" if told else rule


def raise_stack_limit() -> None:
    """Raise the soft limit of the stack to 32 MiB, for processes that are started from here on.

    Raises:
        UsageError: the hard limit is lower.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
    if not new_soft_limit(soft, hard):
        return
    try:
        resource.setrlimit(resource.RLIMIT_STACK, (STACK_BYTES, hard))
    except (ValueError, OSError) as error:
        raise _too_low(hard) from error


def new_soft_limit(soft: int, hard: int) -> bool:
    """Whether the soft limit has to be raised.

    Raises:
        UsageError: it has to, and the hard limit is lower.
    """
    if soft == resource.RLIM_INFINITY or soft >= STACK_BYTES:
        return False
    if hard != resource.RLIM_INFINITY and hard < STACK_BYTES:
        raise _too_low(hard)
    return True


def _too_low(hard: int) -> UsageError:
    return UsageError(
        f"the stack is limited to {hard / 2**20:.0f} MiB; expected at least"
        f" {STACK_BYTES / 2**20:.0f} MiB, which Holoscan needs; start with 'ulimit -s 32768' or"
        " 'docker run --ulimit stack=33554432'"
    )
