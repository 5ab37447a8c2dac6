"""mmccd.io.dicom.elements: reading without complaints, in several threads at once."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from pydicom import config

from mmccd.io.dicom.elements import Unvalidated

SETTING = "writing_validation_mode"


@pytest.fixture(autouse=True)
def warned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config.settings, SETTING, config.WARN)


def test_off_inside_and_as_it_was_outside() -> None:
    unvalidated = Unvalidated(SETTING)
    with pytest.raises(ValueError), unvalidated():
        assert config.settings.writing_validation_mode == config.IGNORE
        raise ValueError
    assert config.settings.writing_validation_mode == config.WARN


def test_whoever_came_first_may_leave_first() -> None:
    """As threads do: the second one found the setting already changed."""
    unvalidated = Unvalidated(SETTING)
    first, second = ExitStack(), ExitStack()
    first.enter_context(unvalidated())
    second.enter_context(unvalidated())
    first.close()
    assert config.settings.writing_validation_mode == config.IGNORE, "the second is at work"
    second.close()
    assert config.settings.writing_validation_mode == config.WARN
