"""mmccd.apps.serve.store: whose the folder is."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmccd.apps.serve.store import Store
from mmccd.core import UsageError


def test_one_server_at_a_time(tmp_path: Path) -> None:
    one, other = Store(tmp_path / "folder"), Store(tmp_path / "folder")
    one.open()
    with pytest.raises(UsageError, match="another 'mmccd serve' is at work .*another --folder"):
        other.open()
    one.close()
    other.open()
    other.close()
