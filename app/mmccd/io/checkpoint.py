"""Files of tensors, read without running code."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from mmccd.core import InputError, first_line

_DAMAGE = (
    OSError,
    RuntimeError,
    EOFError,
    pickle.UnpicklingError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
)
"""What torch.load raises for files that are cut, empty or something else."""


def load_tensors(path: str | Path) -> dict[str, Any]:
    """A dictionary of tensors and plain values, on the CPU.

    Raises:
        InputError: the file is missing, damaged, or holds something else.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except _DAMAGE as error:
        raise InputError(
            f"{path}: cannot be read as a file of weights ({first_line(error)}); expected a"
            " checkpoint",
            code="checkpoint.damaged",
        ) from error
    if not isinstance(content, dict):
        raise InputError(
            f"{path}: holds a {type(content).__name__}, expected a dictionary of weights",
            code="checkpoint.damaged",
        )
    return content
