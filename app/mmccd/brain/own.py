"""Our own network as an extractor."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from mmccd.brain.extract import Extraction, extract_brain
from mmccd.brain.find import Extractor
from mmccd.core import Volume


def check_installed() -> None:
    """It needs nothing else."""


def make(network: Callable[[], nn.Module], device: torch.device) -> Extractor:
    """The extractor; see :class:`~mmccd.brain.extractors.ExtractorModule`."""

    def extract(volume: Volume) -> Extraction:
        return extract_brain(volume, network(), device)

    return extract
