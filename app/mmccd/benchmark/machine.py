"""The machine: what it is, how fast it multiplies matrices, how much memory was taken."""

from __future__ import annotations

import contextlib
import os
import platform
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import torch

from mmccd.models import has_fast_bf16, usable_cores

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def describe_machine(device: torch.device) -> dict[str, Any]:
    """Processor, cores, memory (GiB) and what of bf16 it has."""
    return {
        "processor": _processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "amx": bool(torch.cpu._is_amx_tile_supported()),
        "cores": usable_cores(),
        "threads": torch.get_num_threads(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "device": str(device),
        "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "bf16_in_hardware": has_fast_bf16(device),
        "load_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def _processor() -> str:
    """The model's name, where the system tells it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def matmul_gflops(
    device: torch.device, precision: str, size: int = 2048, repeats: int = 5
) -> float:
    """GFLOP/s of a product of square matrices: what the machine can do at best. The quickest of
    ``repeats``.
    """
    left, right = (torch.randn(size, size, device=device).to(_DTYPES[precision]) for _ in range(2))
    seconds = min(timed(lambda: left @ right, device)[0] for _ in range(repeats + 1))
    return 2 * size**3 / seconds / 1e9


def timed(function: Callable[[], Any], device: torch.device) -> tuple[float, Any]:
    """(seconds, result) of a call, the work it left on a GPU included."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    result = function()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start, result


def reset_peak_memory(device: torch.device) -> None:
    """Forget the peak so far, where that can be done (Linux, CUDA)."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        with contextlib.suppress(OSError):
            _CLEAR.write_text("5")


def peak_memory_gib(device: torch.device) -> float:
    """The largest memory that this process had since the last reset: on a GPU that of its tensors,
    else the resident set, in GiB.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    with contextlib.suppress(OSError, StopIteration):
        # Not ru_maxrss: a new process inherits that of the one that started it.
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 2**20
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
