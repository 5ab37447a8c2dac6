"""What the files of a scan are called in a BIDS derivative data set."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

RAW = "raw"
"""By this name the derivatives' BIDS URIs mean the data set that they were made of."""
MASK = "label-L_desc-anomaly_mask"
MAP = "label-L_desc-anomaly_probseg"
PERCENTILE = "label-L_desc-percentile_probseg"
BRAIN = "desc-brain_mask"
IMAGES = {
    "anomaly_map.nii.gz": MAP,
    "percentile_map.nii.gz": PERCENTILE,
    "segmentation.nii.gz": MASK,
    "brain_mask.nii.gz": BRAIN,
}
"""Images of a result, and what stands behind the entities of the scan. L is the label of lesions in
the vocabulary of BIDS; the map is no probability, but no other suffix fits a score.
"""
FIGURES = ("overview.png", "thumbnail.jpg", "report.html", "report.json")
"""Files that BIDS has no names for, in a folder ``figures``; the last one makes a result whole."""
_STEM = re.compile(r"(sub-[A-Za-z0-9]+)(?:_(ses-[A-Za-z0-9]+))?(?:_[a-z]+-[A-Za-z0-9+]+)*")


@dataclass(frozen=True)
class Scan:
    """A FLAIR of a BIDS data set.

    Attributes:
        file: the image.
        stem: its name without ``_FLAIR.nii.gz``.
        subject: ``sub-01``.
        session: ``ses-1``, or None.
    """

    file: Path
    stem: str
    subject: str
    session: str | None = None

    @classmethod
    def of(cls, file: Path, stem: str) -> Scan | None:
        """From its name; None where that is none of BIDS."""
        found = _STEM.fullmatch(stem)
        return cls(file, stem, found[1], found[2]) if found else None

    @property
    def root(self) -> Path:
        """The raw data set: the folder that holds those of the subjects."""
        above = [folder for folder in self.file.parents if folder.name == self.subject]
        return above[0].parent if above else self.file.parent

    @property
    def uri(self) -> str:
        """BIDS URI of the image, from within the derivatives."""
        return f"bids:{RAW}:{self.file.relative_to(self.root).as_posix()}"

    def image(self, ending: str, extension: str = ".nii.gz") -> Path:
        """An image or its sidecar, below the data set."""
        folders = [self.subject, *([self.session] if self.session else []), "anat"]
        return Path(*folders, f"{self.stem}_{ending}{extension}")

    def figure(self, name: str) -> Path:
        """A file for people, below the data set."""
        return Path(self.subject, "figures", f"{self.stem}_{name}")


def relative_link(raw: Path, derivatives: Path) -> str:
    """The way from a derivative data set to the raw one, which holds where both move together."""
    return Path(os.path.relpath(raw.resolve(), derivatives.resolve())).as_posix()
