"""DICOM files made by tests: any array with any affine, as scanners write them; with a patient
whose name must never come out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    EnhancedMRImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    MRImageStorage,
    generate_uid,
)

from mmccd.core.volume import Volume

SECRETS = ("Mustermann", "Erika", "PID-4711", "19640812", "ACC-99887")
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
Change = Callable[[list[Dataset]], object]
AXIAL = np.array(
    [[-0.9, 0.0, 0.0, 60.0], [0.0, -1.1, 0.0, 70.0], [0.0, 0.0, 5.5, -30.0], [0.0, 0.0, 0.0, 1.0]]
)


def voxels(shape: tuple[int, int, int] = (12, 10, 6), seed: int = 0) -> NDArray[np.uint16]:
    """Random whole numbers that fit 12 bits, each corner different."""
    return np.random.default_rng(seed).integers(0, 4000, shape).astype(np.uint16)


def common_header(uid: str, number: int = 5, description: str = "t2_flair_tra") -> Dataset:
    """What all images of a FLAIR series have, and the patient."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName = "Mustermann^Erika"
    dataset.PatientID = "PID-4711"
    dataset.PatientBirthDate = "19640812"
    dataset.AccessionNumber = "ACC-99887"
    dataset.StudyInstanceUID = "1.2.3"
    dataset.SeriesInstanceUID = uid
    dataset.FrameOfReferenceUID = f"{uid}.1"
    dataset.SeriesNumber = number
    dataset.Modality = "MR"
    dataset.SeriesDescription = description
    dataset.ProtocolName = description
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND"]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = 16
    dataset.BitsStored = 12
    dataset.HighBit = 11
    dataset.PixelRepresentation = 0
    return dataset


def single_frames(
    array: NDArray[np.generic],
    affine: NDArray[np.float64],
    uid: str = "1.2.3.5",
    number: int = 5,
    description: str = "t2_flair_tra",
) -> list[Dataset]:
    """One classic MR image a slice along the array's last axis; columns along the first, rows along
    the second.
    """
    lps = RAS_TO_LPS @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    datasets = []
    for k in range(array.shape[2]):
        dataset = common_header(uid, number, description)
        dataset.SOPClassUID = MRImageStorage
        dataset.SOPInstanceUID = f"{uid}.{k + 100}"
        dataset.InstanceNumber = k + 1
        dataset.ScanningSequence = ["SE", "IR"]
        dataset.RepetitionTime, dataset.EchoTime, dataset.InversionTime = 9000.0, 120.0, 2500.0
        dataset.EchoNumbers = 1
        dataset.SliceThickness = float(spacing[2])
        dataset.SpacingBetweenSlices = float(spacing[2])
        dataset.ImagePositionPatient = rounded(lps @ [0, 0, k, 1])[:3]
        dataset.ImageOrientationPatient = rounded(
            [*lps[:3, 0] / spacing[0], *lps[:3, 1] / spacing[1]]
        )
        dataset.PixelSpacing = rounded([spacing[1], spacing[0]])
        dataset.Rows, dataset.Columns = array.shape[1], array.shape[0]
        put_pixels(dataset, array[:, :, k].T)
        datasets.append(dataset)
    return datasets


def multi_frame(
    array: NDArray[np.generic],
    affine: NDArray[np.float64],
    uid: str = "1.2.3.6",
    slopes: Iterable[float] = (),
) -> Dataset:
    """One enhanced MR image; frames are stored from the last slice to the first."""
    lps = RAS_TO_LPS @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    dataset = common_header(uid, 6, "FLAIR enhanced")
    dataset.SOPClassUID = EnhancedMRImageStorage
    dataset.SOPInstanceUID = f"{uid}.1000"
    dataset.InstanceNumber = 1
    dataset.NumberOfFrames = array.shape[2]
    dataset.Rows, dataset.Columns = array.shape[1], array.shape[0]
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "OTHER", "NONE"]
    dataset.AcquisitionContrast = "FLUID_ATTENUATED"
    timing, echo, modifier = Dataset(), Dataset(), Dataset()
    timing.RepetitionTime, echo.EffectiveEchoTime, modifier.InversionTimes = 9000.0, 120.0, 2500.0
    shared = Dataset()
    shared.MRTimingAndRelatedParametersSequence = Sequence([timing])
    shared.MREchoSequence = Sequence([echo])
    shared.MRModifierSequence = Sequence([modifier])
    dataset.SharedFunctionalGroupsSequence = Sequence([shared])
    slopes = list(slopes) or [1.0] * array.shape[2]
    groups = []
    for number, k in enumerate(reversed(range(array.shape[2]))):
        position, orientation, measures, content, rescale = (
            Dataset(),
            Dataset(),
            Dataset(),
            Dataset(),
            Dataset(),
        )
        position.ImagePositionPatient = rounded(lps @ [0, 0, k, 1])[:3]
        orientation.ImageOrientationPatient = rounded(
            [*lps[:3, 0] / spacing[0], *lps[:3, 1] / spacing[1]]
        )
        measures.PixelSpacing = rounded([spacing[1], spacing[0]])
        measures.SliceThickness = measures.SpacingBetweenSlices = float(spacing[2])
        content.StackID, content.InStackPositionNumber, content.DimensionIndexValues = (
            "1",
            number + 1,
            [1, number + 1],
        )
        rescale.RescaleSlope, rescale.RescaleIntercept, rescale.RescaleType = slopes[k], 0.0, "US"
        group = Dataset()
        group.PlanePositionSequence = Sequence([position])
        group.PlaneOrientationSequence = Sequence([orientation])
        group.PixelMeasuresSequence = Sequence([measures])
        group.FrameContentSequence = Sequence([content])
        group.PixelValueTransformationSequence = Sequence([rescale])
        groups.append(group)
    dataset.PerFrameFunctionalGroupsSequence = Sequence(groups)
    put_pixels(dataset, array[:, :, ::-1].transpose(2, 1, 0))
    return dataset


def rounded(values: Iterable[float]) -> list[float]:
    """Numbers that fit a decimal string of 16 characters."""
    return [round(float(value), 9) for value in values]


def put_pixels(dataset: Dataset, pixels: NDArray[np.generic]) -> None:
    """Native little-endian pixels of the type that the header names."""
    kind = "i" if dataset.PixelRepresentation else "u"
    dataset.PixelData = (
        np.ascontiguousarray(pixels).astype(f"<{kind}{dataset.BitsAllocated // 8}").tobytes()
    )
    dataset["PixelData"].VR = "OW"


def save(dataset: Dataset, path: Path, syntax: str = ExplicitVRLittleEndian) -> Path:
    """Write as a file with preamble and meta group; native pixels are swapped for big endian."""
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", MRImageStorage)
    meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID", generate_uid())
    meta.TransferSyntaxUID = UID(syntax)
    implicit, little = UID(syntax).is_implicit_VR, UID(syntax).is_little_endian
    file = FileDataset(
        None,
        dataset,
        file_meta=meta,
        preamble=b"\0" * 128,
        is_implicit_VR=implicit,
        is_little_endian=little,
    )
    if syntax == ExplicitVRBigEndian:
        file["PixelData"].value = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
    file.save_as(path, enforce_file_format=True, implicit_vr=implicit, little_endian=little)
    return path


def save_all(
    datasets: Iterable[Dataset], folder: Path, syntax: str = ExplicitVRLittleEndian, start: int = 0
) -> Path:
    """Each dataset as ``IM0000`` and so on, without ending, in a folder."""
    for number, dataset in enumerate(datasets, start):
        save(dataset, folder / f"IM{number:04d}", syntax)
    return folder


def write_series(
    folder: Path,
    change: Change | None = None,
    affine: NDArray[np.float64] = AXIAL,
    **header: object,
) -> Path:
    """A small FLAIR series of 6 slices, axial where no affine is given; ``change`` edits the
    datasets before they are saved.
    """
    datasets = single_frames(voxels(), affine)
    for dataset in datasets:
        for name, value in header.items():
            setattr(dataset, name, value)
    if change:
        change(datasets)
    return save_all(datasets, folder)


def assert_same_in_patient_space(
    volume: Volume,
    array: NDArray[np.generic],
    affine: NDArray[np.float64],
    atol: float = 0.0,
    places: float = 1e-3,
) -> None:
    """Every voxel of one is at the same place as one of the other (to so many voxels), and has its
    value.
    """
    assert sorted(volume.shape) == sorted(array.shape)
    to_array = np.linalg.inv(affine) @ volume.affine
    indices = np.indices(volume.shape).reshape(3, -1)
    found = to_array[:3, :3] @ indices + to_array[:3, 3:]
    nearest = np.rint(found).astype(int)
    assert np.abs(found - nearest).max() < places
    assert nearest.min() >= 0
    np.testing.assert_allclose(
        volume.data.reshape(-1),
        np.asarray(array[tuple(nearest)], dtype=np.float64),
        rtol=0,
        atol=atol,
    )


def as_archived(datasets: list[Dataset]) -> None:
    """Add what an archive's headers have beyond that: every attribute of type 2, a name that is not
    ASCII, the scanner.
    """
    for dataset in datasets:
        dataset.PatientName = "Mustermann^Jörg=漢字"
        dataset.PatientSex, dataset.PatientAge, dataset.PatientWeight = "M", "061Y", "80"
        dataset.StudyDate, dataset.StudyTime, dataset.StudyID = "20240305", "101112", "S-1"
        dataset.SeriesDate, dataset.SeriesTime = "20240305", "102030.5"
        if "PerFrameFunctionalGroupsSequence" in dataset:
            dataset.AcquisitionDateTime = "20240305102101.25"
        else:
            dataset.AcquisitionDate, dataset.AcquisitionTime = "20240305", "102101.25"
        dataset.StudyDescription, dataset.ReferringPhysicianName = "Kopf", "Überweiser^Anna"
        dataset.Manufacturer, dataset.ManufacturerModelName, dataset.DeviceSerialNumber = (
            "Scanners",
            "Scan 3",
            "77",
        )
        dataset.SoftwareVersions, dataset.TimezoneOffsetFromUTC = "V1", "+0100"
        dataset.BodyPartExamined, dataset.PatientPosition, dataset.PositionReferenceIndicator = (
            "HEAD",
            "HFS",
            "",
        )
