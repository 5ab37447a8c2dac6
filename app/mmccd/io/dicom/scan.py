"""A folder to the DICOM series that are in it."""

from __future__ import annotations

import contextlib
import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from mmccd.io.dicom.header import READ_ERRORS, Frame, Instance, instance_of, quiet, read_dataset
from mmccd.io.dicom.starts import files_below, looks_like_dicom
from mmccd.io.nifti import is_nifti_name

DICOM_ENDINGS = (".dcm", ".ima", ".dicom")
AXIAL, CORONAL, SAGITTAL = "axial", "coronal", "sagittal"


@dataclass(frozen=True)
class Series:
    """The files of one series.

    Attributes:
        uid: series instance UID.
        instances: one of each SOP instance, in the order of their paths.
        copies: how many further files were the same, byte by byte.
        missing: how many more files a DICOMDIR lists for it.
        conflicting: how many files have the UID of another one, but not its content.
    """

    uid: str
    instances: tuple[Instance, ...]
    copies: int = 0
    missing: int = 0
    conflicting: int = 0

    @property
    def first(self) -> Instance:
        """The file that speaks for the series."""
        return self.instances[0]

    @property
    def frames(self) -> list[Frame]:
        """All slices of all files."""
        return [frame for instance in self.instances for frame in instance.frames]

    @property
    def label(self) -> str:
        """Number and description, to print; never a path, nothing of the patient."""
        number = "without number" if self.first.number is None else str(self.first.number)
        return (
            f'series {number} "{self.first.description}"'
            if self.first.description
            else f"series {number}"
        )

    @property
    def printable_uid(self) -> str:
        """The UID, where it is one."""
        return self.uid if re.fullmatch(r"[0-9.]{1,64}", self.uid) else "(no valid UID)"

    @property
    def plane(self) -> str:
        """The anatomical plane that is nearest to the slices; "" where the header does not say."""
        orientation = self.frames[0].orientation
        if orientation is None:
            return ""
        normal = np.abs(np.cross(orientation[:3], orientation[3:]))
        return (SAGITTAL, CORONAL, AXIAL)[int(np.argmax(normal))]


@dataclass
class Study:
    """What a folder holds.

    Attributes:
        series: sorted by number.
        damaged: DICOM files that cannot be read far enough to say which series they belong to.
        listed: how many files the DICOMDIRs list that are not there, whatever their series.
        nifti: NIfTI files.
    """

    series: list[Series] = field(default_factory=list)
    damaged: int = 0
    listed: int = 0
    nifti: int = 0


def scan(path: Path) -> Study:
    """Read the headers of all DICOM files in a folder, at any depth; other files are passed over.

    Args:
        path: a folder, or one DICOM file.

    Raises:
        InputError: a folder inside cannot be listed.
    """
    study = Study()
    found: dict[str, list[Instance]] = {}
    listed: dict[str, set[str]] = {}
    with quiet():
        for file in files_below(path):
            try:
                instance = _read(file, study, listed)
            except READ_ERRORS:
                study.damaged += 1
                continue
            if instance is not None:
                found.setdefault(instance.series_uid, []).append(instance)
    there = {instance.sop_uid for instances in found.values() for instance in instances}
    study.listed = len(set().union(*listed.values()) - there)
    series = [_series(uid, instances, listed.get(uid, set())) for uid, instances in found.items()]
    study.series = sorted(
        series, key=lambda one: (one.first.number is None, one.first.number or 0, one.uid)
    )
    return study


def _read(file: Path, study: Study, listed: dict[str, set[str]]) -> Instance | None:
    """One file's header; None where it is not DICOM, or a DICOMDIR, whose list goes into
    ``listed``.
    """
    if not looks_like_dicom(file):
        study.nifti += is_nifti_name(file)
        study.damaged += file.name.lower().endswith(DICOM_ENDINGS)
        return None
    if file.name.upper() == "DICOMDIR":
        # A damaged one lists nothing: the files speak for themselves.
        with contextlib.suppress(*READ_ERRORS):
            _list_records(read_dataset(file, pixels=False), listed)
        return None
    dataset = read_dataset(file, pixels=False)
    if "DirectoryRecordSequence" in dataset:
        _list_records(dataset, listed)
        return None
    instance = instance_of(dataset, file)
    study.damaged += instance is None
    return instance


def _list_records(dicomdir: Dataset, listed: dict[str, set[str]]) -> None:
    """Which instances a DICOMDIR lists, by series: a series' record stands before those of its
    images.
    """
    series = ""
    for record in dicomdir.get("DirectoryRecordSequence") or []:
        if record.DirectoryRecordType == "SERIES":
            series = str(record.SeriesInstanceUID)
        elif record.DirectoryRecordType == "IMAGE":
            listed.setdefault(series, set()).add(str(record.ReferencedSOPInstanceUIDInFile))


def _series(uid: str, instances: list[Instance], listed: set[str]) -> Series:
    """Keep one of each SOP instance; tell copies from different files that claim to be the same."""
    kept: dict[str, Instance] = {}
    copies = conflicting = 0
    for instance in instances:
        key = instance.sop_uid or str(instance.path)
        if key not in kept:
            kept[key] = instance
        elif _digest(instance.path) == _digest(kept[key].path):
            copies += 1
        else:
            conflicting += 1
    return Series(uid, tuple(kept.values()), copies, len(listed - set(kept)), conflicting)


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
