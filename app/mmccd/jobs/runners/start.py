"""Starts the working process: its imports are made here, so that its exit code tells whether memory
ran out meanwhile.
"""

from __future__ import annotations

import sys

OUT_OF_MEMORY = 7
"""As :class:`~mmccd.core.ResourceError` has it, which is not imported yet."""


def main() -> int:
    """See :func:`mmccd.jobs.runners.worker.main`."""
    try:
        from mmccd.jobs.runners.worker import main as work
    except MemoryError:
        return OUT_OF_MEMORY
    except ImportError as error:  # of a library that finds no room
        if "memory" in str(error).lower() or "failed to map segment" in str(error):
            return OUT_OF_MEMORY
        raise
    return work()


if __name__ == "__main__":
    sys.exit(main())
