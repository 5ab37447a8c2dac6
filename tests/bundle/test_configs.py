"""mmccd.bundle.configs: slips in a config are refused before anything is built."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from monai.bundle import ConfigParser
from tests.conftest import PROJECT

from mmccd.bundle.configs import check_config
from mmccd.core.errors import UsageError

BUNDLES = sorted(path.parent for path in PROJECT.glob("bundles/*/configs"))


def parsed(bundle: Path, *files: str, **overrides: Any) -> Any:
    parser = ConfigParser()
    with contextlib.chdir(bundle):
        parser.read_config([f"configs/{file}" for file in files])
        parser.read_meta("configs/metadata.json")
        parser.update(overrides)
        parser.parse()
    return parser.get()


def combinations() -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Configs that run, alone and with each overlay."""
    for bundle in BUNDLES:
        configs = bundle / "configs"
        for name in ("train.json", "inference.json", "cycle.json"):
            if (configs / name).is_file():
                yield bundle, (name,)
        own = [path.name for path in configs.glob("*_train.json")]
        own += [path.name for path in configs.glob("evaluate.json")]
        methods = [f"baselines/{path.name}" for path in configs.glob("baselines/*.json")]
        networks = [f"networks/{path.name}" for path in configs.glob("networks/*.json")]
        for overlay in [*own, *methods, *networks]:
            yield bundle, ("train.json", overlay)
        for method in methods:
            for overlay in own:
                yield bundle, ("train.json", method, overlay)


@pytest.mark.parametrize(
    ("bundle", "files"), list(combinations()), ids=lambda value: str(getattr(value, "name", value))
)
def test_what_ships_passes(bundle: Path, files: tuple[str, ...]) -> None:
    check_config(parsed(bundle, *files), "config")


TRAIN = PROJECT / "bundles" / "backward_translator"


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"max_epoch": 3}, "max_epoch: nothing uses .* (did you mean max_epochs?)"),
        ({"train#batchsize": 3}, "train#batchsize: nothing uses this setting"),
        ({"checkpoint": "x.pt"}, "checkpoint: nothing uses"),
        ({"batch_size": "abc"}, "batch_size: found 'abc', expected a whole number from 1 on"),
        ({"batch_size": 0}, "batch_size: found 0"),
        ({"batch_size": True}, "batch_size: found True"),
        ({"batch_size": 2.0}, "batch_size: found 2.0"),
        ({"max_epochs": -1}, "max_epochs: found -1"),
        ({"learning_rate": "1e"}, "learning_rate: found '1e', expected a number above 0"),
        ({"learning_rate": float("nan")}, "learning_rate: found nan"),
        ({"ema_momentum": 2}, "expected a number from 0 to 1"),
        ({"max_minutes": -1}, "max_minutes: found -1"),
        ({"source": "T1"}, "source: found 'T1', expected one of flair, t1, t2"),
        ({"source": None}, "source: found None"),
        ({"precision": "fp16"}, "expected one of auto, fp32, bf16"),
        ({"resume": "no"}, "resume: found 'no', expected True or False"),
        ({"licence": True}, "licence: found True, expected a text"),
    ],
    ids=str,
)
def test_refused(overrides: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as error:
        check_config(parsed(TRAIN, "train.json", **overrides), "configs/train.json")
    text = str(error.value)
    assert text.startswith("configs/train.json: ")
    assert all(part in text for part in said.split(" .* "))
    assert error.value.code == "usage.config"


@pytest.mark.parametrize(
    "overrides",
    [
        {"max_minutes": None},
        {"learning_rate": "$2 * 0.001"},
        {"seed": 0, "max_cases": 1},
        {"optimizer#weight_decay": 0.1},
        {"slices#healthy_only": False},
        {"testing": ["$print()"]},
        {"_meta_": {}},
    ],
    ids=str,
)
def test_passes(overrides: dict[str, Any]) -> None:
    check_config(parsed(TRAIN, "train.json", **overrides), "config")
