"""Seconds of phases, and their table."""

from __future__ import annotations

import pytest

from mmccd.core import phases
from mmccd.core.phases import PHASES, PhaseClock, phase_table


def test_laps_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([10.0, 11.0, 14.0, 14.5, 20.0, 21.0])
    monkeypatch.setattr(phases.time, "monotonic", lambda: next(times))
    clock = PhaseClock()
    clock.lap("read")
    clock.lap("load")
    clock.lap("read")
    clock.skip({"brain": 2.0, "cycle": 3.0})
    clock.lap("write")
    assert clock.seconds == {"read": 1.5, "load": 3.0, "brain": 2.0, "cycle": 3.0, "write": 1.0}


def test_table() -> None:
    text = phase_table({"read": 1.0, "cycle": 6.0, "load": 2.0, "write": 1.0, "unknown": 5.0})
    lines = text.splitlines()
    assert [line.split()[-1] for line in lines[1:5]] == ["10%", "20%", "60%", "10%"]
    assert [PHASES[name] in line for name, line in zip(("read", "load"), lines[1:], strict=False)]
    assert lines[-2].split() == ["together", "10.00"]
    assert lines[-1].startswith("of that before scoring")
    assert lines[-1].split()[-2:] == ["3.00", "30%"]


def test_a_run_without_scoring_has_no_line_for_it() -> None:
    assert phase_table({"read": 0.0}).splitlines()[-1].split() == ["together", "0.00"]
