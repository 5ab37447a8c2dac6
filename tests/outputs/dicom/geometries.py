"""Series of any geometry, and what tools of others say of the objects that are derived from them.

python -m tests.outputs.dicom.geometries --count 200

makes so many and prints what was wrong; the tests take a few of them.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from highdicom.seg import segread
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from tests.io.dicom_files import RAS_TO_LPS, as_archived, multi_frame, save_all, single_frames
from tests.outputs.dicom.results import result_on, with_lesions

from mmccd.core import OutputChoice
from mmccd.core.output_choice import DICOM_OBJECTS
from mmccd.core.result import Result
from mmccd.outputs.dicom.write import write_dicom

PLANES = {"axial": (0, 1, 2), "coronal": (0, 2, 1), "sagittal": (1, 2, 0)}
_FINDING = re.compile(r"^(Error|Warning) - (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Geometry:
    """Where a series lies.

    Attributes:
        plane: of the slices, before they are turned.
        angles: turned about the patient's axes, in degrees.
        flips: whether each voxel axis runs the other way.
        spacing: of columns, rows and slices, in mm.
        shape: columns, rows, slices.
        origin: of the first voxel, in mm.
        multi_frame: one enhanced MR image, else classic ones.
        seed: of the voxels.
    """

    plane: str
    angles: tuple[float, float, float]
    flips: tuple[bool, bool, bool]
    spacing: tuple[float, float, float]
    shape: tuple[int, int, int]
    origin: tuple[float, float, float]
    multi_frame: bool
    seed: int = 0

    @property
    def affine(self) -> NDArray[np.float64]:
        """Voxels to mm, RAS+; not rounded: directions and positions have all their digits."""
        turn = Rotation.from_euler("xyz", self.angles, degrees=True).as_matrix()
        axes = np.eye(3)[:, PLANES[self.plane]] * np.where(self.flips, -1.0, 1.0)
        affine = np.eye(4)
        affine[:3, :3] = turn @ axes * np.asarray(self.spacing)
        affine[:3, 3] = self.origin
        return affine


def random_geometry(seed: int) -> Geometry:
    """One of all that scanners make: every fourth is not turned, every fourth about one axis."""
    rng = np.random.default_rng(seed)
    angles = rng.uniform(-60.0, 60.0, 3) * (rng.permutation(3) < rng.integers(0, 4))
    x, y, z = (float(value) for value in angles)
    columns, rows, slices = (int(value) for value in rng.integers(10, 24, 3))
    flips = [bool(value) for value in rng.integers(0, 2, 3)]
    place = [float(value) for value in rng.uniform(-250.0, 250.0, 3)]
    return Geometry(
        str(rng.choice(list(PLANES))),
        (x, y, z),
        (flips[0], flips[1], flips[2]),
        (float(rng.uniform(0.3, 2.0)), float(rng.uniform(0.3, 2.0)), float(rng.uniform(0.5, 7.0))),
        (columns, rows, max(4, slices // 2)),
        (place[0], place[1], place[2]),
        bool(rng.integers(0, 2)),
        seed,
    )


def write_geometry(geometry: Geometry, folder: Path) -> Path:
    """The series in a folder."""
    array = np.random.default_rng(geometry.seed).integers(0, 4000, geometry.shape)
    pixels = array.astype(np.uint16)
    datasets = (
        [multi_frame(pixels, geometry.affine)]
        if geometry.multi_frame
        else single_frames(pixels, geometry.affine)
    )
    as_archived(datasets)
    return save_all(datasets, folder)


def write_objects(geometry: Geometry, folder: Path) -> tuple[Result, list[Path]]:
    """All objects of a result on the series, made of it in ``source``."""
    source = write_geometry(geometry, folder / "source")
    result = result_on(source, nothing=geometry.seed % 10 == 9)
    each_lesion = geometry.seed % 2 == 0 and bool(result.segmentation.data.any())
    if each_lesion:
        result = with_lesions(result)
    result = write_dicom(result, folder, OutputChoice(True, DICOM_OBJECTS, each_lesion))
    return result, sorted((folder / "dicom").glob("*.dcm"))


def said_by_dciodvfy(path: Path) -> list[str]:
    """Errors and warnings of David Clunie's checker, one line each."""
    done = subprocess.run(
        ["dciodvfy", str(path)], capture_output=True, text=True, errors="replace", check=False
    )
    lines = [f"{kind}: {text}" for kind, text in _FINDING.findall(done.stderr + done.stdout)]
    return lines + ([f"Error: exit code {done.returncode}"] if done.returncode else [])


def errors(lines: Iterable[str]) -> list[str]:
    """Those that break the standard."""
    return [line for line in lines if line.startswith("Error")]


def misplaced_mm(result: Result, segmentation: Path) -> float:
    """How far the voxels of a Segmentation object lie from those of the result, at most; raises
    where there are others.
    """
    if not result.segmentation.data.any():
        return 0.0
    volume = segread(segmentation).get_volume(combine_segments=True, rtol=0.05)
    found = np.argwhere(volume.array) @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    affine = RAS_TO_LPS @ result.segmentation.affine
    wanted = np.argwhere(result.segmentation.data) @ affine[:3, :3].T + affine[:3, 3]
    if len(found) != len(wanted):
        raise AssertionError(f"{len(found)} voxels, expected {len(wanted)}")
    return float(np.abs(_sorted(found) - _sorted(wanted)).max())


def _sorted(places: NDArray[np.float64]) -> NDArray[np.float64]:
    return places[np.lexsort(np.round(places, 2).T)]


def long_numbers(path: Path) -> list[str]:
    """Keywords of decimal strings that are longer than 16 characters."""
    dataset = pydicom.dcmread(path)
    return [
        element.keyword
        for element in dataset.iterall()
        if element.VR == "DS"
        for value in (element.value if element.VM > 1 else [element.value])
        if value not in (None, "") and len(str(value)) > 16
    ]


def main() -> int:
    """Check many; 1 where one has an error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--start", type=int, default=0)
    options = parser.parse_args()
    said: Counter[str] = Counter()
    objects, largest, began, bad = 0, 0.0, time.monotonic(), 0
    for seed in range(options.start, options.start + options.count):
        geometry = random_geometry(seed)
        with tempfile.TemporaryDirectory() as name:
            result, paths = write_objects(geometry, Path(name))
            lines = [f"{path.stem[:9]} {line}" for path in paths for line in said_by_dciodvfy(path)]
            largest = max(largest, misplaced_mm(result, Path(name) / "dicom/segmentation.dcm"))
            long = [keyword for path in paths for keyword in long_numbers(path)]
        said.update(lines)
        objects += len(paths)
        wrong = [line for line in lines if " Error" in line] + long
        if wrong or not paths:
            bad += 1
            sys.stdout.write(f"{geometry}: {wrong or result.report.warnings}\n")
    for line, count in said.most_common():
        sys.stdout.write(f"{count:6d} {line}\n")
    sys.stdout.write(
        f"{options.count} geometries, {objects} objects, {bad} geometries with errors; voxels at"
        f" most {largest:.2g} mm off; {time.monotonic() - began:.0f} s\n"
    )
    return 1 if bad else 0


if __name__ == "__main__":
    if shutil.which("dciodvfy") is None:
        sys.exit("dciodvfy is not installed (Debian: dicom3tools)")
    sys.exit(main())
