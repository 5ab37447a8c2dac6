"""What ``mmccd predict`` loads before the first pass: no package that takes seconds and is not
needed. Nothing is timed here; a test that times fails on a busy machine.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mmccd.core import PHASES
from mmccd.phantom import Phantom

pytestmark = pytest.mark.slow

HEAVY = (
    "cupy",
    "highdicom",
    "holoscan",
    "ignite",
    "itk",
    "matplotlib",
    "mlflow",
    "monai",
    "nilearn",
    "onnxruntime",
    "pandas",
    "skimage",
    "sklearn",
    "tensorboard",
    "torchvision",
)
CODE = """
import json, sys
from mmccd.apps.cli import cli
from mmccd.core import Console, console

first, heavy = [], set(sys.argv[1].split(","))

class Watching(Console):
    def progress(self, done, total):
        first.append(sorted(heavy & set(sys.modules)))

console._choose = Watching
code = cli.run(sys.argv[2:])
print(json.dumps({"code": code, "first": first[0], "last": sorted(heavy & set(sys.modules))}))
"""


def test_nothing_heavy_before_the_first_pass(
    tmp_path: Path, shared_bundles: Path, lesion_phantom: Phantom
) -> None:
    flair = lesion_phantom.images["flair"]
    head, output = tmp_path / "head.nii.gz", tmp_path / "out"
    nib.save(nib.Nifti1Image(flair.data.astype(np.int16), flair.affine), head)
    words = ["predict", str(head), "--output", str(output), "--bundles", str(shared_bundles)]
    words += ["--preset", "fast", "--device", "cpu", "--threshold", "0.7", "--profile"]
    done = subprocess.run(
        [sys.executable, "-c", CODE, ",".join(HEAVY), *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["code"] == 0
    assert found["first"] == []
    # The pictures of the report need matplotlib.
    assert set(found["last"]) <= {"matplotlib"}
    for title in (*PHASES.values(), "together", "of that before scoring"):
        assert title in done.stderr
    timings = json.loads((output / "report.json").read_text())["timings_s"]
    assert list(timings) == [name for name in PHASES if name != "write"]
