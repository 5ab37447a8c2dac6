"""mmccd.core.settings: one model that refuses in one line, whoever fills it."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import pytest

from mmccd.core import FLAG, VARIABLE, Setting, Settings, UsageError

BIG = 2**64


def test_defaults_are_plain_json() -> None:
    dumped = Settings().model_dump()
    assert Settings(**json.loads(json.dumps(dumped))) == Settings()
    assert (dumped["preset"], dumped["seed"], dumped["target"]) == ("balanced", 0, None)


def test_it_travels_and_is_a_key() -> None:
    settings = Settings(seed=3, preset="fast")
    assert pickle.loads(pickle.dumps(settings)) == settings
    assert {settings: 1}[Settings(preset="fast", seed=3)] == 1


@pytest.mark.parametrize(
    ("given", "name", "value"),
    [
        ({"seed": "7"}, "seed", 7),
        ({"seed": str(BIG - 1)}, "seed", BIG - 1),
        ({"threshold": "-1e-3"}, "threshold", -1e-3),
        ({"preset": "FAST"}, "preset", "fast"),
        ({"operating_point": "Sensitive"}, "operating_point", "sensitive"),
        ({"operating_point": "balanced", "threshold": 0.5}, "threshold", 0.5),
        ({"device": "CUDA:0,cuda:1"}, "device", "cuda:0,cuda:1"),
        ({"force": "yes"}, "force", True),
        ({"series": "1.2.840.1"}, "series", "uid=1.2.840.1"),
        ({"series": "uid=1.2"}, "series", "uid=1.2"),
        ({"series": "number=3"}, "series", "number=3"),
        ({"series": "description=t2.*dark"}, "series", "description=t2.*dark"),
        ({"bundles": Path("a/b")}, "bundles", "a/b"),
    ],
)
def test_what_is_taken(given: dict[str, Any], name: str, value: object) -> None:
    found = getattr(Settings.read(given), name)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"preset": "quick"}, "one of balanced, cycle, fast, full"),
        ({"preset": "fats"}, "did you mean fast?"),
        ({"preset": None}, "one of balanced"),
        ({"target": "pd"}, "one of t2, t1"),
        ({"operating_point": "strict"}, "one of specific, balanced, sensitive"),
        ({"operating_point": "sensitiv"}, "did you mean sensitive?"),
        ({"extractor": "bet"}, "one of mmccd, hd-bet"),
        ({"device": "gpu"}, "cuda:N"),
        ({"device": "cuda:0,cpu"}, "cuda:all"),
        ({"seed": -1}, "a whole number from 0 to 2^64 - 1"),
        ({"seed": BIG}, "a whole number from 0"),
        ({"seed": 1.5}, "a whole number"),
        ({"seed": True}, "a whole number"),
        ({"threshold": float("nan")}, "a finite number"),
        ({"threshold": "inf"}, "a finite number"),
        ({"force": "perhaps"}, "true or false"),
        ({"series": "first"}, "number=N"),
        ({"series": "description=("}, "a regular expression"),
        ({"workers": 0}, "from 1 on"),
        ({"threads": 0}, "from 1 on"),
        ({"max_voxels": -1}, "from 0 on"),
        ({"timeout_s": -1}, "seconds"),
        ({"log_format": "xml"}, "one of text, json"),
        ({"log_level": "loud"}, "debug, info"),
    ],
)
def test_what_is_refused(given: dict[str, Any], expected: str) -> None:
    """In the words of the caller: of Python, and of a command line."""
    ((name, value),) = given.items()
    with pytest.raises(UsageError) as found:
        Settings(**given)
    assert str(found.value).startswith(f"{name}={value!r}: ")
    assert expected in str(found.value) and "\n" not in str(found.value)
    with pytest.raises(UsageError) as found:
        Settings.read(given)
    assert str(found.value).startswith(f"--{name.replace('_', '-')} {value}: ")


def test_unknown_settings() -> None:
    with pytest.raises(UsageError, match="presets='fast': unknown setting; did you mean preset"):
        Settings(presets="fast")  # type: ignore[call-arg]


def test_a_scheduler_has_its_own_workers() -> None:
    with pytest.raises(UsageError, match="--workers 2 and --scheduler tcp://x exclude"):
        Settings.read({"workers": "2", "scheduler": "tcp://x"})


def test_an_operating_point_has_its_own_threshold() -> None:
    with pytest.raises(
        UsageError, match="--threshold 0.5 and --operating-point specific exclude each other"
    ):
        Settings.read({"threshold": "0.5", "operating_point": "specific"})
    with pytest.raises(UsageError, match="threshold=0.5 and operating_point='specific' exclude"):
        Settings(threshold=0.5, operating_point="specific")


def test_presets_are_those_of_the_bundles(tmp_path: Path) -> None:
    presets = tmp_path / "forward_masked_diffusion" / "configs" / "presets"
    presets.mkdir(parents=True)
    (tmp_path / "backward_translator" / "configs").mkdir(parents=True)
    (presets / "own.json").touch()
    assert Settings(bundles=str(tmp_path), preset="own").preset == "own"
    with pytest.raises(UsageError, match="expected one of own"):
        Settings(bundles=str(tmp_path), preset="fast")
    (presets / "own.json").unlink()
    assert Settings(bundles=str(tmp_path), preset="fast").preset == "fast", "told by who loads it"
    assert Settings.declared()["preset"].setting.listed(str(tmp_path)) == ()


def test_what_decides_a_result() -> None:
    key = Settings(seed=5).result_key()
    assert key["seed"] == 5
    changing = {"preset", "target", "threshold", "operating_point", "extractor", "unchecked"}
    assert changing <= set(key)
    assert not {"device", "force", "workers", "log_level", "bundles"} & set(key)


def test_front_doors() -> None:
    flags, variables = Settings.declared(FLAG), Settings.declared(VARIABLE)
    assert "workers" in flags and "workers" not in variables
    assert "log_level" in variables and "log_level" not in flags
    assert {name: one.kind for name, one in flags.items()}["threshold"] is float


def test_every_setting_is_declared() -> None:
    for name, declared in Settings.declared().items():
        assert declared.setting.help, name
        assert declared.setting.doors, name
    assert set(Settings.declared()) == set(Settings.model_fields)


def test_another_model_is_another_set_of_settings() -> None:
    class More(Settings):
        """With one line more."""

        dummy: Annotated[int, Setting("for a test", changes_result=True)] = 4

    assert More.read({"dummy": "5"}).result_key()["dummy"] == 5
    with pytest.raises(UsageError, match="--dummy x: cannot be used; expected a whole number"):
        More.read({"dummy": "x"})


def test_it_is_light() -> None:
    """Choices are looked up without the rooms' heavy halves."""
    code = (
        "import sys; from mmccd.core import Settings; Settings(preset='fast', extractor='hd-bet');"
        "sys.exit(bool({'torch', 'monai', 'matplotlib', 'nibabel', 'scipy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
