"""Mutation fuzzing of the DICOM and NIfTI readers: damaged inputs are read or refused with an error
of ours; nothing else comes out.

``make fuzz`` runs it for some minutes in child processes, so that a crash of a codec is seen, too;
``test_mutants.py`` runs a short part of it. A finding is printed with the seed that makes it again.
"""

from __future__ import annotations

import argparse
import gzip
import json
import multiprocessing
import random
import struct
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
from pydicom import config, dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)
from tests.io.dicom_files import AXIAL, SECRETS, multi_frame, save, save_all, single_frames, voxels

from mmccd.core.errors import MmccdError
from mmccd.io.read import read_volume

SHAPE = (64, 48, 3)
CHUNK = 50
TIME_LIMIT_S = 60.0
NIFTI_HEADER = 348
NIFTI_FIELDS = [
    *[
        (offset, "h") for offset in (*range(40, 56, 2), 70, 72, 252, 254)
    ],  # dimensions, data type, bits, orientation codes
    *[
        (offset, "f") for offset in (*range(76, 120, 4), *range(256, 328, 4))
    ],  # spacings, offset, scaling, quaternion, rows of the affine
]
NASTY_SHORTS = (-32768, -1, 0, 1, 2, 3, 5, 64, 128, 255, 2048, 32767)
NASTY_FLOATS = (float("nan"), float("inf"), -float("inf"), 0.0, -1.0, 1e-30, 1e30, 352.0, 1e9)
NASTY_NUMBERS = (
    "nan",
    "inf",
    "-inf",
    "1e999",
    "-0",
    "1e-300",
    "2147483648",
    "-1",
    "",
    "abc",
    "0x10",
    "1\\2\\3\\4",
    "9" * 40,
)
NASTY_BYTES = (
    b"",
    b"\0",
    b"\xff" * 8,
    b"\\" * 20,
    b"Mustermann",
    b"\x1b$B",
    b"1" * 300,
    b"\xed\xa0\x80",
    b"-1e40",
    b"\0\0\0\x80",
)


def dicom_corpus(root: Path) -> list[Path]:
    """One folder for each way to store a small series."""
    folders = []
    for name, syntax in (
        ("explicit", None),
        ("implicit", ImplicitVRLittleEndian),
        ("big", ExplicitVRBigEndian),
    ):
        folders.append(
            save_all(
                single_frames(voxels(SHAPE), AXIAL), root / name, *([syntax] if syntax else [])
            )
        )
    for name, syntax in (("rle", RLELossless), ("jls", JPEGLSLossless), ("j2k", JPEG2000Lossless)):
        folder = save_all(single_frames(voxels(SHAPE), AXIAL), root / name)
        for path in folder.iterdir():
            _compress(path, syntax)
        folders.append(folder)
    save(multi_frame(voxels(SHAPE), AXIAL), root / "frames" / "IM")
    save(multi_frame(voxels(SHAPE), AXIAL), root / "frames_rle" / "IM")
    _compress(root / "frames_rle" / "IM", RLELossless)
    return [*folders, root / "frames", root / "frames_rle"]


def nifti_corpus(root: Path) -> list[Path]:
    """A NIfTI file of each kind."""
    root.mkdir(parents=True, exist_ok=True)
    paths = [root / "a.nii", root / "a.nii.gz", root / "float.nii.gz"]
    for path in paths:
        data = voxels(SHAPE).astype(np.float32 if path.name.startswith("float") else np.int16)
        nib.save(nib.Nifti1Image(data, AXIAL), path)
    return paths


def mutate_bytes(raw: bytes, chance: random.Random, header: int = 2048) -> bytes:
    """Flip, cut, remove, repeat or overwrite; most of it in the header, the first bytes."""
    data = bytearray(raw)
    for _ in range(chance.choice((1, 1, 1, 2, 4, 16))):
        if len(data) < 2:
            break
        end = min(len(data), header) if chance.random() < 0.8 else len(data)
        start = chance.randrange(end)
        span = chance.choice((1, 2, 4, 8, 64))
        kind = chance.randrange(6)
        if kind <= 1:
            data[start] ^= 1 << chance.randrange(8)
        elif kind == 2:
            data[start : start + span] = chance.randbytes(span)
        elif kind == 3:
            del data[start : start + span]
        elif kind == 4:
            data[start:start] = data[start : start + span]
        else:
            del data[start:]
    return bytes(data)


def mutate_fields(raw: bytes, chance: random.Random) -> bytes:
    """Give fields of a NIfTI header values that they must not have."""
    data = bytearray(raw)
    for _ in range(chance.choice((1, 1, 2, 4))):
        offset, kind = chance.choice(NIFTI_FIELDS)
        value = chance.choice(NASTY_FLOATS if kind == "f" else NASTY_SHORTS)
        data[offset : offset + struct.calcsize(kind)] = struct.pack(f"<{kind}", value)
    return bytes(data)


def mutate_element(path: Path, chance: random.Random) -> None:
    """Take out an element at any depth, or give it a value that it must not have."""
    dataset = dcmread(path)
    for _ in range(chance.choice((1, 1, 2, 3))):
        holder: Dataset = dataset
        element = chance.choice(list(holder))
        while element.VR == "SQ" and element.value and chance.random() < 0.8:
            holder = chance.choice(list(element.value))
            if not len(holder):
                break
            element = chance.choice(list(holder))
        if element.tag not in holder or chance.random() < 0.3:
            holder.pop(element.tag, None)
        elif element.VR in ("US", "UL", "SS"):
            element.value = chance.choice((0, 1, 2, 7, 255, 65535 if element.VR != "SS" else 32767))
        elif element.VR in ("DS", "IS"):
            element.VR = "LO"
            element.value = chance.choice(NASTY_NUMBERS)
        elif element.VR in ("OB", "OW"):
            element.value = element.value[: chance.randrange(len(element.value) or 1) // 2 * 2]
        elif element.VR != "SQ":
            element.VR = "UN"
            element.value = chance.choice(NASTY_BYTES)
    dataset.save_as(path)


def mutant_of_series(corpus: list[Path], folder: Path, seed: int) -> Path:
    """A copy of a series with one or all of its files damaged."""
    chance = random.Random(seed)
    source = chance.choice(corpus)
    every_file = chance.random() < 0.3
    structural = chance.random() < 0.5
    inner = chance.randrange(2**32)
    for number, file in enumerate(sorted(source.iterdir())):
        path = folder / file.name
        path.write_bytes(file.read_bytes())
        if number and not every_file:
            continue
        same_for_all = random.Random(inner)
        if structural:
            try:
                mutate_element(path, same_for_all)
            except (
                ValueError,
                TypeError,
                AttributeError,
                OverflowError,
                KeyError,
                NotImplementedError,
            ):
                path.write_bytes(mutate_bytes(file.read_bytes(), same_for_all))
        else:
            path.write_bytes(mutate_bytes(file.read_bytes(), same_for_all))
    return folder


def mutant_of_file(corpus: list[Path], folder: Path, seed: int) -> Path:
    """A damaged copy of a NIfTI file."""
    chance = random.Random(seed)
    source = chance.choice(corpus)
    path = folder / source.name
    raw = source.read_bytes()
    if chance.random() < 0.5:
        zipped = source.suffix == ".gz"
        changed = mutate_fields(gzip.decompress(raw) if zipped else raw, chance)
        path.write_bytes(gzip.compress(changed, 1) if zipped else changed)
    elif source.suffix == ".gz" and chance.random() < 0.7:
        path.write_bytes(gzip.compress(mutate_bytes(gzip.decompress(raw), chance, NIFTI_HEADER), 1))
    else:
        path.write_bytes(mutate_bytes(raw, chance, NIFTI_HEADER))
    return path


def examine(path: Path) -> str:
    """Read a mutant. Returns ``"read"`` or the name of our error.

    Raises:
        AssertionError: what was read is no volume, or a message or the provenance names the
            patient.
        Exception: whatever else the reader lets out; that is the finding.
    """
    started = time.monotonic()
    try:
        volume = read_volume(path, "flair")
    except MmccdError as error:
        text, result = str(error), type(error).__name__
        assert "\n" not in text
    else:
        text, result = json.dumps(volume.provenance), "read"
        assert min(volume.shape) >= 1
        assert volume.data.dtype == np.float32
        assert np.isfinite(volume.affine).all()
        assert abs(np.linalg.det(volume.affine)) > 0
    for secret in SECRETS:
        assert secret not in text.replace(str(path), ""), "a message names the patient"
    assert time.monotonic() - started < TIME_LIMIT_S
    return result


def run_chunk(kind: str, first: int, corpus_root: Path, results: Path) -> None:
    """Examine some mutants in this process, and write after each what came out."""
    config.settings.writing_validation_mode = config.IGNORE
    corpus, mutant = _kinds(corpus_root)[kind]
    with results.open("a") as file:
        for seed in range(first, first + CHUNK):
            file.write(json.dumps({"seed": seed, "result": None}) + "\n")
            file.flush()
            with tempfile.TemporaryDirectory() as folder:
                try:
                    result, trace = examine(mutant(corpus, Path(folder), seed)), ""
                except Exception as error:  # whatever it is, it is a finding
                    result, trace = f"{type(error).__name__}: {error}", traceback.format_exc()
            file.write(json.dumps({"seed": seed, "result": result, "trace": trace}) + "\n")


Mutant = Callable[[list[Path], Path, int], Path]


def _kinds(root: Path) -> dict[str, tuple[list[Path], Mutant]]:
    dicom, nifti = sorted((root / "dicom").iterdir()), sorted((root / "nifti").iterdir())
    return {"dicom": (dicom, mutant_of_series), "nifti": (nifti, mutant_of_file)}


def _compress(path: Path, syntax: str) -> None:
    file = dcmread(path)
    file.compress(syntax, generate_instance_uid=False)
    file.save_as(path)


def main() -> int:
    """Fuzz both readers for some time; 0 where nothing was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0, help="how long, for each reader")
    parser.add_argument("--seed", type=int, default=0, help="where to begin")
    arguments = parser.parse_args()
    findings = 0
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        dicom_corpus(root / "dicom")
        nifti_corpus(root / "nifti")
        for kind in ("dicom", "nifti"):
            counts: Counter[str] = Counter()
            end, first = time.monotonic() + arguments.seconds, arguments.seed
            while time.monotonic() < end:
                results = root / f"{kind}.{first}"
                child = multiprocessing.get_context("spawn").Process(
                    target=run_chunk, args=(kind, first, root, results)
                )
                child.start()
                child.join(CHUNK * TIME_LIMIT_S)
                if child.is_alive():
                    child.kill()
                lines = (
                    [json.loads(line) for line in results.read_text().splitlines()]
                    if results.exists()
                    else []
                )
                done = {line["seed"]: line for line in lines}
                for seed, line in done.items():
                    result = line["result"] or "the process died"
                    counts[
                        (
                            result
                            if result in ("read", "InputError", "UnsuitableInputError")
                            else "FINDING"
                        )
                    ] += 1
                    if result not in ("read", "InputError", "UnsuitableInputError"):
                        findings += 1
                        sys.stdout.write(f"{kind} seed {seed}: {result}\n{line.get('trace', '')}\n")
                first += CHUNK
                sys.stdout.flush()
            sys.stdout.write(f"{kind}: {sum(counts.values())} mutants, {dict(counts)}\n")
            sys.stdout.flush()
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
