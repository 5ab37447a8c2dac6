"""mmccd.brain.extractors: the registry."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from mmccd.brain.extractors import EXTRACTORS, OWN, extractor_names, find_extractor
from mmccd.core.errors import UsageError


def test_names() -> None:
    assert extractor_names() == tuple(EXTRACTORS)
    assert extractor_names()[0] == OWN


def test_names_load_nothing_heavy() -> None:
    code = (
        "import sys; from mmccd.brain import extractor_names; extractor_names();"
        " print([name for name in ('torch', 'monai', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", extractor_names())
def test_each_module_offers_what_the_registry_promises(name: str) -> None:
    module = import_module(EXTRACTORS[name].module)
    assert callable(module.check_installed)
    assert callable(module.make)


def test_an_unknown_one() -> None:
    with pytest.raises(UsageError, match="--extractor bet: unknown; expected one of mmccd, hd-bet"):
        find_extractor("bet")


def test_what_it_needs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match="pip install hd-bet") as caught:
        find_extractor("hd-bet")
    assert caught.value.code == "usage.extractor_not_installed"
