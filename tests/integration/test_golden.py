"""The same input gives the same map, segmentation and report as before: golden results of three
inputs and two presets.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.integration.golden import CASES, FILE, PRESETS, digest, machine, run_case

pytestmark = pytest.mark.slow

TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    return dict(json.loads(FILE.read_text()))


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("case", CASES)
def test_as_before(case: str, preset: str, golden: dict[str, Any], tmp_path: Path) -> None:
    if case == "lgg" and not os.environ.get("MMCCD_DATA"):
        pytest.skip("MMCCD_DATA is not set: no real data here")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        found = digest(*run_case(case, preset, tmp_path))
    finally:
        torch.set_num_threads(threads)
    wanted = golden["cases"][f"{case}/{preset}"]
    largest = float(wanted["report"]["map"]["max"])
    np.testing.assert_allclose(
        found["samples"], wanted["samples"], rtol=0, atol=TOLERANCE * largest
    )
    if machine() == golden["machine"]:
        assert found["hashes"] == wanted["hashes"]
    else:
        assert found["voxels"] == pytest.approx(wanted["voxels"], rel=1e-3, abs=2)
    _assert_contains(found["report"], wanted["report"], "report")


def _assert_contains(found: Any, wanted: Any, place: str) -> None:
    """What a reader of the golden report knows is there, unchanged; new entries may stand beside
    it.
    """
    if isinstance(wanted, dict):
        assert isinstance(found, dict), place
        for name, value in wanted.items():
            assert name in found, f"{place}: {name} is gone"
            _assert_contains(found[name], value, f"{place}.{name}")
    elif isinstance(wanted, list):
        assert isinstance(found, list), place
        assert len(found) == len(wanted), place
        for number, value in enumerate(wanted):
            _assert_contains(found[number], value, f"{place}[{number}]")
    elif isinstance(wanted, float):
        assert found == pytest.approx(wanted, rel=1e-4, abs=1e-6), place
    else:
        assert found == wanted, place
