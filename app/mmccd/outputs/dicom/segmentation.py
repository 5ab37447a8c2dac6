"""The segmentation as a DICOM Segmentation object."""

from __future__ import annotations

from highdicom.color import CIELabColor
from highdicom.seg import Segmentation, SegmentDescription
from pydicom.sr.codedict import codes

from mmccd.core import Result
from mmccd.outputs.dicom.identity import WATERMARK, Identity, finish
from mmccd.outputs.dicom.source import Source

SEGMENT_NUMBER = 1
TRACKING_ID = "MMCCD anomaly"
_CYAN = CIELabColor(79.0, -25.0, -36.0)


def make_segmentation(result: Result, source: Source, identity: Identity) -> Segmentation:
    """A BINARY segmentation with one segment, on the source's own frames: each references the
    source frame that it lies on.

    Empty frames are left out. Where nothing was found all frames are stored, empty: an object
    without frames would not be valid, and without an object nobody could tell "nothing found" from
    "not run".

    The segment is called a lesion (SCT 52988006), not a neoplasm: the method says that tissue is
    unusual, not what it is.
    """
    segment = SegmentDescription(
        segment_number=SEGMENT_NUMBER,
        segment_label="Anomaly",
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Lesion,
        algorithm_type="AUTOMATIC",
        algorithm_identification=identity.algorithm(),
        tracking_uid=identity.uid("tracking", "anomaly"),
        tracking_id=TRACKING_ID,
        anatomic_regions=[codes.SCT.Brain],
        display_color=_CYAN,
    )
    dataset = Segmentation(
        source_images=source.headers,
        pixel_array=source.frames(result.segmentation.data),
        segmentation_type="BINARY",
        segment_descriptions=[segment],
        sop_instance_uid=identity.uid("instance", "segmentation"),
        instance_number=1,
        content_label="MMCCD_ANOMALY",
        content_description=WATERMARK,
        omit_empty_frames=bool(result.segmentation.data.any()),
        series_description=f"MMCCD segmentation - {WATERMARK}",
        **identity.series("segmentation"),
    )
    dimension = identity.uid("dimensions", "segmentation")
    for item in [*dataset.DimensionOrganizationSequence, *dataset.DimensionIndexSequence]:
        item.DimensionOrganizationUID = dimension
    finish(dataset, source)
    return dataset
