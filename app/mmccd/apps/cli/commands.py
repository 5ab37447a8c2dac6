"""The commands, thin: each reads its arguments, calls the rooms, and says what it did.

Heavy imports stand inside the functions, so that ``mmccd --help`` answers at once.
"""

from __future__ import annotations

import json as json_
import logging
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmccd.bundle import preset_names
from mmccd.core import UnsuitableInputError, UsageError, complain, open_console

if TYPE_CHECKING:
    from mmccd.jobs import Account, Options, Run, Source

logger = logging.getLogger(__name__)

TARGETS = ("t2", "t1")
PRECISIONS = ("fp32", "bf16")
CONTRASTS = ("flair", "t1", "t2")
EXTRACTORS = ("mmccd", "hd-bet")
SHELLS = ("bash", "zsh", "fish")
DEFAULT_RATE = 0.02
RESULTS = "mmccd_results"


def predict(
    *input: str,
    output: str | None = None,
    preset: str = "balanced",
    target: str | None = None,
    device: str = "auto",
    bundles: str | None = None,
    brain_mask: str | None = None,
    threshold: float | None = None,
    series: str | None = None,
    seed: int = 0,
    extractor: str = "mmccd",
    bias_correction: bool = False,
    unchecked: bool = False,
    workers: int = 1,
    scheduler: str | None = None,
    threads: int | None = None,
    json: bool = False,
    force: bool = False,
) -> int:
    """Find anomalies in FLAIR volumes: map, segmentation, picture and report of each.

    Args:
        input: a 3-D NIfTI file (.nii or .nii.gz) or a folder with a DICOM study, with skull or
            without; several of them, a quoted pattern, or a folder of cases (BraTS layout), of
            DICOM studies or of NIfTI files, or a datalist: then each goes into a folder of its own
            (docs/cohort.md).
        output: folder for the results; made if it is not there (default: NAME_mmccd, for several
            inputs mmccd_results).
        preset: full, balanced or fast.
        target: contrast that is imagined, t2 or t1; t2 where its weights are there.
        device: auto, cpu, cuda, cuda:N, several of them (cuda:0,cuda:1), cuda:all, or mps; with
            several workers and --device cuda each takes its own GPU.
        bundles: folder with other bundles (default: HOLOSCAN_MODEL_PATH, else those installed).
        brain_mask: NIfTI mask of the brain on the input's grid (default: the brain is found); for
            one input.
        threshold: instead of the calibrated one.
        series: UID of the DICOM series to take (default: the one that is FLAIR); for one input.
        seed: seed of the noise.
        extractor: what finds the brain in a head: mmccd (a network of our own), or hd-bet where
            that is installed.
        bias_correction: even out the brightness of the brain with N4 before the cycle.
        unchecked: go on where the checks refuse the input (another contrast, half a head); the
            report then has a warning.
        workers: processes of this machine that share several inputs.
        scheduler: address or file of a running Dask scheduler whose workers share several inputs.
        threads: threads of each worker (default: the cores divided by the workers).
        json: print the result as JSON.
        force: replace the results of an earlier run.

    Examples:
        mmccd predict flair.nii.gz
        mmccd predict dicom_study --output out --preset fast
        mmccd predict head.nii.gz --brain-mask brain.nii.gz --threshold 0.8
        mmccd predict 'scans/*_flair.nii.gz' --output results --workers 2
        mmccd predict brats_folder --output results --json
    """
    _check_choice("--target", target, TARGETS)
    _check_choice("--preset", preset, preset_names(bundles))
    _check_seed(seed)
    _check_workers(workers, scheduler, threads)
    from mmccd.bundle import SOURCE
    from mmccd.jobs import Options, find_sources

    options = Options(
        bundles, target, preset, device, threshold, seed, extractor, bias_correction, unchecked
    )
    options.intake()
    sources, is_cohort = find_sources(input, SOURCE)
    if not is_cohort:
        folder = Path(output or f"{sources[0].name}_mmccd")
        return _predict_one(options, sources[0], folder, brain_mask, series, threads, force, json)
    for flag, value in (("--brain-mask", brain_mask), ("--series", series)):
        if value is not None:
            raise UsageError(
                f"predict: {flag} is for one input, found {len(sources)}; cases of BraTS layout"
                " bring their own masks (CASE_brain)"
            )
    return _predict_cohort(
        sources, Path(output or RESULTS), _runner(options, workers, scheduler, threads), force, json
    )


def _predict_one(
    options: Options,
    source: Source,
    folder: Path,
    brain_mask: str | None,
    series: str | None,
    threads: int | None,
    force: bool,
    as_json: bool,
) -> int:
    from mmccd.jobs import predict_file

    _set_threads(threads)
    with open_console() as console:
        result = predict_file(
            options.make_pipeline,
            source.path,
            folder,
            brain_mask or source.brain,
            force,
            console,
            series,
        )
    if as_json:
        _say_json(_essentials(result.report, folder))
    else:
        _say_result(result.report, str(folder))
    return 0


def _predict_cohort(
    sources: list[Source], folder: Path, run: Run, force: bool, as_json: bool
) -> int:
    from mmccd.jobs import NAME, TABLE, failures, run_cohort

    with open_console() as console:
        account: Account = run_cohort(sources, folder, run, console, force)
    for outcome in failures(account):
        complain(outcome.line(), outcome.exit_code or 1)
    if as_json:
        _say_json(
            {
                **account.as_dict(),
                "output": str(folder),
                "files": [str(folder / name) for name in (NAME, TABLE)],
            }
        )
    else:
        _say(f"{account.summary()}; see {folder / TABLE}")
    return account.exit_code


def _runner(options: Options, workers: int, scheduler: str | None, threads: int | None) -> Run:
    if workers == 1 and scheduler is None:
        from mmccd.jobs import in_this_process

        _set_threads(threads)
        return in_this_process(options.make_pipeline)
    from mmccd.jobs import Workers, by_workers

    return by_workers(options, Workers(workers, scheduler, threads))


def _set_threads(threads: int | None) -> None:
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


def demo(
    output: str = "mmccd_demo",
    preset: str = "fast",
    target: str | None = None,
    device: str = "auto",
    bundles: str | None = None,
    force: bool = False,
) -> None:
    """Make a phantom with six lesions (one bright, one like grey matter on FLAIR, four small) and
    run predict on it.

    Args:
        output: folder for the phantom (phantom/) and the results.
        preset: full, balanced or fast.
        target: contrast that is imagined, t2 or t1.
        device: auto, cpu, cuda, cuda:N, several of them (cuda:0,cuda:1), cuda:all, or mps.
        bundles: folder with other bundles.
        force: replace the results of an earlier run.

    Examples:
        mmccd demo
        mmccd demo --output tryout --preset balanced --force
    """
    _check_choice("--target", target, TARGETS)
    _check_choice("--preset", preset, preset_names(bundles))
    from mmccd.apps.cli.demo import demo_table
    from mmccd.jobs import Options, predict_file
    from mmccd.outputs import check_output
    from mmccd.phantom import DEMO_LESIONS, DEMO_SEED, make_phantom, write_phantom

    folder = Path(output)
    check_output(folder, force)
    # The checks take this phantom for a T1 (docs/checks.md); what it is, is known here.
    pipeline = Options(bundles, target, preset, device, unchecked=True).make_pipeline()
    case = make_phantom(DEMO_SEED, DEMO_LESIONS)
    flair = write_phantom(case, folder / "phantom", "demo")["flair"]
    with open_console() as console:
        result = predict_file(lambda: pipeline, flair, output, None, force, console)
    _say_result(result.report, output)
    _say(demo_table(case, result))


def calibrate(
    data: str | None = None,
    split_file: str | None = None,
    split: str = "val",
    rate: float | None = None,
    best_dice: bool = False,
    preset: str = "balanced",
    target: str | None = None,
    device: str = "auto",
    bundles: str | None = None,
    slices_per_case: int | None = None,
    precision: str = "fp32",
    seed: int = 0,
    json: bool = False,
) -> None:
    """Choose the threshold for a wanted false-positive rate on healthy slices, or for the best
    Dice, and store it where predict finds it.

    Args:
        data: data folder in BraTS layout, or a datalist JSON.
        split_file: JSON with the cases of each split (default: DATA/split.json, or the datalist's
            own lists).
        split: which split; not the one that is tested on.
        rate: share of healthy brain voxels above the threshold (default: 0.02).
        best_dice: instead, the threshold with the best pooled Dice on the lesion labels of the
            split.
        preset: full, balanced or fast.
        target: contrast that is imagined, t2 or t1.
        device: auto, cpu, cuda, cuda:N, several of them (cuda:0,cuda:1), cuda:all, or mps.
        bundles: folder with the bundles; the threshold is stored in it where it can be written,
            else in the user's folder of calibrations.
        slices_per_case: only so many (with a rate: healthy) slices of each case, evenly spread
            (default: all).
        precision: fp32, or bf16: predict computes in bf16 where the hardware has it and a threshold
            was chosen in it.
        seed: seed of the noise.
        json: print the threshold and where it comes from as JSON.

    Examples:
        mmccd calibrate --data phantoms/datalist.json
        mmccd calibrate --data brats_folder --split-file split.json --best-dice --preset fast
    """
    if data is None:
        raise UsageError("calibrate: --data is missing; give a data folder or a datalist")
    if split == "test":
        raise UsageError(
            "calibrate: a threshold is never chosen on the test split; use --split val"
        )
    if rate is not None and best_dice:
        raise UsageError("calibrate: --rate and --best-dice exclude each other; give one")
    if rate is not None and not 0 < rate < 1:
        raise UsageError(f"calibrate: --rate {rate}: expected a share between 0 and 1, e.g. 0.02")
    _check_choice("--precision", precision, PRECISIONS)
    wanted = None if best_dice else DEFAULT_RATE if rate is None else rate
    from mmccd.bundle import find_bundles, load_models, store_calibration
    from mmccd.data import split_cases
    from mmccd.evaluation import calibrate_on_cases
    from mmccd.pipeline import AnomalyPipeline

    models = load_models(find_bundles(bundles), target, preset=preset)
    groups = split_cases(data, split_file)
    cases = groups.get(split, [])
    if not cases:
        raise UnsuitableInputError(
            f"{data}: the split {split!r} has no cases; expected healthy or labelled validation"
            " cases"
        )
    chosen = models.with_preset(replace(models.preset(preset), precision=precision))
    pipeline = AnomalyPipeline(chosen, preset, device, seed=seed, require_threshold=False)
    origin = {"data": _data_name(Path(data)), "split": split}
    with open_console("calibrate") as console:
        calibration = calibrate_on_cases(
            pipeline,
            cases,
            wanted,
            slices_per_case,
            origin,
            console.progress,
            groups.get("test", []),
        )
    path = store_calibration(preset, calibration, bundles)
    if json:
        _say_json({"status": "done", "exit_code": 0, "file": str(path), **calibration.summary()})
        return
    _say(
        f"threshold {calibration.threshold:.5g} ({json_.dumps(calibration.origin)}); written to"
        f" {path}"
    )


def evaluate(
    data: str | None = None,
    output: str | None = None,
    split: str | None = None,
    methods: str = "intensity,rule,constant,mmccd",
    protocol: str = "slice",
    subset: str = "test",
    source: str = "flair",
    target: str | None = None,
    preset: str = "balanced",
    postprocessing: str = "preset",
    grid: str | None = None,
    slices: str = "central",
    runs: str | None = None,
    bundles: str | None = None,
    device: str = "auto",
    rate: float = 0.02,
    draws: int = 1000,
    seed: int = 0,
    json: bool = False,
) -> None:
    """Compare methods on labelled cases: tables, intervals, figures (docs/evaluation.md). The same
    command goes on where it stopped.

    Args:
        data: data folder in BraTS layout, or a datalist JSON.
        output: folder for maps, tables and figures; made if it is not there.
        split: JSON with the cases of each split (default: DATA/split.json, or the datalist's own
            lists).
        methods: rows, joined by commas: ae, vae, dae, ddpm, cyclic_unet, masked_translation, mmccd,
            constant, intensity, histogram, rule; some with settings (mmccd:steps=1:stride=16).
            Differences are to the first.
        protocol: slice, paper, strict, or some of them joined by commas.
        subset: the split that is reported, test or val; thresholds are chosen on val.
        source: contrast that is scored, flair, t1 or t2.
        target: contrast that is imagined (default: t2 where its weights are there).
        preset: full, balanced or fast.
        postprocessing: preset (that of predict), none, or some of slice_sd, median, across, erosion
            and components joined by + (median+erosion=4); several joined by commas.
        grid: settings of one method with their values ('steps=1,2,4 stride=16,8'), on --subset val
            only.
        slices: for the protocol paper: central, or a range such as 70-89.
        runs: folder of the baselines' training runs (default: runs in the forward bundle).
        bundles: folder with other bundles.
        device: auto, cpu, cuda, cuda:N or mps.
        rate: voxel false-positive rate of the healthy-only threshold.
        draws: resamples of the bootstrap over patients.
        seed: seed of the noise.
        json: print the figures (metrics.json of each protocol) as JSON.

    Examples:
        mmccd evaluate --data brats_folder --output evaluation
        mmccd evaluate --data brats --output table --methods intensity,mmccd --protocol slice,strict
        mmccd evaluate --data brats --output grid --subset val --methods mmccd --grid 'steps=1,4'
    """
    for flag, value in (("--data", data), ("--output", output)):
        if value is None:
            raise UsageError(f"evaluate: {flag} is missing; see 'mmccd evaluate --help'")
    assert data is not None
    assert output is not None
    _check_choice("--subset", subset, ("test", "val"))
    _check_choice("--source", source, CONTRASTS)
    _check_choice("--target", target, CONTRASTS)
    _check_choice("--preset", preset, preset_names(bundles))
    _check_seed(seed)
    if target == source:
        raise UsageError(f"--target {target}: is the source itself; expected another contrast")
    if not 0 < rate < 1 or draws < 1:
        raise UsageError(
            f"--rate {rate}, --draws {draws}: expected a share between 0 and 1, and at least one"
            " resample"
        )
    if grid is not None and (subset != "val" or "," in methods):
        raise UsageError(
            "--grid: settings are compared on validation data, for one method; give --subset val"
            " and one of --methods"
        )
    from mmccd.bundle import FORWARD, find_bundles, read_preset
    from mmccd.evaluation import (
        EvaluationPlan,
        Setup,
        evaluate as run_plan,
        expand_grid,
        make_candidates,
        make_protocol,
        read_variant,
        resolve_target,
    )

    protocols = [make_protocol(name, slices) for name in _words(protocol)]
    root = find_bundles(bundles)
    smoothing = read_preset(root, preset).postprocessing
    variants = [read_variant(text, smoothing) for text in _words(postprocessing)]
    folder = Path(runs) if runs else root / FORWARD / "runs"
    setup = Setup(root, folder, source, resolve_target(root, source, target), preset, device, seed)
    names = expand_grid(methods, grid) if grid is not None else _words(methods)
    command = shlex.join(
        ["mmccd", *(Path(word).name if Path(word).is_absolute() else word for word in sys.argv[1:])]
    )
    plan = EvaluationPlan(
        data,
        split,
        subset,
        setup,
        make_candidates(names, setup),
        variants,
        protocols,
        rate,
        draws,
        is_grid=grid is not None,
        command=command,
    )
    with open_console("evaluate") as console:
        tables = run_plan(plan, Path(output), console.progress)
    if json:
        files = {name: Path(output) / name / "metrics.json" for name in tables}
        figures = {
            name: {"file": str(file), **json_.loads(file.read_text())}
            for name, file in files.items()
        }
        _say_json({"status": "done", "exit_code": 0, "protocols": figures})
        return
    for name, table in tables.items():
        _say(f"{name} ({subset}, {Path(output) / name})\n\n{table}")


def export(checkpoint: str, bundle: str, research: bool = False) -> None:
    """Turn a training checkpoint into the float16 weights of a bundle, with their card.

    Args:
        checkpoint: best.pt or last.pt of a training run.
        bundle: folder of the bundle.
        research: write models/research/SOURCE_TARGET.pt, which is not part of the package, instead
            of models/model.pt.

    Examples:
        mmccd export runs/flair_t2/best.pt bundles/forward_masked_diffusion
    """
    from mmccd.bundle import export_weights

    path = export_weights(checkpoint, bundle, research)
    _say(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")


def phantom(
    output: str,
    subjects: int = 1,
    seed: int = 0,
    anatomy: str = "builtin",
    split: str | None = None,
    lesions: str = "none",
    head: bool = False,
    slice_mm: float | None = None,
    pixel_mm: float | None = None,
) -> None:
    """Write phantoms (FLAIR, T1w, T2w, lesion mask) in BraTS layout with a datalist, which also
    names those that are there already.

    Args:
        output: folder to make, or one with phantoms to add to.
        subjects: how many.
        seed: seed of the first; the next ones count up.
        anatomy: builtin, a label map (NIfTI with FreeSurfer labels), or a folder of label maps,
            each for as many subjects.
        split: train, val or test: only label maps of that split (builtin: all subjects go there);
            default: all.
        lesions: none, glioma, isointense, ms, stroke or mixed.
        head: keep skull and scalp (label maps only).
        slice_mm: slice thickness (default: random, 1 to 6).
        pixel_mm: pixel size in a slice (default: random, 0.9 to 1.4).

    Examples:
        mmccd phantom phantoms --subjects 4
        mmccd phantom phantoms --subjects 16 --anatomy labels --split train --lesions mixed --head
    """
    from mmccd.data import SPLITS
    from mmccd.phantom import HEALTHY, KINDS, MIXED, write_phantoms

    _check_choice("--lesions", lesions, (HEALTHY, *KINDS, MIXED))
    _check_choice("--split", split, SPLITS)
    _check_phantom_numbers(subjects, seed, slice_mm, pixel_mm)
    with open_console("phantoms") as console:
        path = write_phantoms(
            Path(output),
            subjects,
            seed,
            anatomy,
            split,
            lesions,
            head,
            slice_mm,
            pixel_mm,
            console.progress,
        )
    _say(f"{subjects} phantoms, listed in {path}")


def datalist(
    data: str,
    output: str | None = None,
    seed: int = 0,
    split: str | None = None,
    only: str | None = None,
    repeat: int = 1,
    append: bool = False,
) -> None:
    """Write a datalist of the cases of a folder: split by patient (60/20/20 %), or all in one
    split; new, or added to one that is there.

    Args:
        data: folder with one folder per case, or another datalist.
        output: JSON file to write.
        seed: the same seed gives the same split.
        split: put all cases into train, val or test.
        only: just the case of this name.
        repeat: how often a case's slices count in an epoch of training.
        append: keep what the file lists already.

    Examples:
        mmccd datalist brats_folder --output datalist.json
        mmccd datalist more --output datalist.json --split train --only CASE_7 --append
    """
    if output is None:
        raise UsageError("datalist: --output is missing; give the JSON file to write")
    if repeat < 1:
        raise UsageError(f"datalist: --repeat {repeat}: expected a whole number from 1 on")
    from mmccd.data import SPLITS, add_to_datalist

    _check_choice("--split", split, SPLITS)
    counts = add_to_datalist(Path(data), Path(output), seed, split, only, repeat, append)
    _say(f"{', '.join(f'{name} {count}' for name, count in counts.items())} cases; {output}")


def benchmark(
    output: str | None = None,
    device: str = "auto",
    quick: bool = False,
    bundles: str | None = None,
    show: str | None = None,
    compare: str | None = None,
    markdown: bool = False,
    plot: str | None = None,
) -> None:
    """Measure how fast this machine is: networks, cycle against a plain loop and against the
    paper's network, whole volumes, memory.

    Args:
        output: JSON file for the figures.
        device: auto, cpu, cuda, cuda:N or mps.
        quick: about a minute instead of a quarter of an hour; the figures are rougher.
        bundles: folder with other bundles (default: HOLOSCAN_MODEL_PATH, else those installed).
        show: JSON file of an earlier run: nothing is measured, its figures are shown.
        compare: JSON file of an earlier run: its ratios beside the new ones, with a warning where
            one fell by more than 20 %.
        markdown: print tables in Markdown.
        plot: PNG file for time and memory against strips, steps, slices and batch size.

    Examples:
        mmccd benchmark --quick
        mmccd benchmark --output figures.json --plot growth.png
    """
    from mmccd.benchmark import QUICK, load_figures, report, run_benchmark, save_figures

    earlier = load_figures(Path(compare)) if compare else None
    figures = (
        load_figures(Path(show))
        if show
        else run_benchmark(device, QUICK if quick else None, bundles)
    )
    if output is not None:
        save_figures(figures, Path(output))
    if plot is not None:
        report.plot_sweep(figures, Path(plot))
    _say(report.as_markdown(figures) if markdown else report.as_text(figures))
    if earlier is not None:
        _say(report.compare(figures, earlier)[0])


def doctor(bundles: str | None = None, json: bool = False) -> int:
    """Tell what this machine can do, and which bundles, weights and calibrations are found.

    Args:
        bundles: folder with other bundles.
        json: print it as JSON.

    Examples:
        mmccd doctor
        mmccd doctor --json
    """
    from mmccd.apps.cli.doctor import describe, examine

    findings = examine(bundles)
    if json:
        _say_json(findings)
    else:
        _say(describe(findings))
    return int(findings["exit_code"])


def completion(shell: str) -> None:
    """Print a script that lets a shell complete commands, flags and file names.

    Args:
        shell: bash, zsh or fish.

    Examples:
        mmccd completion bash
    """
    _check_choice("SHELL", shell, SHELLS)
    from mmccd.apps.cli.completion import script

    _say(script(shell))


def _essentials(report: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What a program needs to know of one result."""
    from mmccd.outputs import NAMES

    settings = report["settings"]
    return {
        "status": report["status"],
        "exit_code": 0,
        "output": str(folder),
        "files": {name: str(folder / name) for name in NAMES if (folder / name).exists()},
        **{name: report[name] for name in ("notice", "anomaly_found", "volumes_ml", "unusual_ml")},
        "threshold": report["threshold"]["value"],
        "settings": {
            name: settings[name] for name in ("preset", "target", "precision", "device", "seed")
        },
        "timings_s": report["timings_s"],
        "warnings": report["warnings"],
    }


def _say_result(report: dict[str, Any], output: str) -> None:
    for warning in report["warnings"]:
        logger.warning(warning)
    volumes, threshold = report["volumes_ml"], report["threshold"]["value"]
    _say(
        f"{volumes['anomalous']:.1f} mL of {volumes['brain']:.0f} mL above the threshold"
        f" {threshold:.4g}; see {output}"
    )


def _check_choice(flag: str, value: str | None, choices: tuple[str, ...]) -> None:
    if value is not None and value not in choices:
        raise UsageError(f"{flag} {value}: unknown; expected one of {', '.join(choices)}")


def _check_phantom_numbers(
    subjects: int, seed: int, slice_mm: float | None, pixel_mm: float | None
) -> None:
    if subjects < 1:
        raise UsageError(f"phantom: --subjects {subjects}: expected a whole number from 1 on")
    _check_seed(seed)
    for flag, value, low, high in (
        ("--slice-mm", slice_mm, 0.5, 15),
        ("--pixel-mm", pixel_mm, 0.5, 4),
    ):
        if value is not None and not low <= value <= high:
            raise UsageError(f"phantom: {flag} {value}: expected {low} to {high}")


def _data_name(path: Path) -> str:
    """A data folder's name; of a datalist with the folder it lies in."""
    return f"{path.resolve().parent.name}/{path.name}" if path.is_file() else path.resolve().name


def _words(text: str) -> list[str]:
    """Words of a list that is joined by commas, each once."""
    return list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


def _check_workers(workers: int, scheduler: str | None, threads: int | None) -> None:
    if workers < 1:
        raise UsageError(f"--workers {workers}: expected a whole number from 1 on")
    if threads is not None and threads < 1:
        raise UsageError(f"--threads {threads}: expected a whole number from 1 on")
    if scheduler is not None and workers != 1:
        raise UsageError(
            "--workers and --scheduler exclude each other; a scheduler has its own workers;"
            " give one"
        )


def _check_seed(seed: int) -> None:
    if not 0 <= seed < 2**64:
        raise UsageError(f"--seed {seed}: expected a whole number from 0 to 2^64 - 1")


def _say_json(content: Any) -> None:
    _say(json_.dumps(content, indent=2))


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
