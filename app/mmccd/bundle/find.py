"""Where the bundles are."""

from __future__ import annotations

import importlib.resources
import logging
import os
from pathlib import Path

from mmccd.core import ModelError

FORWARD = "forward_masked_diffusion"
BACKWARD = "backward_translator"
BRAIN = "brain_extraction"
MODEL_PATH_VARIABLE = "HOLOSCAN_MODEL_PATH"
logger = logging.getLogger(__name__)


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
        root = _installed()
    for name in (FORWARD, BACKWARD):
        if not (root / name / "configs").is_dir():
            raise ModelError(
                f"{root / name}: no such bundle; expected a folder with {FORWARD} and {BACKWARD};"
                " give it with --bundles",
                code="bundle.missing",
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
    return _installed() / name


def bundles_beside(bundle: str | Path) -> Path:
    """Where a bundle finds f and g: the folder that it stands in where they are there, too, else
    as :func:`find_bundles`, for a bundle that was downloaded alone.
    """
    root = Path(bundle).resolve().parent
    complete = all((root / name / "configs").is_dir() for name in (FORWARD, BACKWARD))
    found = root if complete else find_bundles()
    logger.info("f and g are those of %s", found)
    return found


def find_bundle(root: Path, name: str) -> Path:
    """The bundle of the weights with that name: the folder ``NAME`` or ``NAME_ANYTHING``.

    Args:
        root: folder of the bundles.
        name: as a preset lists it, ``forward``, ``backward`` or another.

    Raises:
        ModelError: there is none, or several.
    """
    found = sorted(path for path in (root / name, *root.glob(f"{name}_*")) if path.is_dir())
    if len(found) != 1:
        raise ModelError(
            f"{root}: has {len(found)} bundles of the weights {name}, expected one folder {name} or"
            f" {name}_*; give other --bundles, or choose another --preset",
            code="bundle.several",
        )
    return found[0]


def is_installed(root: Path) -> bool:
    """Whether a folder of bundles is part of an installed package, where nothing is written; in a
    checkout it stands beside the package.
    """
    return (root.resolve().parent / "__init__.py").is_file()


def _installed() -> Path:
    return Path(str(importlib.resources.files("mmccd.bundles")))
