"""The figures as a structured report: TID 1500, Measurement Report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import highdicom.sr as sr
from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.seg import Segmentation
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.valuerep import DA, TM

from mmccd.core import EarlierReport, Result
from mmccd.outputs.dicom.earlier import (
    as_entries,
    predecessors_of,
    superseded_sentence,
    uids_of,
)
from mmccd.outputs.dicom.identity import (
    MANUFACTURER,
    MODEL,
    WATERMARK,
    Identity,
    digest_of_texts,
)
from mmccd.outputs.dicom.segments import Segment, whole
from mmccd.outputs.dicom.source import Source

SCHEME = "99MMCCD"
SCORE = Code("ANOMALY_SCORE", SCHEME, "Anomaly score: error of the masked modality cycle")
PRESENCE = Code("705057003", "SCT", "Presence")
BRAIN_MRI = Code("816077007", "SCT", "Magnetic resonance imaging of brain")
MILLILITRE = Code("mL", "UCUM", "milliliter")
ACQUISITION_DATE = Code("126201", "DCM", "Acquisition Date")
ACQUISITION_TIME = Code("126202", "DCM", "Acquisition Time")
Group = (
    sr.MeasurementsAndQualitativeEvaluations | sr.VolumetricROIMeasurementsAndQualitativeEvaluations
)
_DIGITS, _VOLUME_DIGITS = 6, 4


def make_report(
    result: Result,
    source: Source,
    segmentation: Segmentation | None,
    segments: Sequence[Segment],
    identity: Identity,
) -> tuple[sr.Comprehensive3DSR, tuple[EarlierReport, ...]]:
    """Groups of measurements: of each segment (volume, mean and maximum of the map; present or
    absent), of all that was found where these are lesions, and of the whole brain.

    The report is unverified, and its comments have the notice and the run's warnings. Where nothing
    was found the volume is 0 mL, the lesion is absent, and mean and maximum within the segment are
    left out. Reports of ours that lay beside the input are its predecessors (PS3.3, C.17.2), unless
    the newest of them is this one.

    Args:
        result: a finished run.
        source: the series.
        segmentation: that the measurements are of; None where it is not written.
        segments: in it.
        identity: of the run.

    Returns:
        The report, and those that it supersedes.
    """
    root = _root(result, source, segmentation, segments, identity)
    # Evidence and content decide; predecessors, of which the content has one item, come in by UID.
    said = json.dumps(root.to_json_dict(), sort_keys=True, default=str)
    content = digest_of_texts(said, *_evidence(source, segmentation))
    before = predecessors_of(
        result.image.earlier, lambda uids: identity.uid("instance", "report", content, *uids)
    )
    entries = as_entries(before)
    if entries:
        root.ContentSequence.append(_comment(superseded_sentence(entries)))
    names = (content, *uids_of(before))
    dataset = sr.Comprehensive3DSR(
        evidence=[*source.headers, *([segmentation] if segmentation is not None else [])],
        content=root,
        sop_instance_uid=identity.uid("instance", "report", *names),
        instance_number=1,
        is_complete=True,
        is_final=False,
        is_verified=False,
        previous_versions=before or None,
        coding_schemes=[
            CodingSchemeIdentificationItem(
                SCHEME, name="MMCCD", responsible_organization=MANUFACTURER
            )
        ],
        series_description=f"MMCCD measurements - {WATERMARK}",
        **identity.series("report", *names),
    )
    return dataset, entries


def _root(
    result: Result,
    source: Source,
    segmentation: Segmentation | None,
    segments: Sequence[Segment],
    identity: Identity,
) -> Dataset:
    """The document's content, without predecessors."""
    groups = [_segment_group(result, one, source, segmentation, identity) for one in segments]
    if not segments[0].is_whole:
        groups.insert(0, _segment_group(result, whole(result), source, None, identity))
    measured = sr.MeasurementReport(
        _context(identity),
        BRAIN_MRI,
        [*groups, _brain_group(result, identity)],
        title=codes.DCM.ImagingMeasurementReport,
    )
    root = measured[0]
    for item in _acquired(source):
        root.ContentSequence.append(item)
    for text in [WATERMARK, *result.report.warnings]:
        root.ContentSequence.append(_comment(text))
    return root


def _acquired(source: Source) -> list[sr.ContentItem]:
    """When the source was acquired: the object's own dates are those of its making."""
    date, time = source.acquired
    context = sr.RelationshipTypeValues.HAS_ACQ_CONTEXT
    day = [sr.DateContentItem(ACQUISITION_DATE, DA(date), context)] if date else []
    hour = [sr.TimeContentItem(ACQUISITION_TIME, TM(time), context)] if time else []
    return [*day, *hour]


def _comment(text: str) -> sr.TextContentItem:
    return sr.TextContentItem(codes.DCM.Comment, _plain(text), sr.RelationshipTypeValues.CONTAINS)


def _evidence(source: Source, segmentation: Segmentation | None) -> list[str]:
    found = [str(header.SOPInstanceUID) for header in source.headers]
    return sorted([*found, *([str(segmentation.SOPInstanceUID)] if segmentation else [])])


def _context(identity: Identity) -> sr.ObservationContext:
    """Who measured: this software."""
    return sr.ObservationContext(
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


def _segment_group(
    result: Result,
    segment: Segment,
    source: Source,
    segmentation: Segmentation | None,
    identity: Identity,
) -> Group:
    """The figures of one segment; where it is stored, with a reference to it."""
    inside = result.anomaly_map.data[segment.inside]
    volume = (
        result.report.volumes_ml.anomalous
        if segment.is_whole
        else round(inside.size * result.segmentation.voxel_ml, _VOLUME_DIGITS)
    )
    measurements = [_volume(volume)]
    if inside.size:
        measurements += _scores(float(inside.mean()), float(inside.max()))
    present = codes.cid240.Present if inside.size else codes.cid240.Absent
    common: dict[str, Any] = {
        "tracking_identifier": sr.TrackingIdentifier(
            identity.uid("tracking", segment.name), segment.tracking_id
        ),
        "finding_category": codes.SCT.MorphologicallyAbnormalStructure,
        "finding_type": codes.SCT.Lesion,
        "finding_sites": [sr.FindingSite(codes.SCT.Brain)],
        "algorithm_id": identity.algorithm_items(),
        "measurements": measurements,
        "qualitative_evaluations": [sr.QualitativeEvaluation(PRESENCE, present)],
    }
    if segmentation is None:
        return sr.MeasurementsAndQualitativeEvaluations(**common)
    reference = sr.ReferencedSegment(
        segmentation.SOPClassUID,
        segmentation.SOPInstanceUID,
        segment.number,
        source_images=[
            sr.SourceImageForSegmentation(header.SOPClassUID, header.SOPInstanceUID)
            for header in source.headers
        ],
    )
    return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        **common, referenced_segment=reference
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
