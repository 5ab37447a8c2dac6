"""The report's PDF as a DICOM object: Encapsulated PDF (PS3.3, A.45.1)."""

from __future__ import annotations

from collections.abc import Sequence

from highdicom.base import SOPClass
from pydicom.sr.codedict import codes
from pydicom.uid import EncapsulatedPDFStorage, ExplicitVRLittleEndian

from mmccd.core import EarlierReport, Result
from mmccd.outputs.dicom.earlier import superseded_sentence
from mmccd.outputs.dicom.identity import WATERMARK, Identity, digest_of_texts
from mmccd.outputs.dicom.items import coded, reference_to
from mmccd.outputs.dicom.source import Source
from mmccd.outputs.report.pdf import TITLE, sections_of, write_pdf


def make_document(
    result: Result, source: Source, identity: Identity, superseded: Sequence[EarlierReport]
) -> SOPClass:
    """The document, with the patient in the header only.

    Args:
        result: a finished run.
        source: the series.
        identity: of the run.
        superseded: earlier reports that it names.
    """
    sections = sections_of(result, [superseded_sentence(superseded)])
    content = digest_of_texts(
        *(line for section in sections for line in (section.heading, *section.lines))
    )
    settings = identity.series("pdf", content)
    equipment = settings.pop("contributing_equipment")
    dataset = SOPClass(
        study_instance_uid=source.first.StudyInstanceUID,
        sop_instance_uid=identity.uid("instance", "pdf", content),
        sop_class_uid=EncapsulatedPDFStorage,
        instance_number=1,
        modality="DOC",
        transfer_syntax_uid=ExplicitVRLittleEndian,
        series_description=f"MMCCD report (PDF) - {WATERMARK}",
        **settings,
    )
    dataset.copy_patient_and_study_information(source.first)
    dataset.ContributingEquipmentSequence = equipment
    dataset.ConversionType = "WSD"
    dataset.AcquisitionDateTime = "".join(source.acquired)
    dataset.BurnedInAnnotation = "NO"
    dataset.SourceInstanceSequence = [reference_to(header) for header in source.headers]
    dataset.DocumentTitle = f"{TITLE}; {WATERMARK}"
    dataset.ConceptNameCodeSequence = [coded(codes.DCM.ImagingMeasurementReport)]
    dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
    content_bytes = write_pdf(result, sections)
    dataset.EncapsulatedDocumentLength = len(content_bytes)
    dataset.EncapsulatedDocument = content_bytes + b"\0" * (len(content_bytes) % 2)
    return dataset
