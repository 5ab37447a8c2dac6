"""What follows the trainings of a study: thresholds and tables."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mmccd.bundle import load_models, read_preset, store_calibration
from mmccd.core import BALANCED, RATES, Console
from mmccd.evaluation import (
    SetsPlan,
    calibrate_on_cases,
    default_set_methods,
    evaluate_sets,
    make_candidates,
    read_variant,
)
from mmccd.jobs import Workers, make_maps_ahead
from mmccd.pipeline import AnomalyPipeline
from mmccd.research.check import Checked, setup_of


def calibrate_preset(
    checked: Checked, preset: str, seed: int, bundles: Path, device: str, console: Console
) -> None:
    """Choose the operating points on the validation split of the study's data, and store them in
    its bundles.
    """
    study, plan = checked.study, checked.study.calibration
    assert plan is not None
    models = load_models(bundles, study.target, study.source, preset)
    chosen = models.with_preset(replace(models.preset(preset), precision=plan.precision))
    pipeline = AnomalyPipeline(chosen, preset, device, seed=seed, require_threshold=False)
    rate = RATES[BALANCED] if plan.rate is None else plan.rate
    origin = {"data": Path(study.data).name, "split": "val"}
    calibration = calibrate_on_cases(
        pipeline,
        checked.splits["val"],
        rate,
        plan.slices_per_case,
        origin,
        console.progress,
        checked.splits.get("test", []),
    )
    store_calibration(preset, calibration, bundles)


def evaluate_preset(
    checked: Checked,
    preset: str,
    seed: int,
    bundles: Path,
    device: str,
    output: Path,
    console: Console,
    workers: Workers,
) -> None:
    """Report all data sets under all methods at all operating points, with maps that the workers
    share.
    """
    plan = checked.study.evaluation
    assert plan is not None
    setup = setup_of(checked.study, bundles, preset, device, seed)
    names = plan.methods or default_set_methods(setup)
    variant = read_variant("preset", read_preset(bundles, preset).postprocessing)
    sets = SetsPlan(
        checked.sets,
        setup,
        make_candidates(names, setup),
        variant,
        checked.validation,
        plan.rate,
        plan.draws,
        "mmccd train",
        tuple(plan.operating_points),
    )
    make_maps_ahead(sets, output, workers, console.progress)
    evaluate_sets(sets, output, console.progress)
