"""python -m mmccd.training.decision: a pack and the cycle of some bundles to a decision network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.conftest import TINY
from tests.training.cycle.packs import label_slices, real_pairs

from mmccd.bundle.weights import CARD_KEYS, Weights, file_sha256
from mmccd.training.cycle.pack import save_pack
from mmccd.training.decision import trainer
from mmccd.training.decision.__main__ import main

BUDGET = ["--iterations", "2", "--batch_size", "2", "--device", "cpu", "--precision", "fp32"]


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "NETWORK", TINY)


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    save_pack(tmp_path / "pack" / "labels.xz", {"part0": label_slices(3)})
    save_pack(tmp_path / "pack" / "real_flair_t2.xz", real_pairs(2))
    return tmp_path / "pack"


def words(pack: Path, output: Path, bundles: Path) -> list[str]:
    return ["--pack", str(pack), "--output", str(output), "--bundles", str(bundles), *BUDGET]


def test_a_network_with_its_card(
    tmp_path: Path, pack: Path, shared_bundles: Path, phantom_data: Path
) -> None:
    output = tmp_path / "out"
    measured = ["--validation", f"phantoms={phantom_data}", "--validate_every", "1"]
    licence = ["--licence", "none", "--data", "discs"]
    assert main([*words(pack, output, shared_bundles), *measured, *licence]) == 0
    path = output / "d.pt"
    found = Weights(path, json.loads(path.with_suffix(".json").read_text()))
    assert set(CARD_KEYS) <= set(found.card)
    assert found.direction == ("flair", "t2")
    assert found.load_network().settings["in_channels"] == 5
    card = found.card
    assert card["chosen"]["taken"] == "best" and card["chosen"]["validation"] == "phantoms"
    assert card["cycle"]["forward"] == file_sha256(
        shared_bundles / "forward_masked_diffusion" / "models" / "model.pt"
    )
    assert card["training"]["iterations"] == 2
    assert (card["licence"], card["data"], card["research_only"]) == ("none", "discs", False)
    assert card["command"].startswith("python -m mmccd.training.decision --pack pack --output out")
    assert str(tmp_path) not in json.dumps(card)


def test_going_on_from_weights_and_without_a_cycle(
    tmp_path: Path, pack: Path, shared_bundles: Path
) -> None:
    first = words(pack, tmp_path / "one", shared_bundles)
    assert main([*first, "--no_cycle"]) == 0
    second = words(pack, tmp_path / "two", shared_bundles)
    assert main([*second, "--init", str(tmp_path / "one" / "d.pt")]) == 0
    cards = [json.loads((tmp_path / name / "d.json").read_text()) for name in ("one", "two")]
    assert cards[0]["cycle"] is None and cards[1]["cycle"] is not None
    assert cards[0]["started_from"] is None and cards[1]["started_from"] == "d.pt"


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (["--validation", "phantoms"], 2, "expected NAME=FOLDER"),
        (["--validation", "a=/none"], 3, "/none"),
        (["--target", "t1"], 6, "no weights from flair to t1"),
        (["--pack", "/none"], 3, "labels.xz: is no pack"),
        (["--init", "/none/d.pt"], 3, "/none/d.pt"),
    ],
)
def test_bad_words(
    tmp_path: Path,
    pack: Path,
    shared_bundles: Path,
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    code: int,
    said: str,
) -> None:
    assert main([*words(pack, tmp_path / "out", shared_bundles), *more]) == code
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert said in error
    assert not (tmp_path / "out" / "d.pt").exists()
