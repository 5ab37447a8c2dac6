"""Label slices and real pairs of a few made-up brains, and a trainer that is done in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tests.conftest import TINY
from tests.training.slices import healthy_slices

from mmccd.imaging import Draws
from mmccd.phantom.label_slices import NUMBER
from mmccd.phantom.scan_slices import HIGHEST as SCAN_HIGHEST, LOWEST as SCAN_LOWEST
from mmccd.training.cycle.pack import to_bytes
from mmccd.training.cycle.pairs import HealthyPairs
from mmccd.training.cycle.trainer import CycleTrainer, Recipe

NETWORK: dict[str, Any] = TINY


def label_slices(count: int) -> NDArray[np.uint8]:
    """Classes ``(slices, 2, 256, 256)``: nested discs of random sizes."""
    random = np.random.default_rng(0)
    rows, columns = np.ogrid[-127.5:128, -127.5:128]
    made = np.zeros((count, 2, 256, 256), dtype=np.uint8)
    for one in made:
        stretch, radius = random.uniform(0.8, 1.2), random.uniform(70, 100)
        distance = np.sqrt((rows * stretch) ** 2 + columns**2)
        for share, name in ((1, "fluid"), (0.95, "grey"), (0.8, "white"), (0.2, "ventricle")):
            one[:, distance < share * radius] = NUMBER[name]
    return made


def scan_slices(count: int) -> NDArray[np.uint8]:
    """Levels and kinds ``(slices, 2, 128, 128)``: discs of white matter in grey matter."""
    rows, columns = np.ogrid[-63.5:64, -63.5:64]
    distance = np.sqrt(rows**2 + columns**2)
    made = np.zeros((count, 2, 128, 128), dtype=np.uint8)
    for radius, level in ((40, 0.0), (32, 1.0)):
        value = round((level - SCAN_LOWEST) / (SCAN_HIGHEST - SCAN_LOWEST) * 254 + 1)
        made[:, 0, distance < radius] = value
    return made


def real_pairs(count: int) -> dict[str, NDArray[Any]]:
    """Bytes as a pack of real cases has them; y is the negative of x."""
    image, brain = healthy_slices(count)
    return {
        "source": to_bytes(image, brain),
        "target": to_bytes(-image, brain),
        "case": np.zeros(count, dtype=np.int32),
    }


def trainer(folder: Path, through: torch.nn.Module | None = None, **settings: Any) -> CycleTrainer:
    """A trainer of tiny networks with pairs of its own."""
    recipe = Recipe(**{"network": NETWORK, "batch_size": 2, "real_share": 0.5, **settings})
    draws = Draws(recipe.seed)
    pairs = HealthyPairs(
        [label_slices(4)], real_pairs(3), recipe.real_share, recipe.source, recipe.target, draws
    )
    made = CycleTrainer(recipe, pairs, draws, folder)
    if through is not None:
        made.go_through(through)
    return made
