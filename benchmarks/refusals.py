"""Time and memory of refusals: inputs that are too large, or claim to be, and how much they cost
before they are refused (docs/checks.md).

python benchmarks/refusals.py [--cases NAME,NAME]

Every case must end with an exit code of 3, 4 or 7 within 2 GB; the exit code is 1 where one does
not. The files lie in a temporary folder and take up to 1 GB of it, 5 GB while the archive that is
too large is unpacked.
"""

from __future__ import annotations

import argparse
import gzip
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, cast

import nibabel as nib
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

MOST_MIB = 2048
REFUSALS = (3, 4, 7)
_BLOCK = bytes(1 << 24)
_PROGRAM = "import sys; from mmccd.apps.cli.cli import main; sys.exit(main())"


def nifti_start(shape: tuple[int, ...], spacing: float = 1.0) -> bytes:
    """Header and offset of an int16 volume."""
    header = nib.Nifti1Header()
    header.set_data_dtype(np.int16)
    header["dim"][: len(shape) + 1] = (len(shape), *shape)
    header.set_sform(np.diag([spacing, spacing, spacing, 1.0]), code=1)
    header["magic"] = b"n+1"
    header["vox_offset"] = 352
    return cast(bytes, header.binaryblock) + bytes(4)


def zeros(file: IO[bytes], count: int) -> None:
    """Write so many bytes of 0."""
    for start in range(0, count, len(_BLOCK)):
        file.write(_BLOCK[: count - start])


def nifti(path: Path, shape: tuple[int, ...], voxels: int, spacing: float = 1.0) -> Path:
    """A compressed volume that holds fewer voxels than it says, or all of them; 0 everywhere."""
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(nifti_start(shape, spacing))
        zeros(cast(IO[bytes], file), 2 * voxels)
    return path


def text_volume(path: Path, header: str) -> Path:
    """A header alone, with some voxels behind it."""
    path.write_bytes(header.encode() + bytes(4096))
    return path


def huge_nrrd(folder: Path) -> Path:
    """NRRD, 10^12 voxels."""
    return text_volume(
        folder / "a.nrrd",
        "NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\n"
        "sizes: 10000 10000 10000\nspace directions: (1,0,0) (0,1,0) (0,0,1)\n"
        "endian: little\nencoding: raw\n\n",
    )


def huge_mha(folder: Path) -> Path:
    """MetaImage, 10^12 voxels."""
    return text_volume(
        folder / "a.mha",
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nElementSpacing = 1 1 1\n"
        "DimSize = 10000 10000 10000\nElementType = MET_SHORT\nElementDataFile = LOCAL\n",
    )


def packed_nrrd(folder: Path) -> Path:
    """NRRD, gzip, says 10^6 voxels and holds 2^30 bytes."""
    packer = zlib.compressobj(1, wbits=31)
    path = folder / "a.nrrd"
    with path.open("wb") as file:
        file.write(
            b"NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\n"
            b"sizes: 100 100 100\nspace directions: (1,0,0) (0,1,0) (0,0,1)\n"
            b"endian: little\nencoding: gzip\n\n"
        )
        for _ in range(64):
            file.write(packer.compress(_BLOCK))
        file.write(packer.flush())
    return path


def zip_bomb(folder: Path) -> Path:
    """zip, 5 GB in one file."""
    path = folder / "a.zip"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("a.nii", "w", force_zip64=True) as file,
    ):
        zeros(file, 5 << 30)
    return path


def tar_bomb(folder: Path) -> Path:
    """tar.gz, 5 GB in one file."""
    path = folder / "a.tar.gz"
    member = tarfile.TarInfo("a.nii")
    member.size = 5 << 30
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(member.tobuf())
        zeros(cast(IO[bytes], file), member.size + 1024)
    return path


def many_files(folder: Path) -> Path:
    """zip, 30 000 files."""
    path = folder / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(30_000):
            archive.writestr(f"{number}.dcm", b"")
    return path


def series(folder: Path) -> Path:
    """DICOM, 2000 slices of 256 x 256, one of them missing."""
    (folder / "series").mkdir()
    for number in range(2000):
        if number != 1000:
            _slice(number).save_as(
                folder / "series" / f"{number:04d}.dcm", enforce_file_format=True
            )
    return folder / "series"


def _slice(number: int) -> Dataset:
    one = Dataset()
    one.file_meta = FileMetaDataset()
    one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    one.file_meta.MediaStorageSOPClassUID = one.SOPClassUID = MRImageStorage
    one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = generate_uid(
        entropy_srcs=[str(number)]
    )
    one.StudyInstanceUID, one.SeriesInstanceUID = "1.2.3", "1.2.3.4"
    one.PatientID = one.PatientName = "A"
    one.Modality, one.SeriesDescription = "MR", "FLAIR"
    one.ImageType = ["ORIGINAL", "PRIMARY"]
    one.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    one.ImagePositionPatient = [0, 0, 0.1 * number]
    one.PixelSpacing, one.SliceThickness = [0.9, 0.9], 0.1
    one.EchoTime, one.RepetitionTime, one.InversionTime = 120, 9000, 2500
    one.InstanceNumber = number
    one.Rows = one.Columns = 256
    one.BitsAllocated = one.BitsStored = 16
    one.HighBit, one.PixelRepresentation, one.SamplesPerPixel = 15, 0, 1
    one.PhotometricInterpretation = "MONOCHROME2"
    one.PixelData = bytes(2 * 256 * 256)
    return one


CASES: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "huge-header": (
        "NIfTI that says 30 000 x 30 000 x 30 000",
        lambda folder: nifti(folder / "a.nii.gz", (30_000, 30_000, 30_000), 1000),
    ),
    "cut-off": (
        "NIfTI of 600 x 600 x 600, one voxel short",
        lambda folder: nifti(folder / "a.nii.gz", (600, 600, 600), 600**3 - 1, 0.3),
    ),
    "too-large": (
        "NIfTI of 512 x 512 x 2000",
        lambda folder: nifti(folder / "a.nii.gz", (512, 512, 2000), 512 * 512 * 2000, 0.1),
    ),
    "slices": (
        "NIfTI of 256 x 256 x 2000, 0 everywhere",
        lambda folder: nifti(folder / "a.nii.gz", (256, 256, 2000), 256 * 256 * 2000, 0.1),
    ),
    "largest": (
        "NIfTI of 640 x 640 x 640, 0 everywhere",
        lambda folder: nifti(folder / "a.nii.gz", (640, 640, 640), 640**3, 0.3),
    ),
    "volumes": (
        "NIfTI of 512 x 512 x 400 x 10",
        lambda folder: nifti(folder / "a.nii.gz", (512, 512, 400, 10), 512 * 512 * 400),
    ),
    "nrrd": ("NRRD that says 10 000 x 10 000 x 10 000", huge_nrrd),
    "nrrd-bomb": ("NRRD of 100 x 100 x 100 that unpacks to 1 GB", packed_nrrd),
    "mha": ("MetaImage that says 10 000 x 10 000 x 10 000", huge_mha),
    "zip": ("zip archive that unpacks to 5 GB", zip_bomb),
    "tar": ("tar.gz archive that unpacks to 5 GB", tar_bomb),
    "files": ("zip archive of 30 000 files", many_files),
    "series": ("DICOM series of 2000 slices, one missing", series),
}


def measure(name: str) -> tuple[int, float, int, str]:
    """Exit code, seconds of the processor, MiB of memory at most, and message of one case."""
    with tempfile.TemporaryDirectory() as place:
        path = CASES[name][1](Path(place))
        command = [sys.executable, "-c", _PROGRAM]
        command += ["predict", str(path), "--output", f"{place}/out", "--threads", "1"]
        with tempfile.TemporaryFile() as said:
            child = subprocess.Popen(command, stdout=said, stderr=said)
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            said.seek(0)
            lines = said.read().decode().replace(place, "").strip().splitlines()
        if (Path(place) / "out").exists():
            raise RuntimeError(f"{name}: an output folder is left")
        seconds = usage.ru_utime + usage.ru_stime
    return child.returncode, seconds, usage.ru_maxrss // 1024, lines[-1] if lines else ""


def rows(names: list[str]) -> Iterator[tuple[bool, str]]:
    """For each case whether it is as it should be, and its line of the table."""
    for name in names:
        code, seconds, memory, said = measure(name)
        right = code in REFUSALS and memory <= MOST_MIB
        yield right, f"| {CASES[name][0]} | {code} | {seconds:.1f} | {memory} | {said} |"


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", default=",".join(CASES), help="some of them, with commas")
    names = parser.parse_args().cases.split(",")
    print("| input | exit code | s, processor | MiB | message |\n|---|---|---|---|---|")
    good = True
    for right, line in rows(names):
        print(line, flush=True)
        good = good and right
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
