"""mmccd.evaluation.calibrate and its command: a threshold from healthy slices, stored where predict
finds it.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmccd.apps.cli import cli
from mmccd.bundle import FORWARD, load_models, store_calibration
from mmccd.bundle.calibrations import read_calibrations
from mmccd.core.errors import InputError, UnsuitableInputError
from mmccd.core.operating_points import RATES
from mmccd.data.cases import Case, find_cases, split_cases
from mmccd.data.slices import SliceRule, load_case
from mmccd.evaluation.calibrate import calibrate_on_cases
from mmccd.evaluation.metrics import dice
from mmccd.io.nifti import read_nifti
from mmccd.phantom import Phantom, write_phantom
from mmccd.pipeline import AnomalyPipeline


@pytest.fixture(scope="module")
def pipeline(shared_bundles: Path) -> AnomalyPipeline:
    return AnomalyPipeline(load_models(shared_bundles), "fast", "cpu", require_threshold=False)


@pytest.fixture(scope="module")
def cases(phantom_data: Path) -> list[Case]:
    """A case with lesions, and a healthy one."""
    return [case for case in find_cases(phantom_data) if case.name in ("lesion", "mirrored")]


@pytest.mark.parametrize("rate", [0.02, 0.3])
def test_wanted_rate_is_reached(pipeline: AnomalyPipeline, cases: list[Case], rate: float) -> None:
    found = calibrate_on_cases(
        pipeline, cases, rate, slices_per_case=4, origin={"data": "phantoms"}
    )
    origin = found.origin
    assert origin["reached_rate"] <= rate
    assert origin["reached_rate"] == pytest.approx(rate, abs=2e-3)
    assert (origin["wanted_rate"], origin["cases"], origin["slices"], origin["data"]) == (
        rate,
        2,
        8,
        "phantoms",
    )
    assert found.key == pipeline.models.key(pipeline.preset, "fp32")
    assert found.healthy_error["q50"] < found.healthy_error["q90"] < found.healthy_error["q99"]
    assert json.loads(json.dumps(found.as_dict(), allow_nan=False)) == found.as_dict()


def test_all_operating_points_in_one_run(pipeline: AnomalyPipeline, cases: list[Case]) -> None:
    """Of two cases, the pooled rate decides; each point says what it reached."""
    found = calibrate_on_cases(pipeline, cases, RATES["balanced"], slices_per_case=4)
    assert list(found.points) == list(RATES)
    assert found.threshold == found.points["balanced"].threshold
    assert found.points["specific"].threshold > found.threshold
    assert found.threshold > found.points["sensitive"].threshold
    voxel_ml = read_nifti(cases[0].images["flair"], "flair").voxel_ml
    for name, point in found.points.items():
        assert (point.rate, point.statistic, point.cases) == (RATES[name], "pooled", 2)
        assert point.median_share <= point.largest_share
        assert 0 < point.pooled_rate <= point.rate
        marked = point.pooled_rate * found.origin["voxels"]
        assert point.median_ml == pytest.approx(marked / 2 * voxel_ml, abs=1e-3)
        assert point.largest_ml is not None and point.largest_ml >= point.median_ml
    assert found.origin["statistic"] == "pooled"
    assert found.origin["reached_rate"] == found.points["balanced"].pooled_rate


def test_the_median_decides_from_five_cases_on(
    pipeline: AnomalyPipeline, cases: list[Case]
) -> None:
    """The lesion's slices are left out, the rest of that case counts."""
    several = [*cases, *(replace(cases[1], name=f"again{number}") for number in range(3))]
    found = calibrate_on_cases(pipeline, several, 0.05, slices_per_case=4)
    point = found.points["balanced"]
    assert (point.statistic, point.cases) == ("median over cases", 5)
    assert point.median_share <= 0.05
    alone = calibrate_on_cases(pipeline, cases[1:], 0.05, slices_per_case=4)
    assert found.threshold == pytest.approx(alone.threshold, rel=1e-3), "four of the five"


def test_another_rate_is_that_of_balanced(pipeline: AnomalyPipeline, cases: list[Case]) -> None:
    found = calibrate_on_cases(pipeline, cases, 0.1, slices_per_case=4)
    assert [point.rate for point in found.points.values()] == [0.0005, 0.1, 0.1]


def test_too_few_voxels_for_the_specific_point(
    pipeline: AnomalyPipeline, cases: list[Case]
) -> None:
    with pytest.raises(UnsuitableInputError, match="too few for a false-positive rate of 0.0005"):
        calibrate_on_cases(pipeline, cases[1:], 0.1, slices_per_case=1)


def test_smaller_rate_higher_threshold(pipeline: AnomalyPipeline, cases: list[Case]) -> None:
    low, high = (
        calibrate_on_cases(pipeline, cases, rate, slices_per_case=2).threshold
        for rate in (0.2, 0.01)
    )
    assert low < high


def test_slices_with_lesions_are_left_out(
    pipeline: AnomalyPipeline, cases: list[Case], lesion_phantom: Phantom
) -> None:
    """All healthy slices of the case with lesions, and none of the others."""
    ill = lesion_phantom.lesion.data.any(axis=(0, 1))
    brain = lesion_phantom.images["flair"].data > 0
    found = calibrate_on_cases(pipeline, cases[:1], 0.1)
    assert found.origin["slices"] <= int((brain.any(axis=(0, 1)) & ~ill).sum())
    assert found.origin["voxels"] == pytest.approx(brain[:, :, ~ill].sum(), rel=0.02)


def test_slices_in_reach_of_the_smoothing_are_run_and_not_counted(
    pipeline: AnomalyPipeline, cases: list[Case], shared_bundles: Path
) -> None:
    """Four slices alone have the threshold that they have within the whole healthy volume."""
    preset = replace(
        pipeline.preset, postprocessing=replace(pipeline.preset.postprocessing, across_mm=10.0)
    )
    models = load_models(shared_bundles).with_preset(preset)
    found = calibrate_on_cases(
        AnomalyPipeline(models, "fast", "cpu", require_threshold=False),
        cases[1:],
        0.1,
        slices_per_case=4,
    )
    assert found.origin["slices"] == 4
    assert cases[1].brain is not None
    flair, brain = read_nifti(cases[1].images["flair"], "flair"), read_nifti(cases[1].brain, "mask")
    result = AnomalyPipeline(models, "fast", "cpu", threshold=found.threshold).run(flair, brain)
    slices = load_case(cases[1], {"flair": pipeline.normalisation})
    holding = SliceRule().select(slices.brain.flatten(1).sum(1).tolist())
    spread = np.array(holding)[np.linspace(0, len(holding) - 1, 4).round().astype(int)]
    chosen = result.brain_mask.data[:, :, spread] > 0
    assert found.origin["voxels"] == chosen.sum(), "evenly spread from the first to the last one"
    above = result.smoothed_map.data[:, :, spread][chosen] > found.threshold
    assert above.mean() == pytest.approx(0.1, abs=0.005)
    alone = calibrate_on_cases(pipeline, cases[1:], 0.1, slices_per_case=4)
    assert alone.threshold != pytest.approx(found.threshold, rel=1e-3)


def test_threshold_holds_on_the_smoothed_native_map(
    pipeline: AnomalyPipeline, cases: list[Case], shared_bundles: Path
) -> None:
    """What is calibrated is what predict thresholds: on the same healthy case the same share lies
    above.
    """
    found = calibrate_on_cases(pipeline, cases[1:], 0.1)
    run = AnomalyPipeline(load_models(shared_bundles), "fast", "cpu", threshold=found.threshold)
    result = run.run(read_nifti(cases[1].images["flair"], "flair"))
    assert result.segmentation.data.sum() / result.brain_mask.data.sum() == pytest.approx(
        0.1, abs=0.005
    )


def test_normal_range_is_learned_from_healthy_slices(
    pipeline: AnomalyPipeline,
    cases: list[Case],
    shared_bundles: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On the healthy case itself its percentiles are uniform; without the calibration there are
    none.
    """
    found = calibrate_on_cases(pipeline, cases[1:], 0.1)
    assert found.normal_range is not None
    assert sum(map(sum, found.normal_range.voxels)) > 1000
    flair = read_nifti(cases[1].images["flair"], "flair")
    without = AnomalyPipeline(
        load_models(shared_bundles), "fast", "cpu", threshold=found.threshold
    ).run(flair)
    assert without.percentile_map is None
    assert without.report.unusual_ml is None
    monkeypatch.setenv("MMCCD_CALIBRATIONS", str(tmp_path))
    store_calibration("fast", found)
    models = load_models(shared_bundles)
    result = AnomalyPipeline(models, "fast", "cpu").run(flair)
    assert result.percentile_map is not None
    inside = result.brain_mask.data > 0
    percent = result.percentile_map.data
    assert percent.dtype == np.float32
    assert (percent[~inside] == 0).all()
    assert (percent[inside] <= 100).all()
    for level in (30, 60, 90):
        assert (percent[inside] > level).mean() == pytest.approx(1 - level / 100, abs=0.06)
    unusual = result.report.unusual_ml
    assert unusual is not None
    assert unusual["above_95_percent"] == pytest.approx(
        (percent[inside] > 95).sum() * flair.voxel_ml, abs=1e-3
    )
    assert unusual["expected_above_99_percent"] == pytest.approx(
        inside.sum() * flair.voxel_ml / 100, abs=1e-3
    )
    given = AnomalyPipeline(models, "fast", "cpu", threshold=1.0).run(flair)
    assert given.percentile_map is not None, "another threshold does not change what is normal"
    assert "normal_range" not in result.report.model_dump()["threshold"]["calibration"]


def test_best_dice(pipeline: AnomalyPipeline, cases: list[Case]) -> None:
    """No other threshold segments the labelled case better; healthy slices still make the normal
    range.
    """
    case = cases[0]
    found = calibrate_on_cases(pipeline, [case], None)
    assert found.origin["method"].startswith("best pooled Dice")
    assert found.points == {}, "one threshold, which is of no operating point"
    assert case.label is not None and case.brain is not None
    run = AnomalyPipeline(pipeline.models, "fast", "cpu", threshold=found.threshold)
    result = run.run(read_nifti(case.images["flair"], "flair"), read_nifti(case.brain, "mask"))
    lesion = read_nifti(case.label, "mask").data > 0
    assert dice(lesion, result.segmentation.data > 0) == pytest.approx(
        found.origin["dice"], abs=1e-3
    )
    for factor in (0.8, 0.95, 1.05, 1.2):
        other = (result.smoothed_map.data > factor * found.threshold) & (result.brain_mask.data > 0)
        assert dice(lesion, other) <= found.origin["dice"] + 1e-6
    healthy = calibrate_on_cases(pipeline, [case], 0.1)
    # Smoothing across slices lets the lesion into the healthy slices beside it where all slices are
    # run, as in predict.
    assert found.healthy_error == pytest.approx(healthy.healthy_error, rel=0.01)
    assert found.normal_range is not None and healthy.normal_range is not None
    assert found.normal_range.voxels == healthy.normal_range.voxels
    assert found.normal_range.reconstructed_edges == healthy.normal_range.reconstructed_edges


def test_best_dice_learns_the_same_healthy_tissue(cases: list[Case], shared_bundles: Path) -> None:
    """Without smoothing across slices, the healthy slices do not feel the lesion, whatever else is
    run.
    """
    models = load_models(shared_bundles)
    preset = models.preset("fast")
    preset = replace(preset, postprocessing=replace(preset.postprocessing, across_mm=0.0))
    pipeline = AnomalyPipeline(models.with_preset(preset), "fast", "cpu", require_threshold=False)
    found, healthy = (calibrate_on_cases(pipeline, cases[:1], rate) for rate in (None, 0.1))
    assert found.healthy_error == pytest.approx(healthy.healthy_error, rel=1e-4)
    assert found.normal_range == healthy.normal_range


def test_best_dice_needs_lesions(pipeline: AnomalyPipeline, cases: list[Case]) -> None:
    with pytest.raises(UnsuitableInputError, match="no lesion"):
        calibrate_on_cases(pipeline, cases[1:], None)


def test_progress(pipeline: AnomalyPipeline, cases: list[Case]) -> None:
    seen: list[tuple[int, int]] = []
    calibrate_on_cases(
        pipeline, cases, 0.1, 2, progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(1, 2), (2, 2)]


def test_no_healthy_slice(
    pipeline: AnomalyPipeline, lesion_phantom: Phantom, tmp_path: Path
) -> None:
    everywhere = lesion_phantom.lesion.with_data(
        np.ones(lesion_phantom.lesion.shape, dtype=np.uint8)
    )
    write_phantom(replace(lesion_phantom, lesion=everywhere), tmp_path, "ill")
    with pytest.raises(UnsuitableInputError, match="without a lesion"):
        calibrate_on_cases(pipeline, find_cases(tmp_path), 0.1)


def test_case_without_source(pipeline: AnomalyPipeline, cases: list[Case]) -> None:
    without = Case("case9", {"t2": cases[0].images["t2"]}, None, "case9")
    with pytest.raises(InputError, match="case9.*flair"):
        calibrate_on_cases(pipeline, [without], 0.1)


def test_test_case_is_refused(pipeline: AnomalyPipeline, cases: list[Case]) -> None:
    """Whoever calls: a patient of the test split never gets as far as the scorer."""
    with pytest.raises(UnsuitableInputError, match="mirrored.*test split"):
        calibrate_on_cases(pipeline, cases, 0.1, test=cases[1:])


class TestCommand:
    def test_stored_and_found_again(
        self,
        tiny_bundles: Path,
        phantom_data: Path,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        flair = split_cases(phantom_data)["val"][0].images["flair"]
        predict = [
            "predict",
            str(flair),
            "--preset",
            "fast",
            "--device",
            "cpu",
            "--bundles",
            str(tiny_bundles),
        ]
        assert cli.run([*predict, "--output", str(tmp_path / "before")]) == 6
        calibrate = [
            "calibrate",
            "--data",
            str(phantom_data),
            "--preset",
            "fast",
            "--device",
            "cpu",
            "--bundles",
            str(tiny_bundles),
        ]
        assert cli.run([*calibrate, "--rate", "0.1", "--slices-per-case", "3"]) == 0
        file = tiny_bundles / FORWARD / "calibrations" / "fast-fp32.json"
        (stored,) = read_calibrations(file)
        assert (stored.origin["split"], stored.origin["slices"], stored.origin["data"]) == (
            "val",
            3,
            phantom_data.name,
        )
        assert cli.run([*predict, "--output", str(tmp_path / "after")]) == 0
        assert not (tmp_path / "before").exists()
        assert (tmp_path / "after" / "percentile_map.nii.gz").is_file()
        threshold = json.loads((tmp_path / "after" / "report.json").read_text())["threshold"]
        assert (threshold["source"], threshold["value"]) == ("calibration", stored.threshold)
        assert cli.run([*calibrate, "--rate", "0.3", "--slices-per-case", "3"]) == 0
        (again,) = read_calibrations(file)
        assert again.threshold < stored.threshold, "the old one of the same settings is replaced"

    @pytest.mark.slow
    def test_operating_points_from_calibrate_to_predict(
        self,
        tiny_bundles: Path,
        phantom_data: Path,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        flair = split_cases(phantom_data)["val"][0].images["flair"]
        shared = ["--preset", "fast", "--device", "cpu", "--bundles", str(tiny_bundles)]
        calibrate = ["calibrate", "--data", str(phantom_data), *shared]
        assert cli.run(calibrate) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[0] for line in lines] == [*RATES, "threshold"]
        assert "at most 0.05 % of healthy brain is marked, pooled over" in lines[0]
        assert " mL (median) to " in lines[0]
        assert cli.run([*calibrate, "--json"]) == 0
        points = json.loads(capsys.readouterr().out)["points"]
        volumes = {}
        for name in RATES:
            output = tmp_path / name
            words = ["predict", str(flair), *shared, "--output", str(output), "--json"]
            assert cli.run([*words, "--operating-point", name]) == 0
            said = json.loads(capsys.readouterr().out)
            report = json.loads((output / "report.json").read_text())
            threshold = report["threshold"]
            assert said["operating_point"] == threshold["operating_point"] == name
            assert said["threshold"] == threshold["value"] == points[name]["threshold"]
            assert threshold["meaning"] in (output / "report.html").read_text()
            assert report["request"]["operating_point"] == name
            volumes[name] = report["volumes_ml"]["anomalous"]
        assert volumes["specific"] < volumes["balanced"] < volumes["sensitive"]

    def test_a_threshold_for_each_precision(
        self, tiny_bundles: Path, phantom_data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """predict takes bf16 where the hardware has it once its threshold is there."""
        words = [
            "calibrate",
            "--data",
            str(phantom_data),
            "--preset",
            "fast",
            "--device",
            "cpu",
            "--slices-per-case",
            "4",
            "--rate",
            "0.1",
        ]
        for precision in ("fp32", "bf16"):
            assert cli.run([*words, "--bundles", str(tiny_bundles), "--precision", precision]) == 0
        folder = tiny_bundles / FORWARD / "calibrations"
        (fp32,), (bf16,) = (
            read_calibrations(folder / f"fast-{precision}.json") for precision in ("fp32", "bf16")
        )
        assert (fp32.key.precision, bf16.key.precision) == ("fp32", "bf16")
        assert bf16.threshold == pytest.approx(fp32.threshold, rel=0.05)
        assert bf16.threshold != fp32.threshold
        for fast in (True, False):
            monkeypatch.setattr("mmccd.bundle.models.has_fast_bf16", lambda device, fast=fast: fast)
            chosen = AnomalyPipeline.from_bundles(tiny_bundles, preset="fast", device="cpu")
            assert (chosen.precision, chosen.threshold) == (
                ("bf16", bf16.threshold) if fast else ("fp32", fp32.threshold)
            )

    @pytest.mark.parametrize(
        ("words", "code", "named"),
        [
            (["--split", "test"], 2, "test"),
            (["--precision", "fp16"], 2, "fp16"),
            (["--rate", "0"], 2, "--rate"),
            (["--rate", "1"], 2, "--rate"),
            (["--rate", "5"], 2, "--rate"),
            (["--rate", "0.1", "--best-dice"], 2, "--best-dice"),
            (["--preset", "slow"], 2, "slow"),
            (["--target", "t1"], 6, "t1"),
            (["--split-file", "{tmp}/nowhere.json"], 3, "nowhere.json"),
            (["--split-file", "{tmp}/empty.json"], 4, "val"),
        ],
    )
    def test_refused(
        self,
        tiny_bundles: Path,
        phantom_data: Path,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        words: list[str],
        code: int,
        named: str,
    ) -> None:
        (tmp_path / "empty.json").write_text('{"train": ["mirrored"], "val": []}')
        before = [path.read_bytes() for path in sorted(tiny_bundles.rglob("*.json"))]
        filled = [word.replace("{tmp}", str(tmp_path)) for word in words]
        assert (
            cli.run(
                ["calibrate", "--data", str(phantom_data), "--bundles", str(tiny_bundles), *filled]
            )
            == code
        )
        (line,) = capsys.readouterr().err.splitlines()
        assert named in line
        assert [path.read_bytes() for path in sorted(tiny_bundles.rglob("*.json"))] == before

    def test_data_is_missing(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.run(["calibrate"]) == 2
        assert "--data" in capsys.readouterr().err
