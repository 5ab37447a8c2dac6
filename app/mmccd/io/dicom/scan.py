"""A folder to the DICOM series that are in it."""

from __future__ import annotations

import contextlib
import hashlib
import re
from dataclasses import astuple, dataclass, field, replace
from itertools import groupby
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from mmccd.io.dicom.elements import READ_ERRORS, quiet
from mmccd.io.dicom.header import Frame, Instance, instance_of, read_header
from mmccd.io.dicom.origin import Origin, joined
from mmccd.io.dicom.starts import broken_links, files_below, is_absent, looks_like_dicom
from mmccd.io.dicom.strays import without_strays
from mmccd.io.geometry import MIN_SLICES
from mmccd.io.nifti import is_nifti_name

DICOM_ENDINGS = (".dcm", ".ima", ".dicom")
_UID = re.compile(r"[0-9.]{1,64}")
AXIAL, CORONAL, SAGITTAL = "axial", "coronal", "sagittal"


@dataclass(frozen=True)
class Series:
    """The files of one series.

    Attributes:
        uid: series instance UID, "" where the files have none.
        instances: one of each SOP instance, in the order of their paths. Objects that are no images
            are passed over where there are images.
        copies: how many further files were the same, byte by byte.
        missing: how many more files a DICOMDIR lists for it.
        conflicting: how many files have the UID of another one, but not its content.
        left_out: images that are no slices, see :func:`~mmccd.io.dicom.strays.without_strays`.
        uids: how many series UIDs the files have: more than one where each file of a series has
            its own.
    """

    uid: str
    instances: tuple[Instance, ...]
    copies: int = 0
    missing: int = 0
    conflicting: int = 0
    left_out: tuple[Instance, ...] = ()
    uids: int = 1

    @property
    def is_image(self) -> bool:
        """Whether it holds images at all."""
        return any(instance.is_image for instance in self.instances)

    @property
    def origins(self) -> set[Origin]:
        """Where the files come from."""
        return {instance.origin for instance in (*self.instances, *self.left_out)}

    @property
    def origin(self) -> Origin:
        """Where it comes from, unless its files contradict each other."""
        return joined(self.origins)

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
        return self.uid if _UID.fullmatch(self.uid) else "(no valid UID)"

    @property
    def printable_study_uid(self) -> str:
        """The UID of the study, where it is one."""
        uid = self.origin.study
        return f"UID {uid}" if _UID.fullmatch(uid) else "no valid UID"

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
        absent: links that lead nowhere, and files that stand for content that is not there.
        listed: how many files the DICOMDIRs list that are not there, whatever their series.
        nifti: NIfTI files.
    """

    series: list[Series] = field(default_factory=list)
    damaged: int = 0
    absent: int = 0
    listed: int = 0
    nifti: int = 0


def scan(path: Path) -> Study:
    """Read the headers of all DICOM files in a folder, at any depth; other files are passed over.

    Args:
        path: a folder, or one DICOM file.

    Raises:
        InputError: a folder inside cannot be listed.
    """
    study = Study(absent=sum(map(is_absent, broken_links(path))))
    found: dict[tuple[str, str], list[Instance]] = {}
    listed: dict[str, set[str]] = {}
    with quiet():
        for file in files_below(path):
            try:
                instance = _read(file, study, listed)
            except READ_ERRORS:
                study.damaged += 1
                continue
            if instance is not None:
                # A series UID that several studies share does not make their images one series.
                key = instance.series_uid, instance.origin.study
                found.setdefault(key, []).append(instance)
    there = {instance.sop_uid for instances in found.values() for instance in instances}
    study.listed = len(set().union(*listed.values()) - there)
    series = [
        _series(uid, instances, listed.get(uid, set())) for (uid, _), instances in found.items()
    ]
    study.series = sorted(
        _scattered(series),
        key=lambda one: (one.first.number is None, one.first.number or 0, one.uid),
    )
    return study


def _read(file: Path, study: Study, listed: dict[str, set[str]]) -> Instance | None:
    """One file's header; None where it is not DICOM, or a DICOMDIR, whose list goes into
    ``listed``.
    """
    if not looks_like_dicom(file):
        study.nifti += is_nifti_name(file)
        if is_absent(file):
            study.absent += 1
        else:
            study.damaged += file.name.lower().endswith(DICOM_ENDINGS)
        return None
    if file.name.upper() == "DICOMDIR":
        # A damaged one lists nothing: the files speak for themselves.
        with contextlib.suppress(*READ_ERRORS):
            _list_records(read_header(file)[0], listed)
        return None
    dataset, has_pixels = read_header(file)
    if "DirectoryRecordSequence" in dataset:
        _list_records(dataset, listed)
        return None
    instance = instance_of(dataset, file, has_pixels)
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
    every = tuple(kept.values())
    images = tuple(one for one in every if one.is_image)
    slices = without_strays(images)
    taken = {one.path for one in slices}
    return Series(
        uid,
        slices or every,
        copies,
        len(listed - set(kept)),
        conflicting,
        tuple(one for one in images if one.path not in taken),
    )


def _scattered(series: list[Series]) -> list[Series]:
    """The same, but series of one image each that are slices of one volume, because something gave
    each file a series UID (and perhaps a study UID) of its own, are one series.
    """
    whole: list[Series] = []
    alone: list[Series] = []
    for one in series:
        (alone if one.is_image and len(one.frames) == 1 else whole).append(one)
    for _, same in groupby(sorted(alone, key=_of_one_series), key=_of_one_series):
        parts = list(same)
        whole += [_joined(parts)] if len(parts) >= MIN_SLICES else parts
    return whole


def _joined(parts: list[Series]) -> Series:
    instances = tuple(one for part in parts for one in part.instances)
    return replace(
        parts[0],
        instances=instances,
        copies=sum(part.copies for part in parts),
        missing=sum(part.missing for part in parts),
        conflicting=sum(part.conflicting for part in parts),
        uids=len(parts),
    )


def _of_one_series(series: Series) -> str:
    """What the slices of one volume have in common beside their UIDs; to be compared only."""
    first, orientation = series.first, series.frames[0].orientation
    directions = None if orientation is None else [round(float(value), 2) for value in orientation]
    return str(
        (
            astuple(replace(first.origin, study="")),
            (first.modality, first.number, first.wording),
            (first.rows, first.columns, directions),
        )
    )


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
