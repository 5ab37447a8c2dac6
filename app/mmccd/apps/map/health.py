"""Whether a run lives: for a container's health check."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mmccd.jobs import STATUS, State

SILENCE = timedelta(seconds=120)
"""The status file is written every 15 s; a run that has been silent for so long is stuck."""
DEFAULT_OUTPUT = "/var/holoscan/output"


def is_healthy(folder: Path, time: datetime) -> bool:
    """Whether the status file in the output folder says that the run has ended, or was written
    lately.

    Args:
        folder: the output folder.
        time: now, with a time zone.
    """
    try:
        content = json.loads((folder / STATUS).read_text())
        updated = datetime.strptime(content["updated"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return bool(content.get("state") != State.RUNNING or time - updated < SILENCE)


def main() -> int:
    """0 for healthy, else 1."""
    return (
        0
        if is_healthy(
            Path(os.environ.get("HOLOSCAN_OUTPUT_PATH", DEFAULT_OUTPUT)), datetime.now(UTC)
        )
        else 1
    )


if __name__ == "__main__":
    sys.exit(main())
