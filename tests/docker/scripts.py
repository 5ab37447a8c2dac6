"""Scripts of docker/ as modules."""

from __future__ import annotations

from types import ModuleType

from tests.conftest import PROJECT
from tests.scripts import load_script


def load(name: str) -> ModuleType:
    """A script; its name as a module does not clash with one of the same name elsewhere.

    Args:
        name: below docker/, without ``.py``.
    """
    path = PROJECT / "docker" / f"{name}.py"
    return load_script(path, f"docker_{path.stem}")
