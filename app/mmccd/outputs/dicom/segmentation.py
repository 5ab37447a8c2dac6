"""The segmentation as a DICOM Segmentation object."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
from highdicom.color import CIELabColor
from highdicom.seg import Segmentation, SegmentDescription
from numpy.typing import NDArray
from pydicom.sr.codedict import codes

from mmccd.core import Result
from mmccd.outputs.dicom.identity import WATERMARK, Identity
from mmccd.outputs.dicom.segments import Segment
from mmccd.outputs.dicom.source import Source

_CYAN = CIELabColor(79.0, -25.0, -36.0)


def make_segmentation(
    result: Result, source: Source, identity: Identity, segments: Sequence[Segment]
) -> Segmentation:
    """A BINARY segmentation on the source's own frames: each references the source frame that it
    lies on.

    Empty frames are left out. Where nothing was found all frames are stored, empty: an object
    without frames would not be valid, and without an object nobody could tell "nothing found" from
    "not run".

    A segment is called a lesion (SCT 52988006), not a neoplasm: the method says that tissue is
    unusual, not what it is.
    """
    names = content_of(segments)
    dataset = Segmentation(
        source_images=source.headers,
        pixel_array=source.frames(_labels(segments)),
        segmentation_type="BINARY",
        segment_descriptions=[_described(one, identity) for one in segments],
        sop_instance_uid=identity.uid("instance", "segmentation", *names),
        instance_number=1,
        content_label="MMCCD_ANOMALY",
        content_description=WATERMARK,
        omit_empty_frames=any(one.inside.any() for one in segments),
        series_description=f"MMCCD segmentation - {WATERMARK}",
        **identity.series("segmentation", *names),
    )
    dimension = identity.uid("dimensions", "segmentation", *names)
    for item in [*dataset.DimensionOrganizationSequence, *dataset.DimensionIndexSequence]:
        item.DimensionOrganizationUID = dimension
    source.say_when(dataset)
    return dataset


def content_of(segments: Sequence[Segment]) -> list[str]:
    """What a segmentation has beyond the run's key: nothing where all is one segment."""
    return [] if segments[0].is_whole else [one.name for one in segments]


def _labels(segments: Sequence[Segment]) -> NDArray[np.uint8]:
    """The number of its segment in each voxel, 0 outside all."""
    labels = np.zeros(segments[0].inside.shape, dtype=np.uint8)
    for one in segments:
        labels[one.inside] = one.number
    return labels


def _described(segment: Segment, identity: Identity) -> SegmentDescription:
    return SegmentDescription(
        segment_number=segment.number,
        segment_label=segment.label,
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Lesion,
        algorithm_type="AUTOMATIC",
        algorithm_identification=identity.algorithm(),
        tracking_uid=identity.uid("tracking", segment.name),
        tracking_id=segment.tracking_id,
        anatomic_regions=[codes.SCT.Brain],
        display_color=_colour(segment),
    )


def _colour(segment: Segment) -> CIELabColor:
    """Cyan for all that was found; lesions differ from their neighbours in the list."""
    if segment.is_whole:
        return _CYAN
    colours = matplotlib.colormaps["Set2"]
    red, green, blue, _ = colours((segment.number - 1) % colours.N, bytes=True)
    return CIELabColor.from_rgb(int(red), int(green), int(blue))
