"""Memory of the application over many studies in a row: the working process's memory after each,
from the status file.

python benchmarks/many_studies.py --studies 12 [--models DIR]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np

from mmccd.phantom import DEMO_LESIONS, Acquisition, make_phantom

APP = Path(__file__).resolve().parents[1] / "app"


def main() -> int:
    """Write phantoms, run the application over them, print a table; the exit code is the
    application's.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=12)
    parser.add_argument(
        "--slice-mm", type=float, default=12.0, help="slice thickness of the phantom"
    )
    parser.add_argument("--models", help="folder of the bundles; else those installed")
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").mkdir()
        flair = make_phantom(
            2, DEMO_LESIONS, Acquisition(slice_mm=words.slice_mm, pixel_mm=2.0)
        ).images["flair"]
        for number in range(words.studies):
            nib.save(
                nib.Nifti1Image(flair.data.astype(np.int16), flair.affine),
                folder / "in" / f"phantom_{number:03d}.nii.gz",
            )
        command = [sys.executable, str(APP), "-i", str(folder / "in"), "-o", str(folder / "out")]
        command += ["-m", words.models] if words.models else []
        variables = {"MMCCD_PRESET": "fast", "MMCCD_THRESHOLD": "0.7", "MMCCD_LOG_LEVEL": "error"}
        code = subprocess.run(command, env={**variables, **os.environ}, check=False).returncode
        studies = json.loads((folder / "out" / "status.json").read_text())["studies"]
    print("| study | seconds | memory, MiB |\n|---|---|---|")
    for number, study in enumerate(studies, 1):
        print(f"| {number} | {sum(study['timings_s'].values()):.1f} | {study['memory_mib']} |")
    later = [study["memory_mib"] for study in studies[1:] if study["memory_mib"] is not None]
    if len(later) > 1:
        print(
            f"\ngrowth from the second study to the last: {later[-1] - later[0]:+.1f} MiB,"
            f" {(later[-1] - later[0]) / (len(later) - 1):+.2f} a study"
        )
    return code


if __name__ == "__main__":
    sys.exit(main())
