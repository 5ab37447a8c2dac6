"""What a request is refused with: a status of HTTP, and an error of the house."""

from __future__ import annotations

from mmccd.core import MmccdError


class RequestError(Exception):
    """A request that is refused.

    Args:
        status: of HTTP.
        error: its exit code, stable code and line.
    """

    def __init__(self, status: int, error: MmccdError) -> None:
        super().__init__(str(error))
        self.status, self.error = status, error

    def content(self) -> dict[str, dict[str, str | int]]:
        """The body of the answer."""
        error = self.error
        return {
            "error": {
                "code": error.code,
                "exit_code": error.exit_code,
                "message": " ".join(str(error).split()),
            }
        }
