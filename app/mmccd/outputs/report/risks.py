"""Which marks are probably wrong in this case, and why, in plain words; every figure is the
run's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmccd.brain import EXTRACTED
from mmccd.core import Report, Result
from mmccd.postprocessing import THIN_MM

END_MM = 10.0
"""How far from its lowest and its topmost voxel a brain's ends reach."""
SMALL_ML, MANY = 0.1, 10
"""What counts as a small region, and how many of them as many."""
_OF_FINDINGS = {
    "reconstruction.does_not_follow": (
        "Poor reconstruction",
        "what returned hardly follows the input, so the map says little more than how bright tissue"
        " is; marks on tissue that is bright in healthy brains, too, are probably wrong.",
    ),
    "contrast.not_flair": (
        "Not a FLAIR",
        "the image does not look like the contrast that the models know; no mark can be trusted.",
    ),
    "contrast.doubtful": (
        "Doubtful contrast",
        "the image hardly looks like a FLAIR; marks that follow a whole kind of tissue, such as the"
        " cortex or the fluid, are probably the contrast's and no lesions.",
    ),
    "image.out_of_distribution": (
        "Unusual image",
        "the image is unlike those that the models know; marks that lie alike on both sides are"
        " probably this scanner's way to show healthy tissue.",
    ),
    "brightness.uneven": (
        "Uneven brightness",
        "large, faint marks on the brighter side of the brain are probably the coil's field,"
        " because the map takes what is brighter than expected for unusual tissue.",
    ),
    "brightness.jumps": (
        "Brightness that jumps",
        "slices differ in brightness, as after motion; marks that fill much of one slice and are"
        " not in the next one are probably wrong.",
    ),
    "image.noisy": (
        "Noise",
        "scattered specks of few voxels are probably noise, which the models cannot foresee.",
    ),
    "image.blurred": (
        "Blur",
        "the models expect sharper edges; marks along the border of cortex and fluid are probably"
        " the blur.",
    ),
    "slices.not_axial": (
        "Coarse axial slices",
        "the models see axial slices, which are coarse here; marks that are stripes or steps along"
        " the voxels are probably wrong.",
    ),
    "slices.tilted": (
        "Tilted slices",
        "structures at the base of the brain lie where the models do not expect them; marks there"
        " are probably wrong.",
    ),
    "brain.cut_off": (
        "A brain that is cut off",
        "marks at the flat face where the brain ends may be the edge of the image and no lesion.",
    ),
    "brain.size": (
        "Brain of unusual size",
        "the mask may hold what is no brain; marks outside of what an eye takes for brain are"
        " wrong.",
    ),
}
"""Title and text by the code of the finding that they follow from."""


@dataclass(frozen=True)
class Risk:
    """A kind of mark that is probably wrong.

    Attributes:
        code: stable name: that of the finding it follows from, else of our own.
        title: what the cause is, in a few words.
        text: what kind of mark is probably wrong, and why.
    """

    code: str
    title: str
    text: str

    @property
    def line(self) -> str:
        """Title and text."""
        return f"{self.title}: {self.text}"


def risks_of(result: Result) -> tuple[Risk, ...]:
    """What speaks against marks of this run, from its report and from where its marks lie."""
    report = result.report
    found = [
        *_of_volume(report),
        *(
            Risk(one.code, *_OF_FINDINGS[one.code])
            for one in report.findings
            if one.code in _OF_FINDINGS
        ),
        *_of_slices(report),
        *_of_extraction(report),
        *_of_ends(result),
        *_of_small_regions(report),
        *_of_the_map(report),
    ]
    return tuple({one.code: one for one in found}.values())


def _of_volume(report: Report) -> list[Risk]:
    """Whether as much is marked in healthy brains."""
    marked, brain = report.volumes_ml.anomalous, report.volumes_ml.brain
    if report.threshold.calibration is None:
        text = (
            "the threshold was given by hand, and how much of a healthy brain lies above it is not"
            " known; any mark may be wrong."
        )
        return [Risk("volume.unknown", "Threshold", text)]
    point = report.threshold.point
    if point is None or not marked:
        return []
    usual = brain * point.usual_share
    worst = brain * point.largest_share
    if marked <= usual:
        text = (
            f"the {marked:.1f} mL that are marked are no more than the {usual:.1f} mL of a healthy"
            " brain of this size; all of them may be healthy tissue."
        )
        return [Risk("volume.usual", "Little is marked", text)]
    if marked <= worst:
        text = (
            f"the {marked:.1f} mL that are marked are more than the {usual:.1f} mL of a usual"
            f" healthy brain of this size, but the worst validation case would have {worst:.1f} mL;"
            " the volume alone does not tell a lesion from healthy tissue."
        )
        return [Risk("volume.seen", "Volume", text)]
    return []


def _of_slices(report: Report) -> list[Risk]:
    thickest = max(report.input.spacing_mm)
    if thickest <= THIN_MM:
        return []
    beyond = any(one.code == "slices.thick" for one in report.findings)
    more = ", more than in any training image" if beyond else ""
    text = (
        f"the slices are {thickest:.1f} mm apart{more}, so a voxel mixes tissues; a mark in a"
        " single slice, in a fold of the cortex or beside a ventricle, is probably such a mixture."
    )
    return [Risk("slices.thick", "Thick slices", text)]


def _of_extraction(report: Report) -> list[Risk]:
    if report.input.brain_found_by != EXTRACTED:
        return []
    text = (
        "a network has cut the brain out of the head; marks at its outer rim, at the height of the"
        " eyes and at the neck are probably fat, muscle or marrow that was taken for brain."
    )
    return [Risk("brain.extracted", "Extracted brain", text)]


def _of_ends(result: Result) -> list[Risk]:
    lowest, topmost = marked_at_ends(result)
    found = []
    if lowest:
        text = (
            f"{_millilitres(lowest)} of the marks lie in the lowest {END_MM:.0f} mm of the brain,"
            " where neck and base of the skull are near and the brain is least surely found; these"
            " are probably wrong."
        )
        found.append(Risk("marks.lowest", "Lowest slices", text))
    if topmost:
        text = (
            f"{_millilitres(topmost)} of the marks lie in the topmost {END_MM:.0f} mm of the brain,"
            " where slices graze the skull, whose marrow is bright; these are probably wrong."
        )
        found.append(Risk("marks.topmost", "Topmost slices", text))
    return found


def marked_at_ends(result: Result) -> tuple[float, float]:
    """Volume in mL that is marked in the lowest and in the topmost :data:`END_MM` of the brain."""
    axis = result.image.superior_axis
    others = tuple(other for other in range(3) if other != axis)
    inside = np.flatnonzero((result.brain_mask.data > 0).any(axis=others))
    marked = (result.segmentation.data > 0).sum(axis=others) * result.image.voxel_ml
    if not inside.size:
        return 0.0, 0.0
    depth = max(1, round(END_MM / result.image.spacing[axis]))
    first = float(marked[inside[0] : inside[0] + depth].sum())
    last = float(marked[max(0, inside[-1] + 1 - depth) : inside[-1] + 1].sum())
    return (first, last) if result.image.affine[2, axis] > 0 else (last, first)


def _of_small_regions(report: Report) -> list[Risk]:
    listed, count = report.lesions, report.lesion_count
    small = sum(one.volume_ml < SMALL_ML for one in listed)
    if small:
        small += count - len(listed)  # what is not listed is smaller than what is
    if small < MANY or 2 * small < count:
        return []
    text = (
        f"{small} of the {count} regions are smaller than {SMALL_ML:g} mL; so many specks are"
        " rather noise, vessels and folds of the cortex than as many lesions, most of all those of"
        " low confidence."
    )
    return [Risk("marks.small", "Many small marks", text)]


def _of_the_map(report: Report) -> list[Risk]:
    """What the way that the map is made marks in healthy brains."""
    settings = report.settings
    if (settings.combination or {}).get("intensity"):
        text = (
            "brightness counts in this map by itself; small marks where healthy tissue is bright on"
            " FLAIR, at the rims of the ventricles, in the hippocampus and the amygdala, are the"
            " usual wrong ones."
        )
        return [Risk("map.brightness", "Bright healthy tissue", text)]
    if settings.cycle.get("sign") == "both":
        text = (
            "darker tissue counts in this map as much as brighter tissue; marks on furrows of the"
            " cortex and on ventricles are probably fluid."
        )
        return [Risk("map.both", "Dark fluid", text)]
    return []


def _millilitres(volume: float) -> str:
    return f"{volume:.1f} mL" if volume >= 0.05 else "less than 0.1 mL"
