"""mmccd.benchmark.machine: what the machine is, and how much memory was taken."""

from __future__ import annotations

import sys
import time

import pytest
import torch

from mmccd.benchmark.machine import (
    describe_machine,
    matmul_gflops,
    peak_memory_gib,
    reset_peak_memory,
    timed,
)

CPU = torch.device("cpu")


def test_machine() -> None:
    machine = describe_machine(CPU)
    assert machine["cores"] >= 1
    assert machine["threads"] == torch.get_num_threads()
    assert machine["memory_gib"] > 0.5
    assert machine["device"] == "cpu"
    assert machine["gpu"] is None
    assert isinstance(machine["processor"], str)


def test_matmul() -> None:
    assert 0.01 < matmul_gflops(CPU, "fp32", size=64, repeats=2) < 1e6


def test_timed() -> None:
    seconds, result = timed(lambda: time.sleep(0.02) or 7, CPU)
    assert result == 7
    assert 0.02 <= seconds < 5


@pytest.mark.skipif(sys.platform != "linux", reason="the peak can be reset on Linux only")
def test_peak_memory_is_that_since_the_reset() -> None:
    block = torch.ones(64 * 2**20)  # 256 MiB
    with_block = peak_memory_gib(CPU)
    assert with_block > 0.25
    del block
    reset_peak_memory(CPU)
    assert peak_memory_gib(CPU) < with_block - 0.2
