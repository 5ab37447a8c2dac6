"""mmccd.methods.registry: names without weight, and methods that keep the contract."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields

import pytest

from mmccd.methods.base import Method
from mmccd.methods.registry import find_method, method_names, register_method


def test_names_import_nothing_heavy() -> None:
    code = (
        "import sys; from mmccd.methods import method_names; names = method_names();"
        " print(len(names), [m for m in ('torch', 'monai', 'numpy', 'scipy') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split(maxsplit=1) == [str(len(method_names())), "[]\n"]


@pytest.mark.parametrize("name", method_names())
def test_every_method_keeps_the_contract(name: str) -> None:
    kind = find_method(name)
    assert issubclass(kind, Method)
    assert kind.name == name
    assert kind.title
    made = kind()
    assert {type(getattr(made, field.name)) for field in fields(made)} <= {
        int,
        float,
        str,
        type(None),
    }
    assert {need.kind for need in kind.needs.values()} <= {"model", "run", "translator"}


def test_titles_are_different() -> None:
    assert len({find_method(name).title for name in method_names()}) == len(method_names())


def test_a_name_is_taken_once() -> None:
    register_method("rule", "mmccd.methods.rule:Rule")
    with pytest.raises(ValueError, match="'rule' is taken"):
        register_method("rule", "elsewhere:Rule")
    with pytest.raises(KeyError):
        find_method("cnn")
