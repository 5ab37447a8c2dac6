"""Whole volumes: a phantom on the grid of BraTS, read, run and written in a process of its own."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from mmccd.benchmark.machine import peak_memory_gib
from mmccd.core import PHASES, PhaseClock, ResourceError, Volume
from mmccd.io import write_nifti
from mmccd.phantom import Acquisition, make_phantom

if TYPE_CHECKING:
    from mmccd.methods import CycleSettings

BRATS_SHAPE = (240, 240, 155)


def brats_size_phantom(
    path: Path, shape: tuple[int, int, int] = BRATS_SHAPE, voxel_mm: float = 1.0
) -> Path:
    """Write a skull-stripped FLAIR phantom of a given shape.

    Args:
        path: the NIfTI file.
        shape: voxels.
        voxel_mm: their edge.

    Returns:
        The file.
    """
    phantom = make_phantom(
        0, None, Acquisition(slice_mm=voxel_mm, pixel_mm=voxel_mm, scaling=0, tilt_degrees=0)
    ).images["flair"]
    data, start = _fitted(np.asarray(phantom.data), shape)
    affine = phantom.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ start
    write_nifti(Volume(data, affine, "flair", {"file": path.name}), path, "float32")
    return path


def _fitted(
    data: NDArray[np.float32], shape: tuple[int, int, int]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The middle of an array, cut or filled with zeros, and where its first voxel lay in the old
    one.
    """
    result = np.zeros(shape, dtype=np.float32)
    start = np.asarray([(old - new) // 2 for old, new in zip(data.shape, shape, strict=True)])
    source = tuple(
        slice(max(0, s), min(old, s + new))
        for s, old, new in zip(start, data.shape, shape, strict=True)
    )
    target = tuple(
        slice(part.start - s, part.stop - s) for part, s in zip(source, start, strict=True)
    )
    result[target] = data[source]
    return result, start


def measure_volume(
    path: Path, folder: Path, preset: str, device: str, bundles: Path
) -> dict[str, Any]:
    """Predict a volume in a new process.

    Args:
        path: FLAIR.
        folder: for the results.
        preset: name of the preset.
        device: as ``--device``.
        bundles: folder of the bundles.

    Returns:
        ``preset``, ``device``, ``precision``, ``shape``, ``slices_with_brain``, ``seconds`` by
        stage with ``total`` (the wall time of the process), and ``peak_memory_gib`` of the process
        (``gpu_memory_gib`` of its tensors where it ran on one).

    Raises:
        ResourceError: the process failed.
    """
    words = [sys.executable, "-m", __name__, str(path), str(folder), preset, device, str(bundles)]
    start = time.perf_counter()
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    total = time.perf_counter() - start
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ResourceError(
            f"{path}: the run of preset {preset} ended with {done.returncode} ({last}); try --quick"
        )
    row: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    inner = row["seconds"]
    row["seconds"] = {
        name: round({**inner, "start": total - sum(inner.values())}[name], 2) for name in PHASES
    } | {"total": round(total, 2)}
    return row


def predict_here(
    path: Path, folder: Path, preset: str, device: str, bundles: Path
) -> dict[str, Any]:
    """Read, run and write a volume in this process; seconds of each stage and the peak memory."""
    from mmccd.io import read_volume
    from mmccd.outputs import write_outputs
    from mmccd.pipeline import AnomalyPipeline, make_intake

    clock = PhaseClock()
    volume = read_volume(path, "flair")
    clock.lap("read")
    # The checks take some phantoms for another contrast, and weights that nobody calibrated take as
    # long.
    pipeline = AnomalyPipeline.from_bundles(
        bundles, None, preset, device, threshold=1.0, intake=make_intake(bundles, unchecked=True)
    )
    clock.lap("load")
    result = pipeline.run(volume)
    clock.skip(result.report.timings_s)
    folder.mkdir(parents=True, exist_ok=True)
    write_outputs(result, folder)
    clock.lap("write")
    on_gpu = pipeline.device.type == "cuda"
    return {
        "preset": preset,
        "device": result.report.settings.device,
        "precision": pipeline.precision,
        "shape": list(volume.shape),
        "slices_with_brain": result.report.input.slices_with_brain,
        "strips": _strips(result.maps.coverage, pipeline.preset.cycle),
        "seconds": clock.seconds,
        "peak_memory_gib": round(peak_memory_gib(torch.device("cpu")), 2),
        "gpu_memory_gib": round(peak_memory_gib(pipeline.device), 2) if on_gpu else None,
    }


def _strips(coverage: torch.Tensor, cycle: CycleSettings) -> int:
    """Strips of all rounds: each covers ``width`` rows or columns of a slice, a draw of the veil
    all of it.
    """
    veil = cycle.draws * (coverage > 0) if cycle.has_veil else 0
    return cycle.rounds * round(float((coverage - veil).sum()) / (cycle.width * coverage.shape[-1]))


def main() -> None:
    """``python -m mmccd.benchmark.volume FILE FOLDER PRESET DEVICE BUNDLES``: the figures as one
    line of JSON.
    """
    parser = argparse.ArgumentParser(description=main.__doc__)
    for name, kind in (
        ("path", Path),
        ("folder", Path),
        ("preset", str),
        ("device", str),
        ("bundles", Path),
    ):
        parser.add_argument(name, type=kind)
    sys.stdout.write(json.dumps(predict_here(**vars(parser.parse_args()))) + "\n")


if __name__ == "__main__":
    main()
