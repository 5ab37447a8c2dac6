"""The errors a user can meet, one class per exit code.

Each message is one line that names the file, what was found, what was expected and the way out.
"""

from __future__ import annotations


class MmccdError(Exception):
    """Base of all errors that are reported as one line and an exit code, without a traceback.

    Args:
        text: the line.
        code: stable name of what went wrong (docs/checks.md lists them all); that of the class
            where there is none of its own. Programs read it, and never the text.
    """

    exit_code = 1
    code = "failed"

    def __init__(self, text: str = "", code: str | None = None) -> None:
        super().__init__(text)
        if code is not None:
            self.code = code


class UsageError(MmccdError):
    """The command line or an argument is wrong (exit code 2)."""

    exit_code = 2
    code = "usage"


class InputError(MmccdError):
    """An input is missing or cannot be read (exit code 3)."""

    exit_code = 3
    code = "input"


class UnsuitableInputError(MmccdError):
    """An input can be read but cannot be used for this purpose (exit code 4)."""

    exit_code = 4
    code = "unsuitable"


class OutputError(MmccdError):
    """An output cannot be written or is already there (exit code 5)."""

    exit_code = 5
    code = "output"


class ModelError(MmccdError):
    """A bundle, its weights or its calibration is missing, damaged or inconsistent (exit code
    6).
    """

    exit_code = 6
    code = "model"


class ResourceError(MmccdError):
    """Memory or time ran out (exit code 7)."""

    exit_code = 7
    code = "resource"


class CancelledError(MmccdError):
    """The run was ended from outside, by SIGTERM or a cancel callback (exit code 143 = 128 +
    SIGTERM).
    """

    exit_code = 143
    code = "cancelled"


SEVERITY: tuple[int, ...] = (1, 6, 7, 5, 3, 4, 0)
"""Exit codes from worst to best: of several inputs the worst one decides."""


def worst_exit_code(codes: list[int]) -> int:
    """The exit code of a run over several inputs.

    Args:
        codes: the exit code of each input, each a member of :data:`SEVERITY`.

    Returns:
        The first code of :data:`SEVERITY` that is in ``codes``; 0 for an empty list; the largest
        where none is (2 and 143 end a run at once).
    """
    return next((code for code in SEVERITY if code in codes), max(codes, default=0))


def error_class(exit_code: int) -> type[MmccdError]:
    """The class of an exit code; :class:`MmccdError` where none has it."""
    return next(
        (kind for kind in MmccdError.__subclasses__() if kind.exit_code == exit_code), MmccdError
    )


def first_line(error: BaseException) -> str:
    """The first line of an error's text, at most 120 characters; its class where it has no text."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
