"""mmccd.brain.hd_bet: the plug-in, with a program that plays HD-BET."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from mmccd.brain.hd_bet import extract_with_hd_bet
from mmccd.core.errors import ModelError, UsageError
from mmccd.core.volume import Volume
from mmccd.pipeline import make_intake

PLAYED = """#!{python}
import sys
import nibabel as nib
import numpy as np
words = dict(zip(sys.argv[1::2], sys.argv[2::2]))
assert sys.argv[1:6:2] == ["-i", "-o", "-device"]
assert "--save_bet_mask" in sys.argv and "--disable_tta" in sys.argv
image = nib.load(words["-i"])
mask = (image.get_fdata() {rule}).astype("uint8")
print("loud words", file=sys.stderr)
if {code}:
    sys.exit({code})
nib.save(nib.Nifti1Image(mask, image.affine), words["-o"][:-7] + "_bet.nii.gz")
"""


def play(folder: Path, monkeypatch: pytest.MonkeyPatch, rule: str = "> 0.5", code: int = 0) -> None:
    program = folder / "hd-bet"
    program.write_text(PLAYED.format(python=sys.executable, rule=rule, code=code))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


@pytest.fixture
def volume() -> Volume:
    return Volume(
        np.random.default_rng(0).uniform(0, 1, (5, 6, 7)).astype(np.float32),
        np.diag([-1.0, 1.0, 3.0, 1.0]),
    )


def test_its_mask_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, volume: Volume) -> None:
    play(tmp_path, monkeypatch)
    np.testing.assert_array_equal(extract_with_hd_bet(volume).mask, volume.data > 0.5)
    np.testing.assert_array_equal(
        make_intake(extractor="hd-bet").extract(volume).mask, volume.data > 0.5
    )


def test_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, volume: Volume) -> None:
    play(tmp_path, monkeypatch, code=3)
    with pytest.raises(ModelError, match="hd-bet: ended with code 3 and said: loud words"):
        extract_with_hd_bet(volume)


def test_it_finds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, volume: Volume) -> None:
    play(tmp_path, monkeypatch, rule="> 5")
    with pytest.raises(ModelError, match="with 0 voxels"):
        extract_with_hd_bet(volume)


def test_it_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="--extractor hd-bet: there is no program hd-bet"):
        make_intake(extractor="hd-bet")


def test_unknown_extractor() -> None:
    with pytest.raises(UsageError, match="--extractor bet: unknown; expected one of mmccd, hd-bet"):
        make_intake(extractor="bet")
