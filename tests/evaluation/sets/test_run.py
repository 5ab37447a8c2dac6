"""``mmccd evaluate --sets`` from folders to files."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from tests.evaluation.test_run import strict_json

from mmccd.apps.cli import cli
from mmccd.data.cases import find_cases
from mmccd.data.slices import SliceRule
from mmccd.evaluation.candidates import Setup
from mmccd.evaluation.metrics import dice
from mmccd.evaluation.subjects import load_subject
from mmccd.methods.rule import RuleScorer

FILES = {
    "maps",
    "sets.md",
    "sets.tex",
    "sets.csv",
    "sets.json",
    "worst_false_marks.png",
    "worst_misses.png",
}


def link(source: Path, folder: Path, name: str, without: str = "none") -> None:
    """A case under another name, without one of its files."""
    (folder / name).mkdir(parents=True)
    for path in source.iterdir():
        if without not in path.name:
            (folder / name / path.name.replace(source.name, name)).symlink_to(path)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, labelled_data: Path) -> Path:
    """Two sets and, beside them, a validation set; in one of them a case without a label."""
    folder = tmp_path_factory.mktemp("data")
    link(labelled_data / "ill_test", folder / "sets" / "clinic", "first")
    link(labelled_data / "ill_val", folder / "sets" / "clinic", "second")
    link(labelled_data / "well_val", folder / "sets" / "young", "first_again")
    link(labelled_data / "spare", folder / "sets" / "young", "unlabelled", without="_seg")
    link(labelled_data / "ill_val", folder / "chosen", "ill")
    link(labelled_data / "well_val", folder / "chosen", "well")
    return folder


def command(setup: Setup, output: Path, *words: str) -> list[str]:
    fixed = ["--bundles", str(setup.bundles), "--preset", "fast", "--device", "cpu"]
    return ["evaluate", "--output", str(output), *fixed, "--target", "t2", "--draws", "20", *words]


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory, setup: Setup, data: Path) -> Path:
    """Both sets under the usual methods, with a validation set."""
    folder = tmp_path_factory.mktemp("out") / "new"
    words = ["--sets", str(data / "sets"), "--validation", str(data / "chosen")]
    assert cli.run(command(setup, folder, *words)) == 0
    return folder


def lines(output: Path) -> list[dict[str, str]]:
    with (output / "sets.csv").open() as file:
        return list(csv.DictReader(file))


class TestEndToEnd:
    def test_files(self, output: Path, data: Path) -> None:
        assert {path.name for path in output.iterdir()} == FILES
        content = strict_json(output / "sets.json")
        assert [one["method"] for one in content["methods"]] == [
            *("mmccd", "rule", "constant", "intensity")
        ]
        assert [one["set"] for one in content["sets"]] == ["clinic", "young"]
        assert content["validation"] == "chosen"
        assert content["sets"][1]["without_label"] == ["unlabelled"]
        for name in ("sets.json", "sets.md", "sets.csv"):
            text = (output / name).read_text()
            assert str(data) not in text, "no path of this machine"

    def test_every_case_under_every_method(self, output: Path) -> None:
        found = lines(output)
        assert len(found) == 4 * 4
        kinds = {line["case"]: line["kind"] for line in found}
        assert kinds == {
            "first": "lesion",
            "second": "lesion",
            "first_again": "healthy",
            "unlabelled": "healthy",
        }
        for line in found:
            assert (line["dice"] != "") == (line["kind"] == "lesion")
            assert line["marked_ml"] != ""

    def test_rule_from_scratch(self, output: Path, data: Path) -> None:
        """The rule's row again, from the files."""
        from mmccd.evaluation.subjects import normalised_slices
        from mmccd.imaging.normalisation import Normalisation

        (line,) = [
            one for one in lines(output) if (one["case"], one["method"]) == ("first", "rule")
        ]
        (case, _) = find_cases(data / "sets" / "clinic")
        subject = load_subject(case, "test", "flair", SliceRule())
        assert subject is not None
        slices = normalised_slices(case, "flair", Normalisation("range", 2.0, 90.0))
        score = RuleScorer().score(slices).anomaly[list(subject.slices), 0].numpy()
        marked = (score > 1.2) & subject.brain
        assert float(line["dice"]) == pytest.approx(dice(subject.lesion, marked))
        assert float(line["marked_ml"]) == pytest.approx(marked.sum() * subject.voxel_ml)
        assert float(line["true_ml"]) == pytest.approx(subject.lesion.sum() * subject.voxel_ml)

    def test_thresholds(self, output: Path) -> None:
        """The rule has its own; the tiny networks have no calibration."""
        methods = strict_json(output / "sets.json")["methods"]
        assert {one["method"]: one["threshold_from"] for one in methods} == {
            "mmccd": "healthy",
            "rule": "own",
            "constant": "healthy",
            "intensity": "healthy",
        }
        assert methods[1]["threshold"] == 1.2

    def test_difference_to_the_rule(self, output: Path) -> None:
        found = strict_json(output / "sets.json")["difference_to_rule"]
        assert [one["set"] for one in found] == ["clinic", "young", None]
        dices = {
            (line["method"], line["case"]): float(line["dice"])
            for line in lines(output)
            if line["dice"]
        }
        gaps = [dices["mmccd", case] - dices["rule", case] for case in ("first", "second")]
        assert found[0]["dice"]["value"] == pytest.approx(sum(gaps) / 2)
        assert found[0]["ahead"] == sum(gap > 0 for gap in gaps)
        assert (found[1]["cases"], found[2]["cases"]) == (0, 2)

    def test_runs_on_where_it_stopped(self, output: Path, setup: Setup, data: Path) -> None:
        """Only the map that is gone is made again."""
        gone = output / "maps" / "clinic" / "mmccd" / "second.npz"
        others = {
            path: path.stat().st_mtime_ns
            for path in (output / "maps").rglob("*.npz")
            if path != gone
        }
        assert len(others) == 4 * 4 + 2 * 3 - 1
        before = lines(output)
        gone.unlink()
        words = ["--sets", str(data / "sets"), "--validation", str(data / "chosen")]
        assert cli.run(command(setup, output, *words)) == 0
        assert gone.is_file()
        assert {path: path.stat().st_mtime_ns for path in others} == others
        assert lines(output) == before


def test_without_a_validation_set(
    tmp_path: Path, setup: Setup, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who has no threshold gets no Dice; one set alone has no line for all."""
    words = ["--sets", str(data / "sets" / "clinic"), "--methods", "intensity", "--json"]
    assert cli.run(command(setup, tmp_path, *words)) == 0
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (printed["status"], printed["exit_code"]) == ("done", 0)
    assert Path(printed["sets"]["file"]).name == "sets.json"
    methods = {one["method"]: one["threshold_from"] for one in printed["sets"]["methods"]}
    assert methods == {"intensity": "none", "constant": "none", "rule": "own"}
    assert {line["dice"] for line in lines(tmp_path) if line["method"] == "intensity"} == {""}
    assert {line["auprc"] != "" for line in lines(tmp_path)} == {True}
    assert {one["set"] for one in printed["sets"]["summaries"]} == {"clinic"}


@pytest.mark.parametrize(
    ("words", "code", "named"),
    [
        (["--data", "somewhere"], 2, "--data"),
        (["--subset", "val"], 2, "--subset"),
        (["--grid", "steps=1"], 2, "--grid"),
        (["--postprocessing", "none"], 2, "--postprocessing"),
        (["--methods", "cnn"], 2, "cnn"),
        (["--validation", "{data}/sets/young"], 4, "who is reported in young"),
        (["--validation", "{data}/nowhere"], 3, "nowhere"),
        (["--methods", "intensity", "--source", "t1"], 2, "--validation"),
    ],
)
def test_refused(
    tmp_path: Path,
    setup: Setup,
    data: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    named: str,
) -> None:
    filled = [word.replace("{data}", str(data)) for word in words]
    call = command(setup, tmp_path / "out", "--sets", str(data / "sets"), *filled)
    if "--source" in words:
        del call[call.index("--target") : call.index("--target") + 2]
    assert cli.run(call) == code
    (line,) = [text for text in capsys.readouterr().err.splitlines() if text.startswith("mmccd: ")]
    assert named in line


def test_validation_is_for_sets(setup: Setup, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--data", "somewhere", "--validation", "elsewhere"]
    assert cli.run(command(setup, Path("out"), *words)) == 2
    assert "--validation" in capsys.readouterr().err


class TestWorkers:
    @pytest.mark.slow
    def test_two_workers_give_what_one_gives(
        self, output: Path, setup: Setup, data: Path, tmp_path: Path
    ) -> None:
        pytest.importorskip("distributed", reason="the extra cohort is not installed")
        words = ["--sets", str(data / "sets"), "--validation", str(data / "chosen")]
        shared = [*words, "--workers", "2", "--threads", "1"]
        assert cli.run(command(setup, tmp_path / "out", *shared)) == 0
        alone, together = (one / "sets.csv" for one in (output, tmp_path / "out"))
        assert together.read_text() == alone.read_text()

    @pytest.mark.parametrize("flag", [("--workers", "2"), ("--scheduler", "tcp://127.0.0.1:9")])
    def test_one_data_set_has_one_process(
        self,
        flag: tuple[str, str],
        setup: Setup,
        data: Path,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        words = ["--data", str(data / "chosen"), *flag]
        assert cli.run(command(setup, tmp_path / "out", *words)) == 2
        assert "--sets" in capsys.readouterr().err
