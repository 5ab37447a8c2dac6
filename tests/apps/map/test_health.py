"""mmccd.apps.map.health: which status files are those of a living run."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mmccd.apps.map.health import is_healthy

NOON = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("state", "updated", "healthy"),
    [
        ("running", "2026-01-01T11:59:30Z", True),
        ("running", "2026-01-01T11:55:00Z", False),
        ("done", "2026-01-01T09:00:00Z", True),
        ("failed", "2026-01-01T09:00:00Z", True),
    ],
)
def test_by_state_and_time(tmp_path: Path, state: str, updated: str, healthy: bool) -> None:
    (tmp_path / "status.json").write_text(json.dumps({"state": state, "updated": updated}))
    assert is_healthy(tmp_path, NOON) == healthy


def test_none_or_damaged(tmp_path: Path) -> None:
    assert not is_healthy(tmp_path, NOON)
    (tmp_path / "status.json").write_text("{")
    assert not is_healthy(tmp_path, NOON)
