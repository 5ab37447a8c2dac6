"""The browser of the report's tests."""

from __future__ import annotations

from tests.outputs.conftest import browser

__all__ = ["browser"]
