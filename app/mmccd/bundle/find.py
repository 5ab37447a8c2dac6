"""Where the bundles are."""

from __future__ import annotations

import importlib.resources
import os
from pathlib import Path

from mmccd.core import ModelError

FORWARD = "forward_masked_diffusion"
BACKWARD = "backward_translator"
BRAIN = "brain_extraction"
MODEL_PATH_VARIABLE = "HOLOSCAN_MODEL_PATH"


def find_bundles(given: str | Path | None = None) -> Path:
    """The folder that holds both bundles: ``--bundles``, else HOLOSCAN_MODEL_PATH, else what is
    installed with the package.

    Raises:
        ModelError: a bundle is not there.
    """
    variable = os.environ.get(MODEL_PATH_VARIABLE)
    if given is not None:
        root = Path(given)
    elif variable:
        root = Path(variable)
    else:
        root = Path(str(importlib.resources.files("mmccd.bundles")))
    for name in (FORWARD, BACKWARD):
        if not (root / name / "configs").is_dir():
            raise ModelError(
                f"{root / name}: no such bundle; expected a folder with {FORWARD} and {BACKWARD};"
                " give it with --bundles"
            )
    return root


def find_part(name: str, given: str | Path | None = None) -> Path:
    """A folder that other bundles need not have of their own: that of the given bundles or of
    HOLOSCAN_MODEL_PATH, else the installed one.

    Args:
        name: path below the folder of the bundles.
        given: folder of the bundles.
    """
    for root in (given, os.environ.get(MODEL_PATH_VARIABLE)):
        if root and (Path(root) / name).exists():
            return Path(root) / name
    return Path(str(importlib.resources.files("mmccd.bundles"))) / name
