"""Results that are made and not yet stored everywhere: kept on disk, in ``STATE/outbox``, so that
an archive that is down, a restart, or a kill costs no prediction.

A parcel is a folder named by the study's hash, which only this user may read, with the DICOM
objects and ``parcel.json``. It appears in one step, and is gone when all destinations have it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mmccd.core import synced, write_json, writing

logger = logging.getLogger(__name__)

FOLDER = "outbox"
_NOTE = "parcel.json"
_WAY_OUT = "free some space in the state folder"


@dataclass
class Errand:
    """What is to be done for one destination.

    Attributes:
        tries: how often it has refused the objects.
        due: not before this time, UTC; empty: at once.
        message: why it was refused; one line.
    """

    tries: int = 0
    due: str = ""
    message: str | None = None


@dataclass
class Parcel:
    """The results of one study.

    Attributes:
        folder: where they lie; its name is that of the study.
        study: StudyInstanceUID.
        images: of the record, see :class:`~mmccd.apps.pacs.ledger.Record`.
        used: of the record.
        errands: for the destinations that do not have them yet: ``archive``, and others by name.
    """

    folder: Path
    study: str
    images: dict[str, int] = field(default_factory=dict)
    used: str | None = None
    errands: dict[str, Errand] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Of the study."""
        return self.folder.name

    @property
    def files(self) -> list[Path]:
        """The objects."""
        return sorted(self.folder.glob("*.dcm"))

    @property
    def size(self) -> int:
        """Of the objects, in bytes; another thread may be about to remove them."""
        return sum(_bytes(path) for path in self.files)

    def write(self) -> None:
        """Note how it stands.

        Raises:
            OutputError: the file cannot be written.
        """
        content = {key: value for key, value in asdict(self).items() if key != "folder"}
        write_json(self.folder / _NOTE, content, _WAY_OUT)


class Outbox:
    """The parcels of a service.

    Args:
        state: its state folder.
    """

    def __init__(self, state: Path) -> None:
        self._folder = state / FOLDER

    def open(self) -> None:
        """Make the folder if it is not there, and remove what was left half-written.

        Raises:
            OutputError: it cannot be made.
        """
        with writing(self._folder, _WAY_OUT):
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self._folder.chmod(0o700)
            for path in self._folder.glob(".*"):
                shutil.rmtree(path, ignore_errors=True)

    def parcels(self) -> list[Parcel]:
        """All of them, the oldest first; one that cannot be read is passed over with a warning."""
        if not self._folder.is_dir():
            return []
        found = [path for path in self._folder.iterdir() if not path.name.startswith(".")]
        parcels = (_read(path) for path in sorted(found, key=_age))
        return [parcel for parcel in parcels if parcel is not None]

    @property
    def size(self) -> int:
        """Of all parcels, in bytes."""
        return sum(parcel.size for parcel in self.parcels())

    def put(self, parcel_of: str, study: str, files: Sequence[Path], **values: Any) -> Parcel:
        """Keep the results of a study; they take the place of earlier ones.

        Args:
            parcel_of: name of the study.
            study: its UID.
            files: the objects.
            values: further attributes of the parcel.

        Raises:
            OutputError: there is no room for them.
        """
        folder, staged = self._folder / parcel_of, self._folder / f".{parcel_of}"
        with writing(self._folder, _WAY_OUT):
            shutil.rmtree(staged, ignore_errors=True)
            staged.mkdir(mode=0o700)
            try:
                for file in files:
                    shutil.copyfile(file, staged / file.name)
                    synced(staged / file.name)
                Parcel(staged, study, **values).write()
                synced(staged / _NOTE)
                shutil.rmtree(folder, ignore_errors=True)
                staged.replace(folder)
                synced(self._folder)
            finally:
                shutil.rmtree(staged, ignore_errors=True)
        return Parcel(folder, study, **values)

    def remove(self, parcel: Parcel) -> None:
        """All destinations have it."""
        staged = parcel.folder.with_name(f".{parcel.name}")
        with contextlib.suppress(OSError):
            parcel.folder.replace(staged)
        shutil.rmtree(staged, ignore_errors=True)


def _bytes(path: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_size
    return 0


def _age(path: Path) -> float:
    with contextlib.suppress(OSError):
        return path.stat().st_mtime
    return 0.0


def _read(folder: Path) -> Parcel | None:
    try:
        content = json.loads((folder / _NOTE).read_text())
        errands = {name: Errand(**values) for name, values in content.pop("errands").items()}
        return Parcel(folder, errands=errands, **content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if not folder.exists():
            return None
        logger.warning(
            "results that were kept cannot be used (%s); look into the folder %s of the state"
            " folder",
            type(error).__name__,
            FOLDER,
            extra={"study": folder.name},
        )
        return None
