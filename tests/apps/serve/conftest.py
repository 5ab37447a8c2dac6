"""The browser of the report's tests."""

from __future__ import annotations

from tests.outputs.report.conftest import browser

__all__ = ["browser"]
