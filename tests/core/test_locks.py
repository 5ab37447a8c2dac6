"""mmccd.core.locks: who works with a folder."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from mmccd.core import OutputError, UsageError, lock_folder


def test_one_at_a_time(tmp_path: Path) -> None:
    held = lock_folder(tmp_path, "service", "end it")
    with pytest.raises(UsageError) as caught:
        lock_folder(tmp_path, "service", "end it")
    assert str(caught.value) == f"{tmp_path}: another service is at work with it; end it"
    held.close()
    lock_folder(tmp_path, "service", "end it").close()


def test_patience_with_one_that_is_about_to_end(tmp_path: Path) -> None:
    held = lock_folder(tmp_path, "service", "end it")
    ending = threading.Timer(0.3, held.close)
    ending.start()
    lock_folder(tmp_path, "service", "end it", patience_s=30).close()
    ending.join()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / ".lock").mkdir()
    with pytest.raises(OutputError, match="cannot be written .*; give another") as caught:
        lock_folder(tmp_path, "service", "end it", "give another")
    assert caught.value.code == "output.not_writable"
