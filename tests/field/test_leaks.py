"""What would let a patient, or a lesion, be where it must not be: splits, labels, masks."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from mmccd.apps.cli.cli import run
from mmccd.core.errors import InputError, UnsuitableInputError
from mmccd.core.volume import Volume
from mmccd.data import SlicePairDataset, find_cases, load_case, say_grouping, split_cases
from mmccd.data.cases import add_to_datalist
from mmccd.imaging import Normalisation
from mmccd.io import write_nifti

STYLES = (
    "sub-{0:02d}_ses-{1}",
    "PatientID_{0:04d}_Timepoint_{1}",
    "UCSD-PTGBM-{0:04d}_{1:02d}",
    "P{0:03d}-202{1}-03-01",
    "TCGA_CS_{0:04d}_200{1}0314",
    "OAS3{0:04d}_MR_d{1:04d}",
    "{0:03d}_S_0295_I{1}",
    "MSLESSEG_P{0}_T{1}",
)
FLAIR_T1 = {name: Normalisation.for_modality(name) for name in ("flair", "t1")}
SHAPE = (64, 64, 6)


def names_by_style(style: str, patients: int = 20) -> list[str]:
    return [style.format(patient, visit) for patient in range(1, patients + 1) for visit in (1, 2)]


def touch_cases(root: Path, names: Sequence[str]) -> Path:
    for name in names:
        (root / name).mkdir(parents=True)
        (root / name / f"{name}_flair.nii.gz").touch()
    return root


def datalist(root: Path, output: Path, *more: str) -> dict[str, set[str]]:
    """Patients by split as the command writes them."""
    assert run(["datalist", str(root), "--output", str(output), *more]) == 0
    return {split: {case.patient for case in cases} for split, cases in split_cases(output).items()}


class TestVisits:
    @pytest.mark.parametrize("style", STYLES)
    def test_of_one_patient_lie_in_one_split(
        self, tmp_path: Path, style: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        touch_cases(tmp_path / "data", names_by_style(style))
        groups = datalist(tmp_path / "data", tmp_path / "list.json")
        assert [len(group) for group in groups.values()] == [12, 4, 4]
        assert not set.intersection(groups["train"], groups["val"] | groups["test"])

    def test_how_is_said(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        touch_cases(tmp_path / "data", names_by_style(STYLES[0], 3))
        with caplog.at_level(logging.INFO):
            datalist(tmp_path / "data", tmp_path / "list.json")
        assert "6 cases are visits of 3 patients by their names" in caplog.text
        assert "--patient" in caplog.text
        assert "sub-01" not in caplog.text

    def test_one_can_say_it_oneself(self, tmp_path: Path) -> None:
        names = [f"{visit}x{letter}" for visit in ("first", "second") for letter in "abcde"]
        touch_cases(tmp_path / "data", names)
        groups = datalist(tmp_path / "data", tmp_path / "list.json", "--patient", "x(.)")
        assert set.union(*groups.values()) == set("abcde")

    def test_a_pattern_that_finds_nobody(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        touch_cases(tmp_path / "data", ["a", "b"])
        words = ["datalist", str(tmp_path / "data"), "--output", str(tmp_path / "list.json")]
        assert run([*words, "--patient", "z"]) == 2
        assert "finds no patient in 2 of 2" in capsys.readouterr().err
        assert not (tmp_path / "list.json").exists()

    def test_in_a_foreign_datalist(self, tmp_path: Path) -> None:
        names = ("MSLESSEG_P14_T1", "MSLESSEG_P14_T2", "MSLESSEG_P15_T1")
        entries = [{"flair": f"{name}_flair.nii.gz"} for name in names]
        path = tmp_path / "list.json"
        path.write_text(json.dumps({"validation": entries[:1], "test": entries[1:]}))
        with pytest.raises(
            UnsuitableInputError, match="MSLESSEG_P14 is in the splits val and test"
        ):
            split_cases(path)

    def test_evaluation_says_how_it_counts_patients(
        self, caplog: pytest.LogCaptureFixture, real_data: Path
    ) -> None:
        cases = find_cases(real_data / "ms")
        assert len({case.patient for case in cases}) == 3
        with caplog.at_level(logging.WARNING):
            say_grouping(cases)
        assert "5 cases are visits of 3 patients" in caplog.text


class TestSplitOfTheFolder:
    NAMES = ("P1_a", "P1_b", "P2_a", "P3_a")

    @pytest.mark.parametrize(
        "content",
        [
            {"train": ["P1_a", "P1_b"], "val": ["P2_a"], "test": ["P3_a"]},
            {"train": ["P1"], "val": ["P2"], "test": ["P3"]},
            {"training": ["P1"], "validation": ["P2"], "test": ["P3"]},
            {"P1": "train", "P2": "val", "P3": "test"},
            {"P1_a": "train", "P1_b": "training", "P2_a": "validation", "P3_a": "Test"},
        ],
    )
    def test_it_is_obeyed(self, tmp_path: Path, content: dict[str, object]) -> None:
        root = touch_cases(tmp_path / "data", self.NAMES)
        (root / "split.json").write_text(json.dumps(content))
        for seed in (0, 1):
            add_to_datalist(root, tmp_path / "list.json", seed)
            groups = split_cases(tmp_path / "list.json")
            assert {split: [case.name for case in cases] for split, cases in groups.items()} == {
                "train": ["P1_a", "P1_b"],
                "val": ["P2_a"],
                "test": ["P3_a"],
            }

    def test_what_it_leaves_out_is_said(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        root = touch_cases(tmp_path / "data", self.NAMES)
        (root / "split.json").write_text(json.dumps({"train": ["P1"], "val": ["P2"]}))
        with caplog.at_level(logging.WARNING):
            assert sum(add_to_datalist(root, tmp_path / "list.json").values()) == 3
        assert "1 of 4 cases stand in none" in caplog.text

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            ({"train": ["P1_a"], "test": ["P1_b"]}, "P1 is in the splits train and test"),
            ({"P1_a": "train", "P1_b": "test"}, "P1 is in the splits train and test"),
            ({"train": ["P9"]}, "names the case P9"),
            ({"P1": "holdout"}, "'holdout'"),
            ({"cases": ["P1"]}, "none of the keys"),
        ],
    )
    def test_what_is_wrong_in_it(
        self, tmp_path: Path, content: dict[str, object], said: str
    ) -> None:
        root = touch_cases(tmp_path / "data", self.NAMES)
        (root / "split.json").write_text(json.dumps(content))
        with pytest.raises((InputError, UnsuitableInputError), match=said):
            add_to_datalist(root, tmp_path / "list.json")
        assert not (tmp_path / "list.json").exists()

    def test_one_split_for_all_is_an_order(self, tmp_path: Path) -> None:
        root = touch_cases(tmp_path / "data", self.NAMES)
        (root / "split.json").write_text(json.dumps({"train": ["P1"]}))
        assert add_to_datalist(root, tmp_path / "list.json", split="val")["val"] == 4


def brain_like() -> tuple[np.ndarray, np.ndarray]:
    """A bright ellipsoid of two tissues, 3 x 3 x 10 mm, and where it is."""
    grid = np.indices(SHAPE).astype(np.float32)
    radius = sum(
        ((g - (n - 1) / 2) / (n * r)) ** 2
        for g, n, r in zip(grid, SHAPE, (0.38, 0.4, 1), strict=True)
    )
    inside = radius < 1
    texture = np.random.default_rng(0).normal(1000, 100, SHAPE)
    return np.where(inside, texture + 200 * (radius < 0.4), 0).astype(np.float32), inside


def write_case(root: Path, name: str = "c1", **masks: np.ndarray) -> Path:
    """A case of two contrasts with what else lies beside them."""
    data, _ = brain_like()
    return write_images(root, name, {"flair": data, "t1": data * 0.5, **masks})


def write_images(root: Path, name: str, arrays: dict[str, np.ndarray]) -> Path:
    (root / name).mkdir(parents=True, exist_ok=True)
    affine = np.diag([3.0, 3.0, 10.0, 1.0])
    for kind, array in arrays.items():
        file = root / name / f"{name}_{kind}.nii.gz"
        write_nifti(Volume(array.astype(np.float32), affine, kind), file, "float32")
    return root


class TestLabels:
    @pytest.fixture
    def lesion(self) -> np.ndarray:
        """In two slices of six."""
        lesion = np.zeros(SHAPE, dtype=np.float32)
        lesion[28:36, 28:36, 2:4] = 1
        return lesion

    def slices(self, root: Path) -> int:
        (root / "split.json").write_text(json.dumps({"train": [c.name for c in find_cases(root)]}))
        return len(SlicePairDataset(root, "train", "flair", "t1", progress=False))

    @pytest.mark.parametrize("value", [0.3, 0.5])
    def test_soft_ones_are_said_and_do_not_pass_for_healthy(
        self, tmp_path: Path, lesion: np.ndarray, value: float, caplog: pytest.LogCaptureFixture
    ) -> None:
        write_case(tmp_path, seg=lesion * value)
        with caplog.at_level(logging.WARNING):
            count = self.slices(tmp_path)
        assert "labels of 1 of 1 cases have no voxel above 0.5" in caplog.text
        (case,) = find_cases(tmp_path)
        found = load_case(case, FLAIR_T1)
        assert found.has_lesion.tolist() == [False, False, True, True, False, False]
        assert not found.lesion.any()
        assert count == 4

    @pytest.mark.parametrize("factor", [0.0, 0.51, 1.0, 255.0])
    def test_others_are_not(
        self, tmp_path: Path, lesion: np.ndarray, factor: float, caplog: pytest.LogCaptureFixture
    ) -> None:
        write_case(tmp_path, seg=lesion * factor)
        with caplog.at_level(logging.WARNING):
            assert self.slices(tmp_path) == (4 if factor else 6)
        assert not caplog.text

    def test_cases_without_one_beside_others_are_said(
        self, tmp_path: Path, lesion: np.ndarray, caplog: pytest.LogCaptureFixture
    ) -> None:
        write_case(tmp_path, "c1", seg=lesion)
        write_case(tmp_path, "c2")
        with caplog.at_level(logging.WARNING):
            self.slices(tmp_path)
        assert "1 of 2 cases have no label and count as healthy" in caplog.text

    def test_masks_that_are_not_read_are_said(
        self, tmp_path: Path, lesion: np.ndarray, caplog: pytest.LogCaptureFixture
    ) -> None:
        write_case(tmp_path, tumour_segmentation=lesion)
        with caplog.at_level(logging.WARNING):
            self.slices(tmp_path)
        assert "1 of 1 cases have a mask that is not read" in caplog.text


class TestMasks:
    @pytest.mark.parametrize("kind", ["brain", "brain_mask", "brainmask", "mask"])
    def test_of_the_brain_of_z_scored_data(self, tmp_path: Path, kind: str) -> None:
        data, inside = brain_like()
        scored = (data - data[inside].mean()) / data[inside].std()
        write_images(tmp_path, "c1", {"flair": scored, "t1": scored, kind: inside})
        (case,) = find_cases(tmp_path)
        assert case.brain is not None
        assert case.label is None
        found = load_case(case, FLAIR_T1)
        values = found.images["flair"][found.brain]
        assert found.brain.sum() * 1.875**2 * 10 == pytest.approx(inside.sum() * 90, rel=0.05)
        assert values.min() < 0 < values.max()

    def test_a_small_mask_is_a_label(self, tmp_path: Path) -> None:
        lesion = np.zeros(SHAPE)
        lesion[28:36, 28:36, 2:4] = 1
        write_case(tmp_path, MASK=lesion)
        (case,) = find_cases(tmp_path)
        assert case.brain is None
        assert case.label is not None
        assert load_case(case, FLAIR_T1).has_lesion.sum() == 2

    def test_beside_a_label_it_is_the_brain(self, tmp_path: Path) -> None:
        _, inside = brain_like()
        write_case(tmp_path, seg=np.zeros(SHAPE), mask=inside)
        (case,) = find_cases(tmp_path)
        assert case.brain is not None
        assert case.label is not None

    def test_an_image_is_no_mask(self, tmp_path: Path) -> None:
        data, _ = brain_like()
        write_case(tmp_path, brain=data)
        (case,) = find_cases(tmp_path)
        with pytest.raises(UnsuitableInputError, match="holds an image") as error:
            load_case(case, FLAIR_T1)
        assert error.value.code == "brain_mask.image"
