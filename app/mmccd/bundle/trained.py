"""Networks with the weights of a training run."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from mmccd.core import InputError, first_line
from mmccd.io import load_tensors


def load_trained(
    network: nn.Module, weights: str | Path | None, device: torch.device
) -> nn.Module | None:
    """A network with trained weights, in evaluation mode: g for the validation of the whole cycle,
    or what ``evaluate.json`` measures.

    Args:
        network: network of the weights' architecture.
        weights: training checkpoint (``best.pt``, or the averaged weights of ``last.pt``) or
            exported weights; None gives None.
        device: where it goes.

    Raises:
        InputError: the weights are missing or belong to another network.
    """
    if weights is None:
        return None
    content = load_tensors(weights)
    try:
        network.load_state_dict(content.get("averaged", content.get("network", content)))
    except (RuntimeError, TypeError, AttributeError) as error:
        raise InputError(
            f"{weights}: does not fit to the network ({first_line(error)}); expected a checkpoint"
            " of that bundle",
            code="checkpoint.damaged",
        ) from error
    return network.to(device).eval()
