"""Scripts of docker/ as modules: they are no package."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

from tests.conftest import PROJECT


def load(name: str) -> ModuleType:
    """A script.

    Args:
        name: below docker/, without ``.py``; scripts beside it can be imported by it.
    """
    path = PROJECT / "docker" / f"{name}.py"
    short = f"docker_{path.stem}"
    spec = importlib.util.spec_from_file_location(short, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[short] = module
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
    return module
