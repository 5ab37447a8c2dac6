"""``mmccd export``."""

from __future__ import annotations

from typing import Annotated

from mmccd.apps.cli.say import say
from mmccd.core import Setting

Checkpoint = Annotated[str, Setting("best.pt or last.pt of a training run", is_path=True)]
Bundle = Annotated[str, Setting("folder of the bundle", is_path=True)]
Research = Annotated[
    bool,
    Setting(
        "write models/research/SOURCE_TARGET.pt, which is not part of the package, instead of"
        " models/model.pt"
    ),
]
Force = Annotated[bool, Setting("replace weights and model card that are there")]


def export(
    checkpoint: Checkpoint, bundle: Bundle, research: Research = False, force: Force = False
) -> None:
    """Turn a training checkpoint into the float16 weights of a bundle, with their card and model
    card, which say what the checkpoint says of its training.

    Examples:
        mmccd export runs/flair_t2/best.pt bundles/forward_masked_diffusion
    """
    from mmccd.bundle import export_weights

    path = export_weights(checkpoint, bundle, research, force)
    say(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")
