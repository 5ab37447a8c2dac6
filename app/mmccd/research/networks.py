"""Which networks a study trains, and the command line of each training."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from mmccd.bundle import BACKWARD, FORWARD, read_preset
from mmccd.research.plan import NetworkPlan, Study

NETWORKS = {"backward": BACKWARD, "forward": FORWARD, "decision": "decision"}
"""Bundle of each network, in the order of the trainings: f is validated with g behind it, d is
trained behind both.
"""
_DEF = "network_def"


def needed_networks(study: Study, bundles: Path) -> list[str]:
    """Those that the presets list, in the order of their trainings."""
    listed = {name for preset in study.presets for name in read_preset(bundles, preset).weights}
    return [name for name in NETWORKS if name in listed]


def plan_of(study: Study, network: str) -> NetworkPlan:
    """How a network is trained."""
    plan: NetworkPlan = getattr(study, network)
    return plan


def run_name(study: Study, network: str) -> str:
    """``SOURCE_TARGET`` of a network: g goes the other way."""
    ends = (study.source, study.target)
    return "_".join(reversed(ends) if network == "backward" else ends)


def overrides(study: Study, network: str, seed: int, device: str) -> dict[str, Any]:
    """Settings of a network's ``train.json`` that the study decides, by their flags."""
    plan = plan_of(study, network)
    source, target = run_name(study, network).split("_")
    found: dict[str, Any] = {
        "dataset_dir": study.data,
        "source": source,
        "target": target,
        "output_dir": f"runs/{source}_{target}",
        "seed": seed,
        "max_epochs": plan.max_epochs,
        "batch_size": plan.batch_size,
        "learning_rate": plan.learning_rate,
        "track": study.track,
        "progress": False,
    }
    found |= {"data": study.about_data} if study.about_data else {}
    found |= {"licence": study.licence} if study.licence else {}
    if study.split_file is not None:
        found["split_file"] = study.split_file
    if device != "auto" and study.gpus == 1:
        found["device"] = f"$torch.device('{device}')"
    if network == "forward":
        found |= _backward_behind(study)
    return found | plan.settings


def _backward_behind(study: Study) -> dict[str, Any]:
    """g for the validation of f, in its own size."""
    name = run_name(study, "backward")
    size = {
        f"backward_{key}": value
        for key, value in study.backward.settings.items()
        if key.startswith(_DEF)
    }
    return {"backward_weights": f"../{BACKWARD}/runs/{name}/best.pt", **size}


def command(study: Study, network: str, seed: int, device: str) -> list[str]:
    """``python -m monai.bundle run``, or the same under torchrun; to be run in the bundle's
    folder.
    """
    several = study.gpus > 1
    configs = ["configs/train.json", *(["configs/multi_gpu_train.json"] if several else [])]
    program = [sys.executable]
    if several:
        program += ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={study.gpus}"]
    words = [
        word
        for name, value in overrides(study, network, seed, device).items()
        for word in (f"--{name}", _shown(value))
    ]
    return [*program, "-m", "monai.bundle", "run", "--config_file", str(configs), *words]


def _shown(value: Any) -> str:
    """As MONAI's command line reads it back. Sentences and what looks like a number or a list are
    quoted; paths are not, so that the record of the training can shorten them.
    """
    is_plain = isinstance(value, str) and re.match(r"[/$.]|[A-Za-z][\w/-]*$", value)
    return str(value) if is_plain else repr(value)
