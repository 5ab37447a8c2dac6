"""The figures as a structured report: TID 1500, Measurement Report."""

from __future__ import annotations

import highdicom.sr as sr
from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.seg import Segmentation
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from mmccd.core import Result
from mmccd.outputs.dicom.identity import MANUFACTURER, MODEL, WATERMARK, Identity, finish
from mmccd.outputs.dicom.segmentation import SEGMENT_NUMBER, TRACKING_ID
from mmccd.outputs.dicom.source import Source

SCHEME = "99MMCCD"
SCORE = Code("ANOMALY_SCORE", SCHEME, "Anomaly score: error of the masked modality cycle")
PRESENCE = Code("705057003", "SCT", "Presence")
BRAIN_MRI = Code("816077007", "SCT", "Magnetic resonance imaging of brain")
MILLILITRE = Code("mL", "UCUM", "milliliter")
_DIGITS = 6


def make_report(
    result: Result, source: Source, segmentation: Segmentation, identity: Identity
) -> sr.Comprehensive3DSR:
    """Two groups of measurements: of the segment (volume, mean and maximum of the map; present or
    absent) and of the whole brain.

    The report is unverified, and its comments have the notice and the run's warnings. Where nothing
    was found the volume is 0 mL, the lesion is absent, and mean and maximum within the segment are
    left out.
    """
    context = sr.ObservationContext(
        observer_device_context=sr.ObserverContext(
            codes.DCM.Device,
            sr.DeviceObserverIdentifyingAttributes(
                uid=identity.device_uid,
                name=MANUFACTURER,
                manufacturer_name=MANUFACTURER,
                model_name=MODEL,
                serial_number=identity.serial,
            ),
        )
    )
    content = sr.MeasurementReport(
        context,
        BRAIN_MRI,
        [_segment_group(result, source, segmentation, identity), _brain_group(result, identity)],
        title=codes.DCM.ImagingMeasurementReport,
    )
    for text in [WATERMARK, *result.report.warnings]:
        comment = sr.TextContentItem(
            codes.DCM.Comment, _plain(text), sr.RelationshipTypeValues.CONTAINS
        )
        content[0].ContentSequence.append(comment)
    dataset = sr.Comprehensive3DSR(
        evidence=[*source.headers, segmentation],
        content=content[0],
        sop_instance_uid=identity.uid("instance", "report"),
        instance_number=1,
        is_complete=True,
        is_final=False,
        is_verified=False,
        coding_schemes=[
            CodingSchemeIdentificationItem(
                SCHEME, name="MMCCD", responsible_organization=MANUFACTURER
            )
        ],
        series_description=f"MMCCD measurements - {WATERMARK}",
        **identity.series("report"),
    )
    finish(dataset, source)
    return dataset


def _segment_group(
    result: Result, source: Source, segmentation: Segmentation, identity: Identity
) -> sr.VolumetricROIMeasurementsAndQualitativeEvaluations:
    inside = result.anomaly_map.data[result.segmentation.data > 0]
    measurements = [_volume(result.report.volumes_ml.anomalous)]
    if inside.size:
        measurements += _scores(float(inside.mean()), float(inside.max()))
    segment = sr.ReferencedSegment(
        segmentation.SOPClassUID,
        segmentation.SOPInstanceUID,
        SEGMENT_NUMBER,
        source_images=[
            sr.SourceImageForSegmentation(header.SOPClassUID, header.SOPInstanceUID)
            for header in source.headers
        ],
    )
    present = codes.cid240.Present if inside.size else codes.cid240.Absent
    return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(identity.uid("tracking", "anomaly"), TRACKING_ID),
        referenced_segment=segment,
        finding_category=codes.SCT.MorphologicallyAbnormalStructure,
        finding_type=codes.SCT.Lesion,
        finding_sites=[sr.FindingSite(codes.SCT.Brain)],
        algorithm_id=identity.algorithm_items(),
        measurements=measurements,
        qualitative_evaluations=[sr.QualitativeEvaluation(PRESENCE, present)],
    )


def _brain_group(result: Result, identity: Identity) -> sr.MeasurementsAndQualitativeEvaluations:
    scores = result.report.map
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            identity.uid("tracking", "brain"), "MMCCD whole brain"
        ),
        finding_type=codes.SCT.Brain,
        finding_sites=[sr.FindingSite(codes.SCT.Brain)],
        algorithm_id=identity.algorithm_items(),
        measurements=[
            _volume(result.report.volumes_ml.brain),
            *_scores(scores.mean, scores.max),
        ],
    )


def _volume(millilitres: float) -> sr.Measurement:
    return sr.Measurement(codes.SCT.Volume, millilitres, MILLILITRE)


def _scores(mean: float, maximum: float) -> list[sr.Measurement]:
    return [
        sr.Measurement(
            SCORE, float(f"{value:.{_DIGITS}g}"), codes.UCUM.NoUnits, derivation=derivation
        )
        for value, derivation in ((mean, codes.SCT.Mean), (maximum, codes.SCT.Maximum))
    ]


def _plain(text: str) -> str:
    """ASCII, which every character set has."""
    return text.encode("ascii", "replace").decode()
