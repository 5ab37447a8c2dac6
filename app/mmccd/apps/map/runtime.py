"""CUDA's runtime library, which Holoscan needs even where no GPU is used."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
from pathlib import Path

LIBRARY = "libcudart.so.13"


def load_cuda_runtime() -> Path | None:
    """Load the library from the wheel ``nvidia-cuda-runtime`` where the system has none, so that
    Holoscan finds it loaded.

    Returns:
        The file that was loaded; None where the system has the library, or there is none (importing
        Holoscan then says so).
    """
    with contextlib.suppress(OSError):
        ctypes.CDLL(LIBRARY, mode=ctypes.RTLD_GLOBAL)
        return None
    found = importlib.util.find_spec("nvidia")
    for folder in (found.submodule_search_locations or []) if found else []:
        for path in sorted(Path(folder).glob(f"*/lib/{LIBRARY}")):
            with contextlib.suppress(OSError):
                ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
                return path
    return None
