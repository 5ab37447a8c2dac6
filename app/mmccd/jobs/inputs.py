"""What is to be judged, and what it is called."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

DICOM, NIFTI = "DICOM", "NIfTI"
NAME_LENGTH, NAME_BYTES = 64, 200
_VOLUME_ENDING = re.compile(
    r"\.(nii(\.(gz|bz2|xz))?|nrrd|nhdr|mha|mhd|mgz|mgh|zip|tar(\.(gz|bz2|xz))?|tgz)$", re.IGNORECASE
)


@dataclass(frozen=True)
class Input:
    """One image to be judged.

    Attributes:
        path: volume file, DICOM file, or folder with a DICOM study.
        name: of its output folder.
        kind: ``"DICOM"`` or ``"NIfTI"``; names of DICOM files and folders may be the patient's.
        brain: NIfTI brain mask, or None.
        files: for DICOM, the files in ``path`` that belong to it; empty where everything in
            ``path`` does.
    """

    path: Path
    name: str
    kind: str = NIFTI
    brain: Path | None = None
    files: tuple[Path, ...] = ()

    def absolute(self) -> Input:
        """The same, to be found from any working folder."""
        brain = self.brain.absolute() if self.brain else None
        files = tuple(file.absolute() for file in self.files)
        return replace(self, path=self.path.absolute(), brain=brain, files=files)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            **asdict(self),
            "path": str(self.path),
            "brain": str(self.brain) if self.brain else None,
            "files": [str(file) for file in self.files],
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Input:
        """The way back."""
        return cls(
            Path(values["path"]),
            values["name"],
            values["kind"],
            Path(values["brain"]) if values["brain"] else None,
            tuple(Path(file) for file in values["files"]),
        )


def each_once(inputs: Iterable[Input], reserved: Collection[str] = ()) -> list[Input]:
    """Each image once, with names that can be folders and differ even where capitals do not count:
    ``a``, ``a-2``.

    Args:
        inputs: with any names.
        reserved: names that none may have, in small letters.
    """
    found: dict[tuple[Path, tuple[Path, ...]], Input] = {}
    taken = set(reserved)
    for one in inputs:
        key = one.path.resolve(), one.files
        if key in found:
            continue
        found[key] = replace(one, name=free_name(one.name, taken))
    return list(found.values())


def free_name(name: str, taken: set[str]) -> str:
    """A name that can be a folder and is not taken, not even where capitals do not count.

    Args:
        name: any.
        taken: in small letters; gets the new one.
    """
    plain = safe_name(name)
    numbered = (f"{plain}-{number}" for number in range(2, len(taken) + 3))
    free = next(word for word in (plain, *numbered) if word.lower() not in taken)
    taken.add(free.lower())
    return free


def safe_name(name: str) -> str:
    """Letters, digits, dots, hyphens and underscores; not hidden, not like a flag, not longer than
    64, and than file systems take in whatever script.
    """
    plain = re.sub(r"[^\w.-]+", "_", unicodedata.normalize("NFC", name))[:NAME_LENGTH]
    return plain.encode()[:NAME_BYTES].decode(errors="ignore").strip("._-") or "case"


def stem(file: Path) -> str:
    """The name of a file without the ending of a volume format (``.nii.gz``, ``.nrrd``)."""
    return _VOLUME_ENDING.sub("", file.name)
