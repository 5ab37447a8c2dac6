"""Input files of a cohort, and a program that runs ``mmccd predict`` on them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

MAIN = [sys.executable, "-c", "from mmccd.apps.cli.cli import main; main()"]


@dataclass
class Cohort:
    """A folder ``scans`` of NIfTI files, and a place for the results."""

    folder: Path
    bundles: Path

    @property
    def scans(self) -> Path:
        return self.folder / "scans"

    @property
    def output(self) -> Path:
        return self.folder / "results"

    def words(self, *more: str) -> list[str]:
        always = [
            "--output",
            str(self.output),
            "--bundles",
            str(self.bundles),
            "--preset",
            "fast",
            "--device",
            "cpu",
            "--threshold",
            "0.7",
        ]
        return ["predict", str(self.scans), *always, *more]

    def start(self, *more: str) -> subprocess.Popen[str]:
        """The command in a process (and process group) of its own."""
        return subprocess.Popen(
            [*MAIN, *self.words(*more)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            # A run in the background of a shell passes on that Ctrl-C is to be ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        )

    def spoil(self, name: str = "bad") -> None:
        """Add a file that is cut off."""
        whole = next(self.scans.glob("*.nii.gz")).read_bytes()
        (self.scans / f"{name}.nii.gz").write_bytes(whole[: len(whole) // 2])


@pytest.fixture
def cohort(tmp_path: Path, tiny_bundles: Path, phantom_data: Path) -> Cohort:
    """Two good files, ``healthy`` and ``lesion``."""
    made = Cohort(tmp_path, tiny_bundles)
    made.scans.mkdir()
    for name in ("healthy", "lesion"):
        shutil.copy(phantom_data / name / f"{name}_flair.nii.gz", made.scans / f"{name}.nii.gz")
    return made
