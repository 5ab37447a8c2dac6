"""mmccd.training.cycle.pack: training data in small files."""

from __future__ import annotations

import io
import lzma
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays
from tests.phantom.label_maps import write_labels
from tests.training.cycle.packs import label_slices, real_pairs
from tests.training.slices import healthy_slices

from mmccd.core import InputError, OutputError, UnsuitableInputError, Volume
from mmccd.data import find_cases, load_case
from mmccd.imaging import Normalisation
from mmccd.io.nifti import write_nifti
from mmccd.phantom import cut_label_slices
from mmccd.training.cycle.pack import (
    HIGHEST,
    LOWEST,
    _differences,
    _sums,
    from_bytes,
    load_pack,
    pack_cases,
    pack_labels,
    save_pack,
    to_bytes,
)

HALF_STEP = (HIGHEST - LOWEST) / 254 / 2


class TestFile:
    def test_round_trip_to_the_byte(self, tmp_path: Path) -> None:
        random = np.random.default_rng(0)
        arrays_ = {
            "part0": label_slices(2),
            "noise": random.integers(0, 256, (3, 20, 30), dtype=np.uint8),
            "none": np.zeros((0, 2, 8, 8), dtype=np.uint8),
            "line": np.arange(300).astype(np.uint8),
            "case": np.array([0, 5, 70_000], dtype=np.int32),
        }
        save_pack(tmp_path / "new" / "pack.xz", arrays_)
        back = load_pack(tmp_path / "new" / "pack.xz")
        assert list(back) == list(arrays_)
        for name, array in arrays_.items():
            assert back[name].dtype == array.dtype
            np.testing.assert_array_equal(back[name], array)
        assert [file.name for file in (tmp_path / "new").iterdir()] == ["pack.xz"]

    @settings(max_examples=50, deadline=None)
    @given(arrays(np.uint8, st.tuples(st.integers(0, 3), st.integers(1, 9), st.integers(1, 9))))
    def test_differences_are_undone(self, array: np.ndarray) -> None:
        np.testing.assert_array_equal(_sums(_differences(array)), array)

    def test_small(self, tmp_path: Path) -> None:
        save_pack(tmp_path / "labels.xz", {"part0": label_slices(10)})
        save_pack(tmp_path / "real.xz", real_pairs(10))
        assert (tmp_path / "labels.xz").stat().st_size < 10 * 4000
        assert (tmp_path / "real.xz").stat().st_size < 10 * 20_000

    @pytest.mark.parametrize(
        "damage",
        ["missing", "folder", "empty", "text", "cut", "archive", "altered", "array", "objects"],
    )
    def test_damaged(self, tmp_path: Path, damage: str) -> None:
        path = tmp_path / "labels.xz"
        save_pack(path, {"part0": label_slices(1)})
        content = bytearray(path.read_bytes())
        raw = bytearray(lzma.decompress(bytes(content)))
        if damage == "missing":
            path.unlink()
        elif damage == "folder":
            path.unlink()
            path.mkdir()
        elif damage in ("array", "objects"):
            buffer = io.BytesIO()
            if damage == "array":
                np.save(buffer, np.zeros(3))
            else:
                np.savez(buffer, part0=np.array([None]))
            path.write_bytes(lzma.compress(buffer.getvalue()))
        else:
            raw[len(raw) // 2] ^= 255
            path.write_bytes(
                {
                    "empty": b"",
                    "text": b"no pack",
                    "cut": bytes(content[:-20]),
                    "archive": lzma.compress(bytes(raw[:-40])),
                    "altered": lzma.compress(bytes(raw)),
                }[damage]
            )
        with pytest.raises(InputError) as caught:
            load_pack(path)
        assert caught.value.code == "pack.unreadable"
        text = str(caught.value)
        assert text.startswith(f"{path}: ") and "cycle pack" in text and "\n" not in text

    def test_not_writable(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(OutputError, match="another output folder"):
            save_pack(tmp_path / "file" / "labels.xz", {"part0": label_slices(1)})


class TestBytes:
    @settings(max_examples=50, deadline=None)
    @given(st.lists(st.floats(LOWEST, HIGHEST, width=32), min_size=1, max_size=20))
    def test_at_most_half_a_step_off(self, values: list[float]) -> None:
        image = torch.tensor(values)[None, None, None]
        back, brain = from_bytes(torch.from_numpy(to_bytes(image, torch.ones_like(image).bool())))
        assert bool(brain.all())
        assert float((back - image).abs().max()) <= HALF_STEP + 1e-6

    def test_beyond_the_range_its_ends(self) -> None:
        image = torch.tensor([-50.0, LOWEST, HIGHEST, 90.0])[None, None, None]
        values = to_bytes(image, torch.ones_like(image).bool())
        assert values.tolist() == [[[1, 1, 255, 255]]]
        back, _ = from_bytes(torch.from_numpy(values))
        assert back.flatten().tolist() == [LOWEST, LOWEST, HIGHEST, HIGHEST]

    def test_nothing_outside_the_brain(self) -> None:
        image, brain = healthy_slices(2)
        values = to_bytes(image + 3, brain)
        assert values.shape == (2, 128, 128) and values.dtype == np.uint8
        assert values[~brain[:, 0].numpy()].max() == 0 < values[brain[:, 0].numpy()].min()
        back, found = from_bytes(torch.from_numpy(values))
        assert torch.equal(found, brain)
        assert float(back[~brain].abs().max()) == 0


class TestLabels:
    def test_maps_one_after_the_other_each_with_its_own_numbers(self, tmp_path: Path) -> None:
        files = write_labels(tmp_path, 2)
        made = pack_labels(files, 3, 7)
        expected = [cut_label_slices(file, 3, [7, number]) for number, file in enumerate(files)]
        np.testing.assert_array_equal(made, np.concatenate(expected))
        np.testing.assert_array_equal(pack_labels(files, 3, 7), made)


class TestCases:
    def test_lesion_free_slices_on_the_model_grid(self, tmp_path: Path) -> None:
        for name, lesion in (("healthy", 0), ("ill", 2)):
            write_case(tmp_path, name, lesion)
        cases = find_cases(tmp_path)
        made = pack_cases(cases, "flair", "t2")
        assert made["source"].shape == made["target"].shape == (len(made["case"]), 128, 128)
        # Of six slices the first holds no brain and the last hardly any; two have a lesion.
        assert made["case"].tolist() == [0] * 4 + [1] * 2
        expected = load_case(cases[1], {"t2": Normalisation.for_modality("t2")})
        wanted = torch.tensor([False, False, False, True, True, False])
        back, brain = from_bytes(torch.from_numpy(made["target"][4:]))
        assert torch.equal(brain, expected.brain[wanted])
        image = expected.images["t2"][wanted].clamp(LOWEST, HIGHEST)
        assert float((back - image)[brain].abs().max()) <= HALF_STEP + 1e-6

    def test_nothing_left(self) -> None:
        with pytest.raises(UnsuitableInputError, match="choose other cases"):
            pack_cases([], "flair", "t2")


def write_case(folder: Path, name: str, lesion: int) -> None:
    """A case of six slices in BraTS layout; the first slices with brain have a lesion."""
    random = np.random.default_rng(len(name))
    brain = np.zeros((48, 48, 6), dtype=np.float32)
    brain[10:38, 8:40, 1:5], brain[20:22, 20:22, 5] = 1, 1
    mask = np.zeros_like(brain)
    mask[20:24, 20:24, 1 : 1 + lesion] = 1
    volumes = {"brain": brain, "seg": mask}
    for contrast in ("flair", "t2"):
        volumes[contrast] = brain * random.uniform(100, 300, brain.shape).astype(np.float32)
    (folder / name).mkdir()
    for key, data in volumes.items():
        volume = Volume(data, np.diag([4.0, 4.0, 5.0, 1.0]), key)
        write_nifti(volume, folder / name / f"{name}_{key}.nii.gz", "float32")
