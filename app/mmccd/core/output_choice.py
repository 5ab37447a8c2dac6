"""What is written of a result, as its user may choose."""

from __future__ import annotations

from dataclasses import dataclass

BOTH, ONLY_DICOM, ONLY_IMAGES = OUTPUTS = ("both", "dicom", "images")
SEGMENTATION, PICTURES, REPORT, PDF = DICOM_OBJECTS = ("segmentation", "pictures", "report", "pdf")
DEFAULT_OBJECTS = ",".join((SEGMENTATION, PICTURES, REPORT))
ONE_SEGMENT, EACH_LESION = SEGMENTS = ("one", "lesions")
_MODALITIES = {SEGMENTATION: "SEG", PICTURES: "OT", REPORT: "SR", PDF: "DOC"}


@dataclass(frozen=True)
class OutputChoice:
    """What is written, beside ``report.json``.

    Attributes:
        images: NIfTI files, picture and page.
        objects: kinds of DICOM objects, some of :data:`DICOM_OBJECTS`; none where empty.
        segment_each_lesion: whether each lesion is a segment of its own.
    """

    images: bool = True
    objects: tuple[str, ...] = tuple(DEFAULT_OBJECTS.split(","))
    segment_each_lesion: bool = False

    @classmethod
    def of(cls, outputs: str, objects: str, segments: str) -> OutputChoice:
        """From the settings ``outputs``, ``dicom_objects`` and ``dicom_segments``."""
        return cls(
            outputs != ONLY_DICOM,
            () if outputs == ONLY_IMAGES else tuple(objects.split(",")),
            segments == EACH_LESION,
        )

    @property
    def modalities(self) -> frozenset[str]:
        """Modalities of the series that the DICOM objects form: SEG, OT (pictures), SR, DOC
        (PDF).
        """
        return frozenset(_MODALITIES[name] for name in self.objects)


USUAL_CHOICE = OutputChoice()
