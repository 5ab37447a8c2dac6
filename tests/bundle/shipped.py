"""What the tests of the bundles that ship share: their names, and the product's own networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from mmccd.brain import BrainUNet
from mmccd.bundle import BACKWARD, FORWARD, list_weights, load_brain_weights
from mmccd.bundle.find import BRAIN

BUNDLES = (FORWARD, BACKWARD, "decision", BRAIN)
CHANNELS = {FORWARD: 2, BACKWARD: 1, "decision": 5, BRAIN: 3}


def product_network(root: Path, name: str) -> nn.Module:
    """The network that ``mmccd predict`` takes."""
    if name == BRAIN:
        return load_brain_weights(root).load(BrainUNet)
    return list_weights(root / name)[0].load_network()


def images(name: str, *shape: int, batch: int = 2) -> torch.Tensor:
    """Noise that a bundle's network takes."""
    generator = torch.Generator().manual_seed(3)
    return torch.randn(batch, CHANNELS[name], *(shape or (64, 64)), generator=generator)


def difference(one: Any, other: nn.Module, *inputs: torch.Tensor) -> float:
    """Largest absolute difference of two networks' outputs."""
    with torch.no_grad():
        return float((one(*inputs) - other(*inputs)).abs().max())
