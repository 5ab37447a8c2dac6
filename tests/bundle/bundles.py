"""What the tests of mmccd.bundle share: a whole load, damage, one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.conftest import write_weights

from mmccd.bundle import BACKWARD, FORWARD, ModelSet, find_bundles, load_models
from mmccd.core.errors import MmccdError
from mmccd.models.networks import TranslationUNet

Networks = dict[str, TranslationUNet]


def load_everything(root: Path) -> ModelSet:
    """All that a run reads."""
    models = load_models(find_bundles(root))
    for weights in models.weights.values():
        weights.load_network()
    models.weights["forward"].load_scheduler()
    return models


def change(path: Path, **entries: Any) -> None:
    """Set entries of a JSON file; None removes one."""
    content = {**json.loads(path.read_text()), **entries}
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def assert_one_line(error: MmccdError, *parts: object) -> None:
    text = str(error)
    assert "\n" not in text
    for part in parts:
        assert str(part) in text


def add_t1(root: Path, networks: Networks, name: str) -> None:
    """Weights flair-t1, beside those that are there or (``model``) instead of them."""
    write_weights(root / FORWARD, networks[FORWARD], "flair", "t1", name)
    write_weights(root / BACKWARD, networks[BACKWARD], "t1", "flair", name)
