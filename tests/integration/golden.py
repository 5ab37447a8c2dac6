"""The golden results: maps, segmentations and reports of fixed inputs, to the bit where the machine
is the one that made them.

python -m tests.integration.golden

writes them anew; a change must be named with its reason in the commit.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from highdicom.seg import segread
from numpy.typing import NDArray
from tests.io.dicom_files import save_all, single_frames

from mmccd.bundle import find_bundles, load_models
from mmccd.core.result import Result
from mmccd.jobs import predict_file
from mmccd.phantom import (
    DEMO_LESIONS,
    DEMO_SCAN,
    DEMO_SEED,
    Acquisition,
    make_phantom,
    write_phantom,
)
from mmccd.pipeline import AnomalyPipeline, make_intake

FILE = Path(__file__).with_name("golden.json")
PRESETS = ("fast", "balanced")
CASES = ("demo", "lgg", "dicom")
LGG = "TCGA_CS_4942_19970222"
SAMPLES = 256
UNSTABLE = ("timings_s", "versions", "request")
"""Parts of a report that differ from run to run, or name files of the machine."""


def machine() -> str:
    """What decides the last bit of a float32 sum, as far as it can be seen."""
    return (
        f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()} torch"
        f" {torch.__version__.partition('+')[0]}"
    )


def run_case(case: str, preset: str, folder: Path) -> tuple[Result, Path]:
    """Run one golden case in fp32 on one CPU with the weights that ship.

    Returns:
        The result and the folder that was written.
    """
    source = {"demo": _demo, "lgg": _lgg, "dicom": _dicom}[case](folder)
    output = folder / "out"
    return predict_file(lambda: _pipeline(preset), source, output), output


def digest(result: Result, output: Path) -> dict[str, Any]:
    """What is compared: hashes of all arrays, some voxels of the map, and the report without what
    is unstable.
    """
    anomaly = np.ascontiguousarray(result.anomaly_map.data, dtype=np.float32)
    inside = np.flatnonzero(result.brain_mask.data)
    chosen = inside[np.linspace(0, len(inside) - 1, SAMPLES).round().astype(int)]
    arrays = {
        "anomaly_map": anomaly,
        "smoothed_map": result.smoothed_map.data,
        "segmentation": result.segmentation.data,
        "brain_mask": result.brain_mask.data,
    }
    if result.percentile_map is not None:
        arrays["percentile_map"] = result.percentile_map.data
    report = json.loads((output / "report.json").read_text())
    for entry in report.get("dicom") or []:
        del entry["sop_instance_uid"]  # made of all voxels, of which the last bit is the machine's
    hashes = {name: _hash(array) for name, array in arrays.items()}
    if (output / "dicom" / "segmentation.dcm").exists():
        seg = segread(output / "dicom" / "segmentation.dcm").get_volume(combine_segments=True)
        hashes["dicom_segmentation"] = _hash(np.asarray(seg.array))
    return {
        "hashes": hashes,
        "samples": [float(f"{value:.6g}") for value in anomaly.ravel()[chosen]],
        "voxels": int(result.segmentation.data.sum()),
        "report": {name: value for name, value in report.items() if name not in UNSTABLE},
    }


def _hash(array: NDArray[Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:24]


def _pipeline(preset: str) -> AnomalyPipeline:
    models = load_models(find_bundles())
    chosen = models.with_preset(replace(models.preset(preset), precision="fp32"))
    return AnomalyPipeline(chosen, preset, "cpu", intake=make_intake(models.root, unchecked=True))


def _demo(folder: Path) -> Path:
    return write_phantom(
        make_phantom(DEMO_SEED, DEMO_LESIONS, DEMO_SCAN), folder / "phantom", "demo"
    )["flair"]


def _lgg(folder: Path) -> Path:
    return Path(os.environ["MMCCD_DATA"]) / "lgg" / LGG / f"{LGG}_flair.nii.gz"


def _dicom(folder: Path) -> Path:
    """A phantom as an oblique DICOM series."""
    flair = make_phantom(2, DEMO_LESIONS, Acquisition(slice_mm=12.0, pixel_mm=2.0)).images["flair"]
    array = np.rint(flair.data * (4000 / flair.data.max())).astype(np.uint16)
    turn = np.eye(4)
    turn[:3, :3] = [[0.995, -0.0998, 0.0], [0.0998, 0.995, 0.0], [0.0, 0.0, 1.0]]
    save_all(single_frames(array, turn @ flair.affine), folder / "study")
    return folder / "study"


def main() -> int:
    """Write the golden file anew."""
    torch.set_num_threads(1)
    content: dict[str, Any] = {"machine": machine(), "cases": {}}
    for case in CASES:
        for preset in PRESETS:
            with tempfile.TemporaryDirectory() as name:
                content["cases"][f"{case}/{preset}"] = digest(*run_case(case, preset, Path(name)))
            sys.stdout.write(f"{case} {preset}\n")
    lines = ",\n".join(
        f"{json.dumps(name)}: {json.dumps(case)}" for name, case in content["cases"].items()
    )
    FILE.write_text(f'{{"machine": {json.dumps(content["machine"])}, "cases": {{\n{lines}\n}}}}\n')
    return 0


if __name__ == "__main__":
    sys.exit(main())
