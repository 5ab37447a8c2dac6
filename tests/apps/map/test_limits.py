"""mmccd.apps.map.limits: when the stack's limit is raised."""

from __future__ import annotations

from resource import RLIM_INFINITY

import pytest

from mmccd.apps.map.limits import STACK_BYTES, new_soft_limit
from mmccd.core.errors import UsageError


@pytest.mark.parametrize(
    ("soft", "hard", "raised"),
    [
        (RLIM_INFINITY, RLIM_INFINITY, False),
        (STACK_BYTES, STACK_BYTES, False),
        (8 * 2**20, RLIM_INFINITY, True),
        (8 * 2**20, STACK_BYTES, True),
    ],
)
def test_raised(soft: int, hard: int, raised: bool) -> None:
    assert new_soft_limit(soft, hard) == raised


def test_too_low() -> None:
    with pytest.raises(UsageError, match="limited to 8 MiB; expected at least 32 MiB.*ulimit"):
        new_soft_limit(8 * 2**20, 8 * 2**20)
