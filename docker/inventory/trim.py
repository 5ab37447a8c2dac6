"""Leave of ITK what MMCCD uses: it is the largest package by far, and most of it is filters that
nothing here calls.

python trim.py SITE

SITE: site-packages of the Python that runs this. MMCCD's ways into ITK are walked (volume formats,
N4); extension modules that this did not load are removed, with their wrappers.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from mmccd.core import Volume
from mmccd.imaging import correct_bias
from mmccd.io import read_volume

SHAPE = (24, 24, 8)
NRRD = "NRRD0004\ntype: short\ndimension: {n}\nsizes: {sizes}\nencoding: raw\nendian: little\n\n"
META = (
    "ObjectType = Image\nNDims = {n}\nDimSize = {sizes}\nElementType = MET_SHORT\n"
    "ElementDataFile = LOCAL\n"
)


def walk(folder: Path) -> None:
    """Use whatever of ITK can be used.

    Args:
        folder: for files, empty.
    """
    voxels = np.random.default_rng(0).integers(1, 999, SHAPE).astype("<i2")
    for number, (header, ending) in enumerate(((NRRD, "nrrd"), (META, "mha"))):
        for sizes in (SHAPE, (*SHAPE, 1)):
            path = folder / f"{number}_{len(sizes)}.{ending}"
            text = header.format(n=len(sizes), sizes=" ".join(map(str, sizes)))
            path.write_bytes(text.encode() + voxels.T.tobytes())
            if not np.array_equal(read_volume(path).data, voxels):
                raise SystemExit(f"{path.name}: ITK read something else")
    image = Volume(voxels.astype(np.float32), np.eye(4), "flair", {})
    correct_bias(image, np.ones(SHAPE, dtype=bool))


def trim(itk: Path) -> int:
    """Remove what is not loaded.

    Args:
        itk: the package's folder.

    Returns:
        How many bytes went.
    """
    maps = Path("/proc/self/maps").read_text().split()
    loaded = {Path(word).name for word in maps if word.startswith(str(itk.resolve()))}
    if not loaded:
        raise SystemExit(f"{itk}: nothing of it was loaded")
    removed = 0
    for path in [*itk.glob("_*.so"), *itk.glob("itk*Python.py")]:
        stem = path.name.partition(".")[0]
        if path.name in loaded or f"itk.{stem}" in sys.modules:
            continue
        removed += path.stat().st_size
        path.unlink()
    return removed


def main() -> None:
    """Trim, and say how much."""
    with tempfile.TemporaryDirectory() as folder:
        walk(Path(folder))
    size = trim(Path(sys.argv[1]) / "itk")
    sys.stdout.write(f"ITK: {size / 1e6:.0f} MB that nothing uses removed\n")


if __name__ == "__main__":
    main()
