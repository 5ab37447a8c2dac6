"""python -m mmccd.training.cycle: label maps to a pack, a pack to weights with their cards."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tests.phantom.label_maps import write_labels
from tests.phantom.scans import write_scans
from tests.training.cycle.packs import label_slices, real_pairs

from mmccd.bundle.weights import CARD_KEYS, Weights
from mmccd.training.cycle.__main__ import main
from mmccd.training.cycle.pack import load_pack, save_pack

TINY = [
    "--factor",
    "8",
    "--channels",
    "32",
    "32",
    "32",
    "--batch_size",
    "2",
    "--device",
    "cpu",
    "--precision",
    "fp32",
]


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """A pack of made-up slices."""
    save_pack(tmp_path / "pack" / "labels.xz", {"part0": label_slices(3)})
    save_pack(tmp_path / "pack" / "real_flair_t2.xz", real_pairs(2))
    return tmp_path / "pack"


def weights(path: Path) -> Weights:
    return Weights(path, json.loads(path.with_suffix(".json").read_text()))


def test_label_maps_to_networks(tmp_path: Path) -> None:
    write_labels(tmp_path / "maps", 2)
    folder = tmp_path / "pack"
    assert main(["pack", "--output", str(folder), "--maps", f"{tmp_path / 'maps'}:4:1"]) == 0
    (part,) = load_pack(folder / "labels.xz").values()
    assert part.shape[1:] == (2, 256, 256) and 2 <= len(part) <= 4, "one map is left out"
    words = ["train", f"--pack={folder}", "--output", str(tmp_path / "out"), *TINY]
    assert main([*words, "--iterations", "2", "--licence", "none", "--data", "a ball"]) == 0
    for name, direction, channels in (("f", ("flair", "t2"), 2), ("g", ("t2", "flair"), 1)):
        found = weights(tmp_path / "out" / f"{name}.pt")
        assert found.direction == direction
        assert set(CARD_KEYS) <= set(found.card)
        state = torch.load(found.path, weights_only=True)
        assert {value.dtype for value in state.values()} == {torch.float16}
        network = found.load_network()
        made = network(torch.zeros(1, channels, 128, 128))
        assert made.shape == (1, 1, 128, 128) and bool(made.isfinite().all())
        assert found.normalisation("flair").upper == 90
        card = found.card
        assert card["command"].startswith("python -m mmccd.training.cycle train --pack=pack --out")
        assert str(tmp_path) not in json.dumps(card)
        assert (card["licence"], card["data"], card["loss"]) == ("none", "a ball", None)
        assert card["training"]["iterations"] == 2 and card["research_only"] is False
    assert weights(tmp_path / "out" / "f.pt").load_scheduler().settings
    assert "scheduler" not in weights(tmp_path / "out" / "g.pt").card


def test_scans_of_those_whose_maps_are_not_left_out(tmp_path: Path, packed: Path) -> None:
    images, maps = write_scans(tmp_path, 2)
    words = ["pack", "--output", str(packed), "--scans", str(images), f"{maps}:3:1"]
    assert main(words) == 0
    slices = load_pack(packed / "scans.xz")["slices"]
    assert slices.shape[1:] == (2, 128, 128) and 1 <= len(slices) <= 3, "one of two, three each"
    words = ["train", "--pack", str(packed), "--output", str(tmp_path / "out"), *TINY]
    assert main([*words, "--networks", "g", "--iterations", "1", "--scan_share", "1"]) == 0
    card = weights(tmp_path / "out" / "g.pt").card
    assert card["training"]["scan_share"] == 1.0


def test_scans_that_cannot_be_packed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images, maps = write_scans(tmp_path)
    for text, expected in (
        (f"{maps}", "cannot be read; expected FOLDER:SLICES"),
        (f"{maps}:3:1", "leaves nothing of the scans"),
        (f"{maps}:0", "leaves nothing of the scans"),
        (f"{images / 'none'}:3", "no label map there"),
    ):
        words = ["pack", "--output", str(tmp_path / "pack"), "--scans", str(images), text]
        assert main(words) in (2, 3)
        assert expected in capsys.readouterr().err
        assert not (tmp_path / "pack").exists()


def test_g_alone_through_a_given_f(tmp_path: Path, packed: Path) -> None:
    words = ["train", "--pack", str(packed), *TINY, "--iterations", "2"]
    assert main([*words, "--output", str(tmp_path / "one"), "--networks", "f"]) == 0
    f = tmp_path / "one" / "f.pt"
    assert not f.with_name("g.pt").exists()
    words += ["--output", str(tmp_path / "two"), "--networks", "g"]
    assert main([*words, "--through", str(f)]) == 0
    assert weights(tmp_path / "two" / "g.pt").load_network()
    words[-3] = str(tmp_path / "three")
    started = [*words, "--init_g", str(tmp_path / "two" / "g.pt")]
    assert main(started) == 0
    assert weights(tmp_path / "three" / "g.pt").card["started_from"] == "g.pt"


def test_an_f_of_another_size(
    tmp_path: Path, packed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "f.pt")
    words = ["train", "--pack", str(packed), "--output", str(tmp_path / "out"), *TINY]
    assert main([*words, "--networks", "g", "--through", str(tmp_path / "f.pt")]) == 3
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith(f"{tmp_path / 'f.pt'}: does not fit to this recipe's f")


def test_no_pack(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "--pack", str(tmp_path), "--output", str(tmp_path / "out"), *TINY]
    assert main(words) == 3
    assert "labels.xz: is no pack" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("maps", "expected"),
    [
        ("{0}", "cannot be read; expected FOLDER:SLICES"),
        ("{0}:few", "cannot be read"),
        ("{0}:-3", "cannot be read"),
        ("{0}:3:5", "leaves nothing of the label maps in"),
        ("{0}:0", "leaves nothing"),
        ("{0}/none:3", "no label map there"),
    ],
)
def test_maps_that_cannot_be_packed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], maps: str, expected: str
) -> None:
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "a.nii.gz").write_text("")
    text = maps.format(tmp_path / "maps")
    assert main(["pack", "--output", str(tmp_path / "pack"), "--maps", text]) in (2, 3)
    assert expected in capsys.readouterr().err
    assert not (tmp_path / "pack").exists()


def test_nothing_to_pack(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pack", "--output", str(tmp_path / "pack")]) == 2
    assert "give --maps, --scans or --cases" in capsys.readouterr().err
