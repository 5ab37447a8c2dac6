"""The methods by their names. Nothing heavy is imported before a method is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmccd.methods.base import Method

_METHODS = {
    "ae": "mmccd.methods.ae:Autoencoder",
    "vae": "mmccd.methods.vae:VariationalAutoencoder",
    "dae": "mmccd.methods.dae:DenoisingAutoencoder",
    "ddpm": "mmccd.methods.ddpm:Diffusion",
    "cyclic_unet": "mmccd.methods.cyclic_unet:CyclicUNet",
    "masked_translation": "mmccd.methods.masked_translation:MaskedTranslation",
    "mmccd": "mmccd.methods.mmccd.method:MaskedCycle",
    "mmccd_decision": "mmccd.methods.mmccd.decided:DecidedCycle",
    "constant": "mmccd.methods.constant:Constant",
    "intensity": "mmccd.methods.intensity:Intensity",
    "histogram": "mmccd.methods.histogram:Histogram",
    "rule": "mmccd.methods.rule:Rule",
}
"""Module and class, in the order of the paper's table, with the plain rules behind."""


def method_names() -> tuple[str, ...]:
    """All methods."""
    return tuple(_METHODS)


def register_method(name: str, where: str) -> None:
    """Add a method.

    Args:
        name: as it is asked for.
        where: ``"module:Class"``, a :class:`~mmccd.methods.Method`; imported when it is used.

    Raises:
        ValueError: the name is taken by another class.
    """
    if _METHODS.setdefault(name, where) != where:
        raise ValueError(f"{name!r} is taken by {_METHODS[name]}; choose another name")


def find_method(name: str) -> type[Method]:
    """The class of a method.

    Raises:
        KeyError: unknown.
    """
    module, _, kind = _METHODS[name].partition(":")
    found: type[Method] = getattr(import_module(module), kind)
    return found
