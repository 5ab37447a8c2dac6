"""mmccd.apps.map.runtime: the library is taken from the system, or from the wheel."""

from __future__ import annotations

import ctypes
from pathlib import Path
from types import SimpleNamespace

import pytest

from mmccd.apps.map import runtime


def test_from_the_wheel_where_the_system_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "cu13" / "lib" / runtime.LIBRARY
    library.parent.mkdir(parents=True)
    library.touch()
    loaded: list[str] = []

    def load(name: str, mode: int) -> None:
        if name == runtime.LIBRARY:
            raise OSError(name)
        loaded.append(name)

    monkeypatch.setattr(ctypes, "CDLL", load)
    monkeypatch.setattr(
        runtime.importlib.util,
        "find_spec",
        lambda name: SimpleNamespace(submodule_search_locations=[str(tmp_path)]),
    )
    assert runtime.load_cuda_runtime() == library
    assert loaded == [str(library)]


def test_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, mode: int) -> None:
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    monkeypatch.setattr(runtime.importlib.util, "find_spec", lambda name: None)
    assert runtime.load_cuda_runtime() is None
