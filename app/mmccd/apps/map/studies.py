"""What lies in the input folder: NIfTI volumes and DICOM studies, each with a name that says
nothing of the patient.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmccd.core import InputError
from mmccd.io import is_nifti_name

DICOM, NIFTI = "DICOM", "NIfTI"
UNREADABLE = "study-unreadable"
_FLAIR_NAME = re.compile(r"(_flair|-t2f)\.nii(\.gz)?$", re.IGNORECASE)
_HASH_DIGITS = 12


@dataclass(frozen=True)
class Study:
    """One examination to be judged.

    Attributes:
        name: of its output folder and in the log: for NIfTI the file name without its ending, for
            DICOM ``study-`` and 12 digits of the SHA-256 of the StudyInstanceUID, so that a system
            that knows the UID finds it.
        kind: ``"NIfTI"`` or ``"DICOM"``.
        source: the NIfTI file, or the folder (or single file) that holds the study.
        files: for DICOM, the files in ``source`` that belong to it; empty where everything in
            ``source`` does.
    """

    name: str
    kind: str
    source: Path
    files: tuple[Path, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            **asdict(self),
            "source": str(self.source),
            "files": [str(file) for file in self.files],
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Study:
        """The way back."""
        return cls(
            values["name"],
            values["kind"],
            Path(values["source"]),
            tuple(Path(file) for file in values["files"]),
        )


def find_studies(path: Path) -> list[Study]:
    """All studies of an input, in the order of their names.

    A NIfTI file is a study; where some are named as FLAIR (``_flair`` or ``-t2f``, as in BraTS),
    only those. DICOM files belong together by their StudyInstanceUID, in whatever folders they lie.
    Of one study alone the whole folder is the source, as for ``mmccd predict``.

    Args:
        path: a NIfTI file, a DICOM file, or a folder with NIfTI or DICOM files at any depth.

    Raises:
        InputError: missing, not readable, or nothing in it that could be a study.
    """
    # pydicom takes a while to load.
    from mmccd.io import DICOM_ENDINGS, files_below, looks_like_dicom

    if not path.exists():
        raise InputError(
            f"{path}: no such file or folder; expected NIfTI files or DICOM studies; mount the"
            " input or give it with -i"
        )
    try:
        files = list(files_below(path))
        candidates = [file for file in files if file.name.upper() != "DICOMDIR"]
        dicom = [
            file
            for file in candidates
            if file.name.lower().endswith(DICOM_ENDINGS) or looks_like_dicom(file)
        ]
    except OSError as error:
        raise InputError(
            f"{path}: a file in it cannot be read ({error.strerror}); check permissions"
        ) from error
    there = set(dicom)
    nifti = [file for file in files if is_nifti_name(file) and file not in there]
    if not dicom and not nifti:
        if path.is_file():
            return [
                Study(safe_name(path), NIFTI, path)
            ]  # the reader will say what is wrong with it
        raise InputError(
            f"{path}: holds no NIfTI and no DICOM file ({len(files)} others); expected studies;"
            " check what is mounted there"
        )
    return sorted(
        [*_dicom_studies(path, dicom, alone=not nifti), *_nifti_studies(nifti)],
        key=lambda study: study.name,
    )


def safe_name(file: Path) -> str:
    """The name of a file without its ending, of letters, digits, dots, hyphens and underscores;
    never hidden, never longer than 64.
    """
    stem = re.sub(r"\.nii(\.gz)?$", "", file.name, flags=re.IGNORECASE)
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", stem).strip("._-")[:64]
    return plain or "study"


def study_name(uid: str) -> str:
    """The name of a DICOM study."""
    return f"study-{hashlib.sha256(uid.encode()).hexdigest()[:_HASH_DIGITS]}"


def _nifti_studies(files: list[Path]) -> list[Study]:
    named = [file for file in files if _FLAIR_NAME.search(file.name)]
    studies: list[Study] = []
    taken: set[str] = set()
    for file in sorted(named or files):
        name = _free_name(safe_name(file), taken)
        taken.add(name.lower())
        studies.append(Study(name, NIFTI, file))
    return studies


def _free_name(name: str, taken: set[str]) -> str:
    numbered = (f"{name}-{number}" for number in range(2, len(taken) + 3))
    return next(word for word in [name, *numbered] if word.lower() not in taken)


def _dicom_studies(path: Path, files: list[Path], alone: bool) -> list[Study]:
    """Files by study. Files that do not say where they belong go to the studies that have files in
    the same folder, which then are refused as damaged.
    """
    by_uid, lost = _by_uid(files)
    if len(by_uid) <= 1 and alone:
        return [Study(study_name(uid), DICOM, path) for uid in by_uid] or (
            [Study(UNREADABLE, DICOM, path)] if lost else []
        )
    orphans = set(lost)
    studies = []
    for uid, own in by_uid.items():
        folders = {file.parent for file in own}
        near = [file for file in lost if file.parent in folders]
        orphans -= set(near)
        studies.append(Study(study_name(uid), DICOM, path, (*own, *near)))
    if orphans:
        studies.append(Study(UNREADABLE, DICOM, path, tuple(sorted(orphans))))
    return studies


def _by_uid(files: Iterable[Path]) -> tuple[dict[str, list[Path]], list[Path]]:
    """DICOM files by StudyInstanceUID, and those that have none or cannot be read."""
    import pydicom

    from mmccd.io import READ_ERRORS, quiet

    by_uid: dict[str, list[Path]] = {}
    lost = []
    with quiet():
        for file in files:
            try:
                dataset = pydicom.dcmread(
                    file, stop_before_pixels=True, force=True, specific_tags=["StudyInstanceUID"]
                )
                uid = str(dataset.get("StudyInstanceUID") or "").strip()
            except READ_ERRORS:
                uid = ""
            if uid:
                by_uid.setdefault(uid, []).append(file)
            else:
                lost.append(file)
    return by_uid, lost
