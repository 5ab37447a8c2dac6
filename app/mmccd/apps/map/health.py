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


def given_up(folder: Path) -> int:
    """The number of studies that the service beside an archive has given up; 0 where there is no
    such service.

    Args:
        folder: its state folder.
    """
    try:
        counts = json.loads((folder / STATUS).read_text()).get("counts", {})
        return int(counts.get("given up", 0))
    except (OSError, ValueError, TypeError, AttributeError):
        return 0


def main() -> int:
    """0 for healthy, else 1. Studies that were given up are told, and make nobody unhealthy: a
    restart would not help them.
    """
    folder = Path(os.environ.get("HOLOSCAN_OUTPUT_PATH", DEFAULT_OUTPUT))
    healthy = is_healthy(folder, datetime.now(UTC))
    count = given_up(folder)
    more = f"; {count} studies were given up" if count else ""
    sys.stdout.write(f"{'alive' if healthy else 'silent'}{more}\n")
    return 0 if healthy else 1


if __name__ == "__main__":
    sys.exit(main())
