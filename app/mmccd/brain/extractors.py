"""The extractors by name, without loading any of them: what there is, what it is called, what it
needs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from mmccd.core import UsageError

if TYPE_CHECKING:
    import torch
    from torch import nn

    from mmccd.brain.find import Extractor

OWN = "mmccd"


@dataclass(frozen=True)
class ExtractorEntry:
    """An extractor of the registry.

    Attributes:
        module: where its ``make`` and ``check_installed`` are (see :class:`ExtractorModule`).
        title: what it is called in sentences.
        needs: what has to be installed for it; empty where that is nothing.
    """

    module: str
    title: str
    needs: str = ""


EXTRACTORS: dict[str, ExtractorEntry] = {
    OWN: ExtractorEntry("mmccd.brain.own", "mmccd's own network"),
    "hd-bet": ExtractorEntry("mmccd.brain.hd_bet", "HD-BET", "HD-BET 2 (pip install hd-bet)"),
}


class ExtractorModule(Protocol):
    """What a module of the registry offers."""

    def check_installed(self) -> None:
        """Raise a UsageError where what it needs is not there."""

    def make(self, network: Callable[[], nn.Module], device: torch.device) -> Extractor:
        """The extractor.

        Args:
            network: loads our brain network, on the device; called where that is needed.
            device: where it runs.
        """


def extractor_names() -> tuple[str, ...]:
    """Names of all extractors, our own first."""
    return tuple(EXTRACTORS)


def find_extractor(name: str) -> ExtractorModule:
    """The module of an extractor that is there and can be used.

    Raises:
        UsageError: an unknown name, or what it needs is not installed.
    """
    if name not in EXTRACTORS:
        raise UsageError(
            f"--extractor {name}: unknown; expected one of {', '.join(EXTRACTORS)}",
            code="usage.extractor",
        )
    module = cast(ExtractorModule, import_module(EXTRACTORS[name].module))
    module.check_installed()
    return module
