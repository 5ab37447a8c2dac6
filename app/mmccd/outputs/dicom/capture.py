"""The most anomalous slices as pictures that every viewer shows: DICOM Secondary Capture."""

from __future__ import annotations

import numpy as np
from highdicom.sc import SCImage
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.valuerep import DA, TM

from mmccd.core import Result
from mmccd.outputs.dicom.identity import WATERMARK, Identity, digest_of, digest_of_texts
from mmccd.outputs.dicom.items import coded, reference_to
from mmccd.outputs.dicom.source import Source
from mmccd.outputs.folder import CAPTURES
from mmccd.outputs.report.view import RadiologicalView, draw_sides

WIDTH = 1024
_DPI = 100.0
_BAND = 56
_GAP = 8
_MOST_HEIGHT = 640
_WARNING_COLOUR = "#ff9d5c"
_COPIED = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")


def make_captures(result: Result, source: Source, identity: Identity) -> list[SCImage]:
    """One single-frame colour image for each of the most anomalous slices, from inferior to
    superior: what the oldest viewer can show.

    Each has the input on the left, and on the right the same with map and outline; axial, the
    image's left is the patient's right. The notice is burnt in, nothing of the patient is.
    """
    view = RadiologicalView.of(result)
    found = _found(result)
    # What is drawn beyond the run's key: the box around the brain, and the words.
    content = digest_of_texts(digest_of(result.brain_mask.data), found)
    captures = []
    for number, index in enumerate(view.chosen(CAPTURES), 1):
        pixels = draw_slice(view, index, found)
        captures.append(_capture(pixels, number, content, source, identity))
    return captures


def draw_slice(view: RadiologicalView, index: int, found: str) -> NDArray[np.uint8]:
    """The picture of one slice.

    Args:
        view: the result.
        index: of the slice.
        found: what was found, in words.

    Returns:
        RGB, shape ``(height, WIDTH, 3)``.
    """
    width_mm, height_mm = view.size_mm
    panel = (WIDTH - _GAP) // 2
    height = 2 * _BAND + min(round(panel * height_mm / width_mm), _MOST_HEIGHT)
    figure = Figure(figsize=(WIDTH / _DPI, height / _DPI), dpi=_DPI, facecolor="black")
    canvas = FigureCanvasAgg(figure)
    bottom, tall, wide = _BAND / height, 1 - 2 * _BAND / height, panel / WIDTH
    left, right = (figure.add_axes((start, bottom, wide, tall)) for start in (0.0, 1.0 - wide))
    for axis in (left, right):
        view.draw_input(axis, index)
    view.draw_map(right, index)
    view.draw_outline(right, index)
    for axis in (left, right):
        draw_sides(axis, 13.0)
    band = _BAND / height / 2
    title = f"MMCCD   slice {index + 1} of {len(view.image)} (from inferior)   {found}"
    figure.text(0.5, 1 - band, title, color="white", fontsize=12, ha="center", va="center")
    figure.text(
        0.5,
        band,
        WATERMARK,
        color=_WARNING_COLOUR,
        fontsize=16,
        weight="bold",
        ha="center",
        va="center",
    )
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])


def _found(result: Result) -> str:
    volume = result.report.volumes_ml.anomalous
    threshold = f"the threshold {result.report.threshold.value:.3g}"
    return (
        f"{volume:.1f} mL above {threshold}"
        if result.segmentation.data.any()
        else f"nothing above {threshold}"
    )


def _capture(
    pixels: NDArray[np.uint8], number: int, content: str, source: Source, identity: Identity
) -> SCImage:
    settings = identity.series("capture", content)
    dataset = SCImage(
        pixel_array=pixels,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "P"),
        study_instance_uid=source.first.StudyInstanceUID,
        sop_instance_uid=identity.uid("instance", "capture", str(number), content),
        instance_number=number,
        series_description=f"MMCCD pictures - {WATERMARK}",
        **settings,
    )
    dataset.copy_patient_and_study_information(source.first)
    dataset.ConversionType = "WSD"
    dataset.BodyPartExamined = "BRAIN"
    dataset.DateOfSecondaryCapture, dataset.TimeOfSecondaryCapture = (
        DA(identity.date),
        TM(identity.time),
    )
    source.say_when(dataset)
    # No name and no date of the patient is in the picture.
    dataset.BurnedInAnnotation = "NO"
    dataset.DerivationDescription = f"Anomaly map and outline over the input; {WATERMARK}"
    dataset.SourceImageSequence = [_reference(header) for header in source.headers]
    for keyword in _COPIED:
        if keyword in source.first:
            dataset[keyword] = source.first[keyword]
    return dataset


def _reference(header: Dataset) -> Dataset:
    item = reference_to(header)
    purpose = coded(codes.DCM.SourceImageForImageProcessingOperation)
    item.PurposeOfReferenceCodeSequence = [purpose]
    return item
