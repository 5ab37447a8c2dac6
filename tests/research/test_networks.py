"""mmccd.research.networks: what is trained, and by which command line."""

from __future__ import annotations

import sys
from pathlib import Path

from mmccd.research.networks import command, needed_networks, overrides
from mmccd.research.plan import NetworkPlan, Study

STUDY = Study(
    data="/data",
    backward=NetworkPlan(settings={"network_def#factor": 8, "ema_momentum": 0.1}),
    forward=NetworkPlan(max_epochs=3, batch_size=2, settings={"strip_width": 32}),
)


def test_d_only_where_a_preset_needs_it(project: Path) -> None:
    bundles = project / "bundles"
    cycle = STUDY.model_copy(update={"presets": ["cycle"]})
    fast = STUDY.model_copy(update={"presets": ["cycle", "fast"]})
    assert needed_networks(cycle, bundles) == ["backward", "forward"]
    assert needed_networks(fast, bundles) == ["backward", "forward", "decision"]


def test_g_goes_the_other_way() -> None:
    found = overrides(STUDY, "backward", 5, "auto")
    assert (found["source"], found["target"], found["seed"]) == ("t2", "flair", 5)
    assert found["output_dir"] == "runs/t2_flair"
    assert "device" not in found and "split_file" not in found


def test_f_has_the_studys_g_behind_it() -> None:
    found = overrides(STUDY, "forward", 0, "cpu")
    assert (found["max_epochs"], found["batch_size"], found["strip_width"]) == (3, 2, 32)
    assert found["backward_weights"] == "../backward_translator/runs/t2_flair/best.pt"
    assert found["backward_network_def#factor"] == 8
    assert "backward_ema_momentum" not in found
    assert found["device"] == "$torch.device('cpu')"


def test_sentences_stay_sentences() -> None:
    """MONAI's command line would read two names with a comma as a list."""
    study = STUDY.model_copy(update={"about_data": "IXI, ADNI", "licence": "CC0"})
    words = command(study, "backward", 0, "auto")
    assert words[words.index("--data") + 1] == "'IXI, ADNI'"
    assert words[words.index("--licence") + 1] == "CC0"


def test_command_lines() -> None:
    one = command(STUDY, "forward", 0, "auto")
    assert one[:6] == [
        sys.executable,
        "-m",
        "monai.bundle",
        "run",
        "--config_file",
        "['configs/train.json']",
    ]
    assert one[one.index("--dataset_dir") + 1] == "/data"
    assert one[one.index("--progress") + 1] == "False"
    several = command(STUDY.model_copy(update={"gpus": 4}), "forward", 0, "auto")
    assert several[1:6] == [
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc_per_node=4",
        "-m",
    ]
    assert "['configs/train.json', 'configs/multi_gpu_train.json']" in several
