"""Few contrasts: two thousand take seconds to draw."""

from __future__ import annotations

import pytest

from mmccd.training.cycle import pairs


@pytest.fixture(autouse=True)
def few_contrasts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "CONTRAST_POOL", 16)
