"""The presets' names, for whoever only has to list them: nothing heavy is imported here."""

from __future__ import annotations

import importlib.resources
import json
import os
from pathlib import Path

FILE = "forward_masked_diffusion/configs/cycle.json"


def preset_names(bundles: str | Path | None = None) -> tuple[str, ...]:
    """The presets' names, from the most exact to the quickest.

    Args:
        bundles: folder of the bundles; None for that of HOLOSCAN_MODEL_PATH or the installed one,
            which also serves where a folder's presets cannot be read (whoever loads it says why).
    """
    for root in (bundles, os.environ.get("HOLOSCAN_MODEL_PATH")):
        try:
            if root:
                return _names((Path(root) / FILE).read_text())
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return _names((importlib.resources.files("mmccd.bundles") / FILE).read_text())


def _names(text: str) -> tuple[str, ...]:
    return tuple(map(str, json.loads(text)["presets"]))
