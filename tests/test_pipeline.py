"""mmccd.pipeline: from a volume to map, segmentation and report."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from nibabel import orientations
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from tests.conftest import add_decision

from mmccd.brain import Brain, find_brain
from mmccd.bundle import load_models, store_calibration
from mmccd.bundle.calibration import Calibration, CalibrationKey
from mmccd.bundle.weights import file_sha256
from mmccd.core.errors import (
    CancelledError,
    ModelError,
    ResourceError,
    UnsuitableInputError,
    UsageError,
)
from mmccd.core.findings import Finding
from mmccd.core.operating_points import OPERATING_POINTS, RATES, OperatingPoint
from mmccd.core.result import Result
from mmccd.core.score_maps import ScoreMaps
from mmccd.core.volume import Volume
from mmccd.methods.base import Slices
from mmccd.methods.mmccd.parallel import ParallelScorer
from mmccd.methods.scoring import error_within
from mmccd.phantom import Phantom
from mmccd.pipeline import NOTICE, AnomalyPipeline, make_intake
from mmccd.postprocessing.smoothing import smooth

THRESHOLD = 0.7
DOES_NOT_FOLLOW = "reconstruction.does_not_follow"


def make_pipeline(bundles: Path, **options: Any) -> AnomalyPipeline:
    """The quick preset on the CPU."""
    return AnomalyPipeline(load_models(bundles), **{"preset": "fast", "device": "cpu", **options})


@pytest.fixture(scope="module")
def flair(lesion_phantom: Phantom) -> Volume:
    return lesion_phantom.images["flair"]


@pytest.fixture(scope="module")
def pipeline(shared_bundles: Path) -> AnomalyPipeline:
    return make_pipeline(shared_bundles, threshold=THRESHOLD)


@pytest.fixture(scope="module")
def result(pipeline: AnomalyPipeline, flair: Volume) -> Result:
    return pipeline.run(flair)


def test_map(result: Result, flair: Volume) -> None:
    anomaly = result.anomaly_map
    assert anomaly.same_grid(flair)
    assert np.array_equal(anomaly.affine, flair.affine)
    assert anomaly.data.dtype == np.float32
    assert np.isfinite(anomaly.data).all()
    inside = result.brain_mask.data > 0
    assert (anomaly.data[~inside] == 0).all()
    assert (anomaly.data[inside] > 0).mean() > 0.98
    assert anomaly.data.std() > 0.1


def test_brain_mask(result: Result, flair: Volume) -> None:
    mask = result.brain_mask
    assert mask.data.dtype == np.uint8
    assert set(np.unique(mask.data)) == {0, 1}
    assert (mask.data >= (flair.data > 0)).all()


def test_segmentation_is_the_smoothed_map_above_the_threshold(result: Result) -> None:
    segmentation = result.segmentation
    assert segmentation.data.dtype == np.uint8
    assert segmentation.same_grid(result.image)
    assert np.array_equal(
        segmentation.data, (result.smoothed_map.data > THRESHOLD).astype(np.uint8)
    )
    assert 0.02 < segmentation.data.sum() / result.brain_mask.data.sum() < 0.98, (
        "a threshold that tests something"
    )
    assert not np.array_equal(
        segmentation.data, (result.anomaly_map.data > THRESHOLD).astype(np.uint8)
    ), "the filter does something"
    assert (result.smoothed_map.data[result.brain_mask.data == 0] == 0).all()


def test_report(result: Result, flair: Volume) -> None:
    report = result.report.model_dump(mode="json")
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert (report["status"], report["notice"], report["anomaly_found"]) == ("done", NOTICE, True)
    assert report["threshold"] == {"value": THRESHOLD, "source": "given", "calibration": None}
    assert report["volumes_ml"]["brain"] == pytest.approx(
        result.brain_mask.data.sum() * flair.voxel_ml, abs=1e-3
    )
    assert report["volumes_ml"]["anomalous"] == pytest.approx(
        result.segmentation.data.sum() * flair.voxel_ml, abs=1e-3
    )
    values = result.anomaly_map.data[result.brain_mask.data > 0]
    assert report["map"]["mean"] == pytest.approx(values.mean(), rel=0.02)
    assert report["map"]["max"] == pytest.approx(values.max())
    assert report["input"]["shape"] == list(flair.shape)
    assert report["input"]["brain_found_by"] == "already stripped"
    assert report["input"]["slices_with_brain"] == int(
        result.brain_mask.data.any(axis=(0, 1)).sum()
    )
    settings = report["settings"]
    assert {key: settings[key] for key in ("preset", "target", "precision", "device", "seed")} == {
        "preset": "fast",
        "target": "t2",
        "precision": "fp32",
        "device": "cpu",
        "seed": 0,
    }
    assert settings["cycle"]["stride"] == 16
    assert all(len(report["weights"][name]["sha256"]) == 64 for name in ("forward", "backward"))
    assert {"mmccd", "torch", "monai", "numpy", "python"} <= set(report["versions"])
    assert {"brain", "cycle", "segmentation"} <= set(report["timings_s"])


def test_warnings_of_the_reader_and_of_the_weights_are_passed_on(
    shared_bundles: Path, flair: Volume
) -> None:
    models = replace(
        load_models(shared_bundles),
        warnings=(Finding("model.research_only", "research weights", "note"),),
    )
    read = (Finding("nifti.no_orientation", "no orientation"), Finding("dicom.lossy", "lossy"))
    volume = replace(flair, findings=read)
    found = AnomalyPipeline(models, "fast", "cpu", THRESHOLD).run(volume).report
    assert found.warnings[0] == "research weights"
    assert found.warnings[-1] == found.input.warning == "no orientation; lossy"
    codes = [finding.code for finding in found.findings]
    assert codes[0] == "model.research_only"
    assert codes[-2:] == ["nifti.no_orientation", "dicom.lossy"]


def test_every_weight_file_of_the_preset_is_reported(tiny_bundles: Path, flair: Volume) -> None:
    decision = add_decision(tiny_bundles, "fast")
    found = make_pipeline(tiny_bundles, threshold=THRESHOLD).run(flair).report.weights
    assert list(found) == ["forward", "backward", "decision"]
    assert found["decision"].sha256 == file_sha256(decision)


def test_same_seed_same_bytes(
    pipeline: AnomalyPipeline, result: Result, shared_bundles: Path, flair: Volume
) -> None:
    again = make_pipeline(shared_bundles, threshold=THRESHOLD, seed=0).run(flair)
    assert again.anomaly_map.data.tobytes() == result.anomaly_map.data.tobytes()
    other = make_pipeline(shared_bundles, threshold=THRESHOLD, seed=1).run(flair)
    assert other.report.settings.seed == 1
    inside = result.brain_mask.data > 0
    assert np.mean(other.anomaly_map.data[inside] != result.anomaly_map.data[inside]) > 0.9


def turned(volume: Volume, codes: str) -> Volume:
    """The same head stored in another axis order."""
    image = nib.Nifti1Image(volume.data, volume.affine)
    transform = orientations.ornt_transform(
        nib.io_orientation(volume.affine), orientations.axcodes2ornt(codes)
    )
    new = image.as_reoriented(transform)
    return Volume(
        np.ascontiguousarray(new.get_fdata(dtype=np.float32)), new.affine, volume.modality
    )


def stored_as(volume: Volume, like: Volume) -> NDArray[np.float32]:
    """Voxels of ``volume`` in the axis order of ``like``."""
    codes = "".join(nib.aff2axcodes(like.affine))
    return np.asarray(turned(volume.with_data(volume.data.astype(np.float32)), codes).data)


@pytest.mark.parametrize("codes", ["LPS", "ASR", "SLP", "IPR"])
def test_axis_order_does_not_matter(
    pipeline: AnomalyPipeline, result: Result, flair: Volume, codes: str
) -> None:
    other = pipeline.run(turned(flair, codes))
    assert other.anomaly_map.shape == turned(flair, codes).shape
    assert (
        np.abs(stored_as(other.anomaly_map, flair) - result.anomaly_map.data).max()
        < 1e-5 * result.anomaly_map.data.max()
    )
    assert np.mean(stored_as(other.segmentation, flair) != result.segmentation.data) < 1e-4


def test_oblique_affine(pipeline: AnomalyPipeline, result: Result, flair: Volume) -> None:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", (8, -6, 11), degrees=True).as_matrix()
    oblique = Volume(flair.data, affine @ flair.affine, "flair")
    other = pipeline.run(oblique)
    assert np.array_equal(other.anomaly_map.affine, oblique.affine)
    assert (
        np.abs(other.anomaly_map.data - result.anomaly_map.data).max()
        < 1e-4 * result.anomaly_map.data.max()
    )


def test_intensity_scale_does_not_matter(
    pipeline: AnomalyPipeline, result: Result, flair: Volume
) -> None:
    other = pipeline.run(flair.with_data(flair.data * 37.5))
    assert (
        np.abs(other.anomaly_map.data - result.anomaly_map.data).max()
        < 1e-3 * result.anomaly_map.data.max()
    )


def test_given_mask(pipeline: AnomalyPipeline, flair: Volume) -> None:
    mask = flair.data > 0
    mask[: mask.shape[0] // 2] = False
    found = pipeline.run(flair, flair.with_data(mask.astype(np.float32), "mask"))
    assert found.report.input.brain_found_by == "given mask"
    assert any(
        "width" in text or "flat" in text or "contrast" in text for text in found.report.warnings
    )
    assert np.array_equal(found.brain_mask.data > 0, mask)
    assert (found.anomaly_map.data[~mask] == 0).all()
    assert (found.anomaly_map.data[mask] > 0).mean() > 0.95


def test_wanted_slices_only(pipeline: AnomalyPipeline, result: Result, flair: Volume) -> None:
    wanted = np.zeros(flair.shape[2], dtype=bool)
    wanted[[5, 8]] = True
    maps = pipeline.maps(flair, find_brain(flair), wanted)
    assert maps.brain.any(axis=(0, 1)).nonzero()[0].tolist() == [5, 8]
    assert (maps.anomaly[:, :, ~wanted] == 0).all()
    assert np.allclose(
        maps.anomaly[:, :, wanted], result.anomaly_map.data[:, :, wanted], rtol=0, atol=1e-5
    )
    postprocessing = pipeline.preset.postprocessing
    inside = maps.slices.brain[:, 0].numpy()
    alone = smooth(
        np.where(inside, maps.scores.anomaly[:, 0].numpy(), 0),
        inside,
        flair.spacing[2],
        postprocessing,
    )
    assert np.array_equal(maps.model.smoothed, alone), (
        "smoothed with what was run, and nothing else"
    )
    reach = postprocessing.reach(flair.spacing[2])
    near = np.abs(np.arange(len(wanted)) - 5) <= reach
    assert reach > 0
    smoothed = pipeline.maps(flair, find_brain(flair), near).smoothed
    assert np.allclose(smoothed[:, :, 5], result.smoothed_map.data[:, :, 5], rtol=0, atol=1e-5), (
        "neighbours within reach are enough"
    )


def test_wanted_slices_are_counted_from_below(pipeline: AnomalyPipeline, flair: Volume) -> None:
    """Whatever the axis order: slice 4 is the fifth from the neck."""
    wanted = np.zeros(flair.shape[2], dtype=bool)
    wanted[4] = True
    upside_down = turned(flair, "LPI")
    maps = pipeline.maps(upside_down, find_brain(upside_down), wanted)
    assert maps.brain.any(axis=(0, 1)).nonzero()[0].tolist() == [flair.shape[2] - 1 - 4]


def test_progress(pipeline: AnomalyPipeline, flair: Volume) -> None:
    seen: list[tuple[int, int]] = []
    pipeline.run(flair, progress=lambda done, total: seen.append((done, total)))
    totals = {total for _, total in seen}
    assert len(totals) == 1
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1][0] == seen[-1][1]


def test_cancel(pipeline: AnomalyPipeline, flair: Volume) -> None:
    with pytest.raises(CancelledError):
        pipeline.run(flair, cancelled=lambda: True)


class BrokenScorer:
    """Runs out of memory."""

    def __init__(self, fail: Callable[[], object]) -> None:
        self.fail = fail

    def score(self, slices: Slices, progress: object = None, cancelled: object = None) -> ScoreMaps:
        self.fail()
        raise AssertionError("did not fail")


def raise_memory_error(*message: str) -> Callable[[], object]:
    def fail() -> None:
        raise MemoryError(*message)

    return fail


@pytest.mark.parametrize(
    "fail",
    [
        raise_memory_error("Unable to allocate 12 GiB"),
        raise_memory_error(),
        lambda: torch.empty(2**60),
    ],
    ids=["numpy", "without a message", "torch on a CPU"],
)
def test_out_of_memory(shared_bundles: Path, flair: Volume, fail: Callable[[], object]) -> None:
    pipeline = make_pipeline(shared_bundles, threshold=THRESHOLD)
    pipeline.scorer = BrokenScorer(fail)
    with pytest.raises(ResourceError) as error:
        pipeline.run(flair)
    assert error.value.exit_code == 7
    assert "\n" not in str(error.value)


def test_no_calibration(shared_bundles: Path) -> None:
    with pytest.raises(ModelError) as error:
        make_pipeline(shared_bundles)
    assert error.value.exit_code == 6
    for part in (str(shared_bundles), "t2", "fast", "--threshold"):
        assert part in str(error.value)


def test_maps_need_no_threshold_but_a_run_does(shared_bundles: Path, flair: Volume) -> None:
    pipeline = make_pipeline(shared_bundles, require_threshold=False)
    wanted = np.arange(flair.shape[2]) == 7
    assert pipeline.maps(flair, find_brain(flair), wanted).anomaly.any()
    with pytest.raises(ModelError, match="threshold"):
        pipeline.run(flair)


def test_calibration_is_used(tiny_bundles: Path, flair: Volume) -> None:
    models = load_models(tiny_bundles)
    key = models.key(models.preset("fast"), "fp32")
    stored = Calibration(key, 0.625, {"data": "healthy", "wanted_rate": 0.05}, {"mean": 0.1})
    store_calibration("fast", stored, tiny_bundles)
    pipeline = make_pipeline(tiny_bundles)
    assert pipeline.threshold == 0.625
    wanted = pipeline.run(flair).report.threshold
    assert (wanted.value, wanted.source) == (0.625, "calibration")
    assert wanted.calibration is not None
    assert wanted.calibration.origin["data"] == "healthy"
    assert make_pipeline(tiny_bundles, threshold=0.3).threshold == 0.3, "a given threshold wins"
    assert make_pipeline(tiny_bundles, seed=5).threshold == 0.625, "the seed is not part of the key"


POINTS = {
    name: OperatingPoint(RATES[name], threshold, "median over cases", 8, 0.002, 0.001, 0.02)
    for name, threshold in (("specific", 0.9), ("balanced", 0.7), ("sensitive", 0.5))
}


def store_points(bundles: Path, points: dict[str, OperatingPoint] = POINTS) -> Path:
    """A calibration of the quick preset with the threshold .7, and its file."""
    models = load_models(bundles)
    key = models.key(models.preset("fast"), "fp32")
    return store_calibration("fast", Calibration(key, 0.7, {"cases": 8}, points=points), bundles)


@pytest.mark.parametrize("name", OPERATING_POINTS)
def test_operating_point(tiny_bundles: Path, flair: Volume, name: str) -> None:
    store_points(tiny_bundles)
    found = make_pipeline(tiny_bundles, operating_point=name).run(flair)
    threshold = found.report.threshold
    assert (threshold.value, threshold.operating_point) == (POINTS[name].threshold, name)
    assert threshold.point == POINTS[name]
    assert threshold.calibration is not None and threshold.calibration.threshold == 0.7
    assert np.array_equal(
        found.segmentation.data > 0, found.smoothed_map.data > POINTS[name].threshold
    )
    for lesion in found.report.lesions:
        assert lesion.mean is not None and lesion.mean > POINTS[name].threshold
        assert lesion.confidence == (
            "high" if lesion.mean > 0.9 else "moderate" if lesion.mean > 0.7 else "low"
        )
    levels = {lesion.confidence for lesion in found.report.lesions}
    assert levels <= {"high"} if name == "specific" else levels


def test_balanced_is_the_default(tiny_bundles: Path) -> None:
    store_points(tiny_bundles)
    pipeline = make_pipeline(tiny_bundles)
    assert (pipeline.threshold, pipeline.operating_point) == (0.7, "balanced")
    named = AnomalyPipeline.from_bundles(
        tiny_bundles, preset="fast", device="cpu", operating_point="sensitive"
    )
    assert (named.threshold, named.settings.operating_point) == (0.5, "sensitive")


def test_a_given_threshold_is_of_no_operating_point(tiny_bundles: Path, flair: Volume) -> None:
    store_points(tiny_bundles)
    pipeline = make_pipeline(tiny_bundles, threshold=0.6)
    assert pipeline.operating_point is None
    report = pipeline.run(flair).report
    assert report.threshold.operating_point is None
    assert {lesion.confidence for lesion in report.lesions} == {None}
    assert all(lesion.mean is not None for lesion in report.lesions)
    with pytest.raises(UsageError, match="exclude each other"):
        make_pipeline(tiny_bundles, threshold=0.6, operating_point="specific")


def test_a_calibration_of_before_has_one_threshold(tiny_bundles: Path, flair: Volume) -> None:
    path = store_points(tiny_bundles, {})
    pipeline = make_pipeline(tiny_bundles)
    assert (pipeline.threshold, pipeline.operating_point) == (0.7, None)
    report = pipeline.run(flair).report
    assert report.threshold.source == "calibration"
    assert report.threshold.operating_point is None
    assert {lesion.confidence for lesion in report.lesions} == {None}
    for name in ("specific", "sensitive"):
        with pytest.raises(ModelError) as error:
            make_pipeline(tiny_bundles, operating_point=name)
        assert (error.value.exit_code, error.value.code) == (6, "calibration.no_such_point")
        for part in (str(path), name, "mmccd calibrate", "--threshold"):
            assert part in str(error.value)
        assert "\n" not in str(error.value)


def with_settings(key: CalibrationKey, room: str, **changes: Any) -> CalibrationKey:
    return replace(key, settings={**key.settings, room: {**key.settings[room], **changes}})


def with_weights(key: CalibrationKey, **hashes: str) -> CalibrationKey:
    return replace(key, weights={**key.weights, **hashes})


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(lambda key: replace(key, target="t1"), id="target"),
        pytest.param(lambda key: replace(key, precision="bf16"), id="precision"),
        pytest.param(lambda key: with_weights(key, forward="0" * 64), id="weights of f"),
        pytest.param(lambda key: with_weights(key, backward="0" * 64), id="weights of g"),
        pytest.param(lambda key: with_weights(key, decision="0" * 64), id="more weights"),
        pytest.param(lambda key: replace(key, algorithm=0), id="algorithm"),
        pytest.param(lambda key: replace(key, method="other"), id="method"),
        pytest.param(lambda key: with_settings(key, "cycle", stride=8), id="stride"),
        pytest.param(lambda key: with_settings(key, "cycle", steps=2), id="steps"),
        pytest.param(lambda key: with_settings(key, "cycle", reading="code"), id="reading"),
        pytest.param(
            lambda key: with_settings(key, "postprocessing", median_size=3), id="median filter"
        ),
    ],
)
def test_calibration_of_something_else_is_not_used(
    tiny_bundles: Path,
    monkeypatch: pytest.MonkeyPatch,
    other: Callable[[CalibrationKey], CalibrationKey],
) -> None:
    monkeypatch.setattr("mmccd.bundle.models.has_fast_bf16", lambda device: False)
    models = load_models(tiny_bundles)
    key = models.key(models.preset("fast"), "fp32")
    store_calibration("fast", Calibration(other(key), 0.625, {}), tiny_bundles)
    with pytest.raises(ModelError, match="no calibration"):
        make_pipeline(tiny_bundles)


def test_several_devices_share_a_volume(
    shared_bundles: Path, flair: Volume, result: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two devices, here twice the CPU: the map of one up to rounding."""
    monkeypatch.setattr(
        "mmccd.pipeline.choose_devices", lambda names: (torch.device("cpu"), torch.device("cpu"))
    )
    pipeline = make_pipeline(shared_bundles, threshold=THRESHOLD)
    assert isinstance(pipeline.scorer, ParallelScorer)
    shared = pipeline.run(flair)
    assert (
        np.abs(shared.anomaly_map.data - result.anomaly_map.data).max()
        < 1e-5 * result.anomaly_map.data.max()
    )
    assert shared.report.settings.device == "cpu,cpu"


@pytest.mark.parametrize("options", [{"preset": "slow"}, {"device": "tpu"}, {"device": "cuda:99"}])
def test_unknown_preset_or_device(shared_bundles: Path, options: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=next(iter(options.values()))):
        make_pipeline(shared_bundles, threshold=THRESHOLD, **options)


def test_from_bundles(shared_bundles: Path, result: Result, flair: Volume) -> None:
    pipeline = AnomalyPipeline.from_bundles(shared_bundles, "t2", "fast", "cpu", THRESHOLD)
    assert np.array_equal(pipeline.run(flair).anomaly_map.data, result.anomaly_map.data)
    with pytest.raises(ModelError, match="t1"):
        AnomalyPipeline.from_bundles(shared_bundles, "t1", "fast", "cpu", THRESHOLD)


def test_nan_in_the_brain_is_refused(pipeline: AnomalyPipeline, flair: Volume) -> None:
    data = flair.data.copy()
    data[50, 60, 8] = np.nan
    with pytest.raises(UnsuitableInputError, match="NaN"):
        pipeline.run(flair.with_data(data))
    with pytest.raises(UnsuitableInputError, match="NaN"):
        pipeline.maps(flair.with_data(data), Brain(flair.data > 0, "given mask"))


def test_nothing_found_is_a_result(shared_bundles: Path, flair: Volume) -> None:
    report = make_pipeline(shared_bundles, threshold=1e9).run(flair).report
    assert (report.status, report.anomaly_found, report.volumes_ml.anomalous) == (
        "done",
        False,
        0.0,
    )


def test_real_volume(shared_bundles: Path, real_data: Path) -> None:
    """A thin slab of a real FLAIR volume keeps its grid; the map ends where the brain ends."""
    image = nib.load(real_data / "ms" / "OPENMS_26" / "OPENMS_26_flair.nii.gz").slicer[:, :, 80:92]
    volume = Volume(
        np.asarray(image.get_fdata(dtype=np.float32)), np.asarray(image.affine), "flair"
    )
    with pytest.raises(UnsuitableInputError, match="12 axial slices"):
        make_pipeline(shared_bundles, threshold=THRESHOLD).run(volume)
    intake = make_intake(unchecked=True)
    found = make_pipeline(shared_bundles, threshold=THRESHOLD, intake=intake).run(volume)
    assert any("12 axial slices" in text for text in found.report.warnings)
    assert np.array_equal(found.anomaly_map.affine, volume.affine)
    assert (found.anomaly_map.data[volume.data == 0] == 0).mean() > 0.99
    assert (found.anomaly_map.data[volume.data > 0] > 0).mean() > 0.97


def test_a_preset_of_another_method(tiny_bundles: Path, flair: Volume) -> None:
    """A plain rule by one JSON file: nothing comes back, and the input's brightness decides."""
    folder = tiny_bundles / "forward_masked_diffusion" / "configs" / "presets"
    content = json.loads((folder / "fast.json").read_text())
    content |= {"method": "rule", "settings": {}, "postprocessing": {}}
    (folder / "plain.json").write_text(json.dumps(content))
    models = load_models(tiny_bundles, preset="plain")
    result = AnomalyPipeline(models, "plain", "cpu", threshold=1.2).run(flair)
    assert bool(torch.isnan(result.maps.reconstructed).all())
    assert result.report.returned_image is None
    assert DOES_NOT_FOLLOW not in [finding.code for finding in result.report.findings]
    marked = result.segmentation.data > 0
    assert marked.any()
    assert flair.data[marked].mean() > np.percentile(flair.data[result.brain_mask.data > 0], 80)


class Returning:
    """A scorer whose reconstructed image is known."""

    def __init__(self, gain: float, texture: float) -> None:
        self.gain, self.texture = gain, texture

    def score(self, slices: Slices, progress: object = None, cancelled: object = None) -> ScoreMaps:
        noise = torch.randn(slices.image.shape, generator=torch.Generator().manual_seed(0))
        back = self.gain * slices.image + self.texture * noise
        return error_within(slices, torch.full_like(back, torch.nan), back)


def returning(bundles: Path, gain: float, texture: float) -> AnomalyPipeline:
    pipeline = make_pipeline(bundles, threshold=THRESHOLD)
    pipeline.scorer = Returning(gain, texture)
    return pipeline


@pytest.mark.parametrize(("gain", "texture", "warns"), [(0.9, 0.05, False), (0.1, 0.5, True)])
def test_whether_what_returned_follows_the_input(
    shared_bundles: Path, flair: Volume, gain: float, texture: float, warns: bool
) -> None:
    found = returning(shared_bundles, gain, texture).run(flair).report
    image = found.returned_image
    assert image is not None
    assert (image.correlation < 0.5) == warns
    assert (DOES_NOT_FOLLOW in [finding.code for finding in found.findings]) == warns
    if not warns:
        assert image.correlation > 0.95
        assert image.spread == pytest.approx(gain, rel=0.02)


def test_healthy_is_what_is_not_marked(shared_bundles: Path, flair: Volume) -> None:
    """The figures of the report, again from the maps."""
    pipeline = returning(shared_bundles, 0.6, 0.1)
    image = pipeline.run(flair).report.returned_image
    maps = pipeline.maps(flair, find_brain(flair))
    healthy = maps.slices.brain[:, 0].numpy() & (maps.model.smoothed <= THRESHOLD)
    x, back = (
        layer[:, 0].numpy()[healthy] for layer in (maps.slices.image, maps.scores.reconstructed)
    )
    assert (maps.model.smoothed > THRESHOLD).sum() > 0, "something is marked"
    assert image is not None
    assert image.correlation == pytest.approx(np.corrcoef(x, back)[0, 1], abs=1e-4)
    assert image.spread == pytest.approx(back.std() / x.std(), abs=1e-4)
    assert image.error == pytest.approx(np.abs(x - back).mean(), abs=1e-4)
