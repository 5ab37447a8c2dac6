"""``mmccd evaluate`` from a phantom set to tables and figures; on real data where it is there."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score
from tests.conftest import add_decision

from mmccd.apps.cli import cli
from mmccd.bundle import load_models
from mmccd.data.cases import split_cases
from mmccd.data.slices import SliceRule, find_case_brain
from mmccd.evaluation.candidates import Setup, make_candidates
from mmccd.evaluation.metrics import dice
from mmccd.evaluation.scoring import MapStore
from mmccd.evaluation.subjects import load_subject, load_with_neighbours
from mmccd.evaluation.variants import apply_variant, read_variant
from mmccd.io.nifti import read_nifti
from mmccd.methods.registry import find_method, method_names
from mmccd.pipeline import AnomalyPipeline
from mmccd.postprocessing.settings import Postprocessing
from mmccd.postprocessing.smoothing import smooth

METHODS = ",".join(
    [
        "intensity",
        *(name for name in method_names() if name not in ("intensity", "ddpm")),
        "ddpm:level=50:steps=2",
    ]
)
FILES = {
    "metrics.json",
    "table.md",
    "table.tex",
    "cases.csv",
    "maps.png",
    "cycle.png",
    "precision_recall_none.png",
    "precision_recall_median=3+erosion=2.png",
}


def command(setup: Setup, data: Path, output: Path, *words: str) -> list[str]:
    """``mmccd evaluate`` with everything tiny."""
    fixed = [
        "--bundles",
        str(setup.bundles),
        "--runs",
        str(setup.runs),
        "--preset",
        "fast",
        "--device",
        "cpu",
        "--draws",
        "20",
    ]
    return ["evaluate", "--data", str(data), "--output", str(output), *fixed, *words]


def strict_json(path: Path) -> dict[str, Any]:
    """JSON as the standard has it: without NaN."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{path}: {word} is no JSON")

    content: dict[str, Any] = json.loads(path.read_text(), parse_constant=refuse)
    return content


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory, setup: Setup, labelled_data: Path) -> Path:
    """Output folder of all methods under all protocols, made once."""
    output = tmp_path_factory.mktemp("evaluated") / "new" / "folder"
    words = [
        "--methods",
        METHODS,
        "--protocol",
        "slice,paper,strict",
        "--postprocessing",
        "none,median=3+erosion=2",
    ]
    assert cli.run(command(setup, labelled_data, output, *words)) == 0
    return output


class TestEndToEnd:
    @pytest.mark.parametrize("protocol", ["slice", "paper", "strict"])
    def test_files(self, evaluated: Path, protocol: str) -> None:
        assert {path.name for path in (evaluated / protocol).iterdir()} == FILES
        content = strict_json(evaluated / protocol / "metrics.json")
        assert (
            content["protocol"],
            content["reported_split"],
            content["thresholds_from"],
            content["in_sample"],
        ) == (
            protocol,
            "test",
            "val",
            False,
        )
        assert len(content["rows"]) == 12 * 2
        assert content["versions"]["mmccd"]
        assert str(evaluated) not in (evaluated / protocol / "metrics.json").read_text(), (
            "no path of this machine"
        )
        table = (evaluated / protocol / "table.md").read_text()
        for name in method_names():
            assert find_method(name).title in table

    def test_cases_and_slices(self, evaluated: Path) -> None:
        slice_, paper, strict = (
            strict_json(evaluated / name / "metrics.json") for name in ("slice", "paper", "strict")
        )
        assert slice_["cases"] == {"validation": 2, "reported": 1, "left_out": []}
        assert paper["cases"] == {
            "validation": 1,
            "reported": 1,
            "left_out": ["well_val"],
        }, "it has no lesion to look at"
        assert len(slice_["slices"]["ill_test"]) == 1
        assert strict["slices"]["ill_test"] > 10

    def test_intensity_row_from_scratch(self, evaluated: Path, labelled_data: Path) -> None:
        """The whole row again from the files, with scikit-learn."""
        groups = split_cases(labelled_data)
        parts = {}
        for split in ("val", "test"):
            subjects = [load_subject(case, split, "flair", SliceRule()) for case in groups[split]]
            truths = np.concatenate([one.lesion[one.brain] for one in subjects if one])
            values = np.concatenate(
                [
                    self.intensity(one.case.images["flair"])[list(one.slices)][one.brain]
                    for one in subjects
                    if one
                ]
            )
            parts[split] = truths, values
        row = self.row(evaluated, "strict", "intensity", "none")
        assert row["figures"]["auprc"] == pytest.approx(
            average_precision_score(*parts["test"]), abs=1e-5
        )
        threshold = row["thresholds"]["validation"]
        found = dice(parts["test"][0], parts["test"][1] > threshold)
        assert row["figures"]["dice_at_validation_threshold"] == pytest.approx(found, abs=1e-4)
        best = max(
            dice(parts["val"][0], parts["val"][1] > level)
            for level in np.quantile(parts["val"][1], np.linspace(0.5, 1, 200))
        )
        assert dice(parts["val"][0], parts["val"][1] > threshold) >= best - 1e-6

    @staticmethod
    def intensity(path: Path) -> np.ndarray:
        """(v - P2) / (P90 - P2) of the brain on the model grid."""
        from mmccd.brain import find_brain
        from mmccd.imaging.grid import GridTransform
        from mmccd.io.nifti import read_nifti

        volume = read_nifti(path, "flair")
        brain = find_brain(
            volume, read_nifti(path.with_name(path.name.replace("flair", "brain")), "mask")
        ).mask
        low, high = np.percentile(volume.data[brain], [2, 90])
        scaled = np.where(brain, (volume.data - low) / (high - low), 0.0)
        return GridTransform.fit(volume, brain).to_model(scaled, 0.0)

    @staticmethod
    def row(folder: Path, protocol: str, method: str, variant: str) -> dict[str, Any]:
        rows = strict_json(folder / protocol / "metrics.json")["rows"]
        (found,) = [
            row
            for row in rows
            if (row["method"], row["postprocessing"]["name"]) == (method, variant)
        ]
        return dict(found)

    def test_a_bright_lesion_is_found_by_intensity(self, evaluated: Path) -> None:
        """The demo's lesions are bright on FLAIR: the plain threshold is far above chance, in every
        protocol.
        """
        for protocol in ("slice", "strict"):
            figures = self.row(evaluated, protocol, "intensity", "none")["figures"]
            assert figures["auprc"] > 3 * figures["prevalence"]
            assert figures["best_possible_dice"] >= figures["dice_at_validation_threshold"] > 0.2

    def test_difference_to_the_first_row(self, evaluated: Path) -> None:
        assert self.row(evaluated, "slice", "intensity", "none")["difference_to_reference"] == {}
        difference = self.row(evaluated, "slice", "ae", "none")["difference_to_reference"]["auprc"]
        gap = (
            self.row(evaluated, "slice", "ae", "none")["figures"]["auprc"]
            - self.row(evaluated, "slice", "intensity", "none")["figures"]["auprc"]
        )
        assert difference["mean"] == pytest.approx(gap, abs=1e-3), (
            "one patient: every resample is the same"
        )

    def test_gain_over_the_constant(self, evaluated: Path) -> None:
        dae, constant = (
            self.row(evaluated, "slice", name, "median=3+erosion=2") for name in ("dae", "constant")
        )
        assert constant["gain_over_constant"] == {}
        gap = dae["figures"]["auprc"] - constant["figures"]["auprc"]
        assert dae["gain_over_constant"]["auprc"]["mean"] == pytest.approx(gap, abs=1e-3)
        text = (evaluated / "slice" / "table.md").read_text()
        assert "Gain over the constant with the same post-processing" in text

    @pytest.mark.parametrize("protocol", ["slice", "paper", "strict"])
    def test_returned_images(self, evaluated: Path, protocol: str) -> None:
        """Of every method that reconstructs one, on the slices of the protocol."""
        found = strict_json(evaluated / protocol / "metrics.json")["returned_images"]
        plain = ("intensity", "histogram", "rule")
        named = [name for name in METHODS.split(",") if name not in plain]
        assert list(found) == named
        constant = found["constant"]
        assert constant["correlation"] == {"mean": 0, "interval_95": [0, 0], "cases": 1}
        assert constant["removal"]["mean"] == pytest.approx(1)
        assert found["dae"]["correlation"]["mean"] != 0
        text = (evaluated / protocol / "table.md").read_text()
        assert text.count("The returned image: ") == 1
        with (evaluated / protocol / "cases.csv").open() as file:
            lines = [line for line in csv.DictReader(file) if line["method"] == "dae"]
        assert {float(line["returned_correlation"]) for line in lines} == {
            found["dae"]["correlation"]["mean"]
        }

    def test_returned_image_from_scratch(self, evaluated: Path, labelled_data: Path) -> None:
        """The healthy brain of all slices again, from the stored maps."""
        found = strict_json(evaluated / "strict" / "metrics.json")["returned_images"]
        (case,) = split_cases(labelled_data)["test"]
        subject = load_subject(case, "test", "flair", SliceRule())
        assert subject is not None
        for name in ("constant", "dae"):
            with np.load(evaluated / "maps" / name / "ill_test.npz") as stored:
                rows = [list(stored["slices"]).index(number) for number in subject.slices]
                back, signed = (stored[key][rows, 0] for key in ("reconstructed", "signed"))
            healthy = subject.brain & ~subject.lesion & np.isfinite(back)
            error, spread = (found[name][key]["mean"] for key in ("error", "spread"))
            assert error == pytest.approx(np.abs(signed[healthy]).mean(), rel=1e-4)
            sds = back[healthy].std(), (back + signed)[healthy].std()
            assert spread == pytest.approx(sds[0] / sds[1], rel=1e-4, abs=1e-6)

    def test_post_processing_is_another_row(self, evaluated: Path) -> None:
        plain, processed = (
            self.row(evaluated, "strict", "dae", name) for name in ("none", "median=3+erosion=2")
        )
        assert plain["figures"]["prevalence"] == processed["figures"]["prevalence"]
        assert plain["figures"]["auprc"] != processed["figures"]["auprc"]
        assert processed["postprocessing"] == {
            "name": "median=3+erosion=2",
            "across_mm": 0.0,
            "median_size": 3,
            "min_component_ml": 0.0,
            "units": "error",
            "erosion_pixels": 2,
        }

    def test_across_slices_of_one_slice(
        self, evaluated: Path, setup: Setup, labelled_data: Path, tmp_path: Path
    ) -> None:
        """A protocol that looks at one slice smooths it with its neighbours, which are not counted
        themselves.
        """
        words = [
            "--methods",
            "intensity",
            "--protocol",
            "slice,strict",
            "--postprocessing",
            "none,across=12",
        ]
        assert cli.run(command(setup, labelled_data, tmp_path, *words)) == 0
        both = [
            self.row(folder, "slice", "intensity", "none")["figures"]
            for folder in (evaluated, tmp_path)
        ]
        assert both[0] == both[1], "rows without it stay as they are"
        assert (
            strict_json(tmp_path / "slice" / "metrics.json")["slices"]
            == strict_json(evaluated / "slice" / "metrics.json")["slices"]
        )
        row = self.row(tmp_path, "slice", "intensity", "across=12")
        assert row["postprocessing"]["across_mm"] == 12
        (case,) = split_cases(labelled_data)["test"]
        subject = load_subject(case, "test", "flair", SliceRule())
        assert subject is not None
        values = smooth(
            np.where(
                subject.brain, self.intensity(case.images["flair"])[list(subject.slices)], 0
            ).astype(np.float32),
            subject.brain,
            12.0,
            Postprocessing(across_mm=12.0),
        )
        (number,) = strict_json(tmp_path / "slice" / "metrics.json")["slices"]["ill_test"]
        at = subject.slices.index(number)
        inside = subject.brain[at]
        assert row["figures"]["auprc"] == pytest.approx(
            average_precision_score(subject.lesion[at][inside], values[at][inside]), abs=1e-5
        )
        assert row["figures"]["auprc"] != both[1]["auprc"]

    def test_cases_csv(self, evaluated: Path) -> None:
        with (evaluated / "paper" / "cases.csv").open() as file:
            lines = list(csv.DictReader(file))
        assert len(lines) == 12 * 2
        for line in lines:
            assert (line["case"], line["split"]) == ("ill_test", "test")
            assert 0 <= float(line["dice_at_best_of_100_threshold"]) <= 1

    def test_runs_on_where_it_stopped(
        self, evaluated: Path, setup: Setup, labelled_data: Path
    ) -> None:
        """A map that is gone is made again, equal to the first one; the others are not touched."""
        gone = evaluated / "maps" / "mmccd" / "ill_test.npz"
        others = {
            path: path.stat().st_mtime_ns
            for path in (evaluated / "maps").rglob("*.npz")
            if path != gone
        }
        before = strict_json(evaluated / "slice" / "metrics.json")
        gone.unlink()
        words = [
            "--methods",
            METHODS,
            "--protocol",
            "slice",
            "--postprocessing",
            "none,median=3+erosion=2",
        ]
        assert cli.run(command(setup, labelled_data, evaluated, *words)) == 0
        assert {path: path.stat().st_mtime_ns for path in others} == others
        after = strict_json(evaluated / "slice" / "metrics.json")
        for old, new in zip(before["rows"], after["rows"], strict=True):
            assert new["figures"] == pytest.approx(old["figures"], abs=1e-6)
        assert gone.is_file()


class TestWhatPredictWrites:
    """By default the map is scored that ``predict`` brings to the native grid."""

    @pytest.mark.parametrize("units", ["error", "slice_sd"])
    @pytest.mark.parametrize("decided", [False, True])
    def test_to_the_bit(
        self,
        setup: Setup,
        tiny_bundles: Path,
        labelled_data: Path,
        tmp_path: Path,
        units: str,
        decided: bool,
    ) -> None:
        """And so is what lies above a threshold."""
        if decided:
            add_decision(tiny_bundles, "fast")
            setup = replace(setup, bundles=tiny_bundles)
        (case,) = split_cases(labelled_data)["test"]
        models = load_models(setup.bundles)
        fast = models.preset("fast")
        smoothing = replace(fast.postprocessing, units=units, across_mm=12.0)
        changed = models.with_preset(replace(fast, postprocessing=smoothing))
        pipeline = AnomalyPipeline(changed, "fast", "cpu", threshold=0.0)
        volume = read_nifti(case.images["flair"], "flair")
        maps = pipeline.maps(volume, find_case_brain(case, volume))
        (candidate,) = make_candidates([fast.method], setup)
        variant = read_variant("preset", smoothing)
        found = load_with_neighbours(case, "test", "flair", SliceRule(), reach=smoothing.reach)
        assert found is not None
        own, context = found
        stored = MapStore(tmp_path).score(candidate, context, candidate.build)
        scored = apply_variant(stored, context, variant, candidate, 1).take(own)
        expected = maps.model.smoothed[list(own.slices)]
        assert expected[own.brain].std() > 0
        assert np.array_equal(scored.values, expected[own.brain])
        threshold = float(np.sort(scored.values)[len(scored.values) // 2])
        assert np.array_equal(scored.segment(threshold), (expected > threshold) & own.brain)

    def test_defaults(self, setup: Setup, labelled_data: Path, tmp_path: Path) -> None:
        assert cli.run(command(setup, labelled_data, tmp_path, "--protocol", "strict")) == 0
        rows = strict_json(tmp_path / "strict" / "metrics.json")["rows"]
        assert [row["method"] for row in rows] == ["intensity", "rule", "constant", "mmccd"]
        assert {row["postprocessing"]["name"] for row in rows} == {"preset"}
        preset = load_models(setup.bundles).preset("fast").postprocessing
        assert [row["postprocessing"]["median_size"] for row in rows] == [
            preset.median_size,
            1,
            preset.median_size,
            preset.median_size,
        ]
        assert [row["thresholds"].get("own") for row in rows] == [None, 1.2, None, None]
        figures = rows[1]["figures"]
        assert figures["dice_at_own_threshold"] > 0.2
        assert 0 <= figures["false_positive_rate_at_own_threshold"] < 0.1
        table = (tmp_path / "strict" / "table.md").read_text()
        assert "Dice at own threshold (pooled)" in table


def test_grid(
    tmp_path: Path, setup: Setup, labelled_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "--methods",
        "mmccd",
        "--grid",
        "steps=1,2 draws=2,1",
        "--subset",
        "val",
        "--postprocessing",
        "none",
    ]
    assert cli.run(command(setup, labelled_data, tmp_path / "out", *words)) == 0
    content = strict_json(tmp_path / "out" / "slice" / "metrics.json")
    assert content["in_sample"] is True
    grid = [f"mmccd:steps={steps}:draws={draws}" for steps in (1, 2) for draws in (2, 1)]
    names = [row["method"] for row in content["rows"]]
    assert names == [*grid, "constant", "rule", "intensity"]
    assert len({row["figures"]["auprc"] for row in content["rows"][:4]}) == 4
    printed = capsys.readouterr().out
    assert "| steps \\ draws | 1 | 2 |" in printed
    assert "| Constant in the place of x' | none | ." in printed
    assert {path.parent.name for path in (tmp_path / "out" / "maps").rglob("*test*")} == set(), (
        "the test split is not touched"
    )


def test_dark_side_is_chosen_on_validation(
    tmp_path: Path, setup: Setup, labelled_data: Path
) -> None:
    """The lesions are dark on T1."""
    words = ["--methods", "intensity,histogram", "--source", "t1", "--postprocessing", "none"]
    assert cli.run(command(setup, labelled_data, tmp_path / "out", *words)) == 0
    rows = strict_json(tmp_path / "out" / "slice" / "metrics.json")["rows"]
    assert [row["method"] for row in rows] == ["intensity", "histogram"], "no rule on T1"
    assert [row["anomalous"] for row in rows] == ["dark", "dark"]
    assert rows[0]["figures"]["auprc"] > rows[0]["figures"]["prevalence"]


@pytest.mark.parametrize(
    ("words", "code", "named"),
    [
        (["--methods", "cnn"], 2, "cnn"),
        (["--protocol", "quick"], 2, "quick"),
        (["--postprocessing", "blur"], 2, "blur"),
        (["--subset", "train"], 2, "train"),
        (["--source", "ct"], 2, "ct"),
        (["--target", "flair"], 2, "flair"),
        (["--preset", "slow"], 2, "slow"),
        (["--rate", "1"], 2, "--rate"),
        (["--draws", "0"], 2, "--draws"),
        (["--grid", "steps=1"], 2, "--subset val"),
        (["--grid", "steps=1", "--subset", "val"], 2, "--methods"),
        (["--grid", "steps", "--subset", "val", "--methods", "mmccd"], 2, "steps"),
        (["--slices", "a-b", "--protocol", "paper"], 2, "a-b"),
        (["--slices", "70-89", "--protocol", "paper"], 4, "no val case"),
        (["--split", "{tmp}/nowhere.json"], 3, "nowhere.json"),
        (["--split", "{tmp}/mixed.json"], 4, "TCGA_CS_0001"),
        (["--split", "{tmp}/empty.json"], 4, "validation"),
        (["--output", "{tmp}/mixed.json", "--methods", "intensity"], 5, "mixed.json"),
        (["--methods", "dae", "--runs", "{tmp}"], 6, "dae/flair/best.pt"),
        (["--methods", "mmccd", "--target", "t1"], 6, "t1"),
    ],
)
def test_refused(
    tmp_path: Path,
    setup: Setup,
    labelled_data: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    named: str,
) -> None:
    """One line with the right exit code; a patient in two splits, too."""
    data = tmp_path / "data"
    data.mkdir()
    for source, name in (
        ("ill_val", "TCGA_CS_0001_20000101"),
        ("ill_test", "TCGA_CS_0001_20010101"),
        ("well_val", "well_val"),
    ):
        (data / name).mkdir()
        for path in (labelled_data / source).iterdir():
            (data / name / path.name.replace(source, name)).symlink_to(path)
    first, second = "TCGA_CS_0001_20000101", "TCGA_CS_0001_20010101"
    (tmp_path / "mixed.json").write_text(
        json.dumps({"train": [], "val": [first], "test": [second]})
    )
    (tmp_path / "empty.json").write_text(json.dumps({"train": [], "val": [], "test": [second]}))
    (data / "split.json").write_text(
        json.dumps({"train": [], "val": [first, second], "test": ["well_val"]})
    )
    filled = [word.replace("{tmp}", str(tmp_path)) for word in words]
    call = command(setup, data, tmp_path / "out", *filled)
    for flag in ("--output", "--runs", "--preset", "--draws"):
        if flag in filled:
            at = call.index(flag)
            del call[at : at + 2]
    assert cli.run(call) == code
    (line,) = [text for text in capsys.readouterr().err.splitlines() if text.startswith("mmccd: ")]
    assert named in line


@pytest.mark.parametrize("words", [["--output", "out"], ["--data", "somewhere"]])
def test_what_is_needed(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["evaluate", *words]) == 2
    assert "is missing" in capsys.readouterr().err


BASELINE = {
    ("val", "intensity"): {
        "auroc": 0.911,
        "auprc": 0.790,
        "prevalence": 0.157,
        "dice_at_validation_threshold": 0.744,
        "best_possible_dice": 0.744,
    },
    ("val", "histogram"): {
        "auroc": 0.918,
        "auprc": 0.761,
        "prevalence": 0.157,
        "dice_at_validation_threshold": 0.711,
        "best_possible_dice": 0.711,
    },
    ("test", "intensity"): {
        "auroc": 0.835,
        "auprc": 0.708,
        "prevalence": 0.160,
        "dice_at_validation_threshold": 0.648,
        "best_possible_dice": 0.658,
    },
    ("test", "histogram"): {
        "auroc": 0.841,
        "auprc": 0.665,
        "prevalence": 0.160,
        "dice_at_validation_threshold": 0.638,
        "best_possible_dice": 0.640,
    },
}
PER_PATIENT = {
    ("val", "intensity"): (0.729, 0.137, 0.807),
    ("val", "histogram"): (0.700, 0.149, 0.807),
    ("test", "intensity"): (0.619, 0.220, 0.779),
    ("test", "histogram"): (0.598, 0.224, 0.779),
}


@pytest.fixture(scope="module")
def lgg(tmp_path_factory: pytest.TempPathFactory, real_data: Path) -> dict[str, dict[str, Any]]:
    """``slice`` on the glioma patients, both splits; maps are shared."""
    output = tmp_path_factory.mktemp("lgg")
    found = {}
    for subset in ("test", "val"):
        words = [
            "--data",
            str(real_data / "lgg"),
            "--output",
            str(output),
            "--subset",
            subset,
            "--methods",
            "intensity,histogram",
        ]
        assert (
            cli.run(["evaluate", *words, "--postprocessing", "none", "--draws", "20", "--quiet"])
            == 0
        )
        found[subset] = strict_json(output / "slice" / "metrics.json")
    return found


class TestRealData:
    """The figures of FLAIR_BASELINE.md beside the data, which were computed on another way."""

    @pytest.mark.parametrize(("subset", "method"), list(BASELINE))
    def test_baseline_is_reproduced(
        self, lgg: dict[str, dict[str, Any]], subset: str, method: str
    ) -> None:
        (row,) = [row for row in lgg[subset]["rows"] if row["method"] == method]
        for name, value in BASELINE[subset, method].items():
            assert row["figures"][name] == pytest.approx(value, abs=0.01), name
        mean, sd, best = PER_PATIENT[subset, method]
        assert row["figures"]["dice_at_validation_threshold_mean"] == pytest.approx(mean, abs=0.01)
        assert row["figures"]["dice_at_validation_threshold_sd"] == pytest.approx(sd, abs=0.01)
        assert row["figures"]["best_possible_dice_mean"] == pytest.approx(best, abs=0.01)
        low, high = row["intervals_95"]["auprc"]
        assert low < row["figures"]["auprc"] < high

    @pytest.mark.parametrize("subset", ["val", "test"])
    def test_slices_are_the_named_ones(
        self, lgg: dict[str, dict[str, Any]], real_data: Path, subset: str
    ) -> None:
        (line,) = [
            text
            for text in (real_data / "lgg" / "FLAIR_BASELINE.md").read_text().splitlines()
            if text.startswith(f"- {subset}: ")
        ]
        named = {
            name: [int(index)]
            for name, index in (
                word.split(":") for word in line.removeprefix(f"- {subset}: ").split(", ")
            )
        }
        assert len(named) == 17
        assert {name: lgg[subset]["slices"][name] for name in named} == named
