"""The words for how a case of a cohort stands, in the files and for people."""

from __future__ import annotations

SKIPPED, UNFINISHED = "skipped", "unfinished"
STATUSES = ("done", SKIPPED, "failed", UNFINISHED)
"""In the order in which they are counted."""
