"""What the service needs of an archive, whatever it speaks: a source of studies, destinations of
results, and errors that tell the archive's trouble from the study's. No message has a UID or
anything else of a patient in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Protocol

from mmccd.core import InputError, MmccdError, OutputError

TOO_LARGE = "study.too_large"
"""Code of the :class:`~mmccd.core.ResourceError` of a study that is larger than is allowed."""


@dataclass(frozen=True)
class ArchivedStudy:
    """A study in an archive: its UID, and the number of objects in it (-1 where the archive does
    not tell).
    """

    uid: str
    instances: int


@dataclass(frozen=True)
class ArchivedSeries:
    """A series in an archive, as far as the archive tells.

    Attributes:
        uid: SeriesInstanceUID.
        modality: such as MR; empty where the archive does not tell, as are the other words.
        manufacturer: of the scanner, or ours.
        instances: number of objects; -1 where the archive does not tell.
        description: SeriesDescription.
        body_part: BodyPartExamined.
        institution: InstitutionName.
    """

    uid: str
    modality: str
    manufacturer: str
    instances: int
    description: str = ""
    body_part: str = ""
    institution: str = ""


class Source(Protocol):
    """Where studies come from. Its methods may be called by several threads at a time."""

    @property
    def name(self) -> str:
        """By which log, audit and metrics call it; without credentials."""

    def studies(self, today: date) -> list[ArchivedStudy]:
        """All studies with MR series that may have to be worked on.

        Args:
            today: the window of days ends with it.

        Raises:
            ArchiveError: it does not tell.
        """

    def series(self, study: str) -> list[ArchivedSeries]:
        """All series of a study, results of ours among them.

        Args:
            study: its StudyInstanceUID.

        Raises:
            ArchiveError: it does not tell.
        """

    def fetch(
        self,
        study: str,
        series: Sequence[ArchivedSeries],
        folder: Path,
        beat: Callable[[], None],
    ) -> int:
        """Write all objects of these series into a folder, as they are stored.

        Args:
            study: its StudyInstanceUID.
            series: of the study.
            folder: where to; must be there. What lies in it after an error is of no use.
            beat: called now and then; what it raises ends the transfer.

        Returns:
            The number of objects.

        Raises:
            ArchiveError: not all of them came.
            OutputError: the folder cannot be written.
            ResourceError: the study is larger than is allowed (code :data:`TOO_LARGE`).
        """


class Destination(Protocol):
    """Where results go. Its methods may be called by several threads at a time."""

    @property
    def name(self) -> str:
        """By which log, audit and metrics call it; without credentials."""

    def store(self, study: str, files: Sequence[Path]) -> None:
        """Store objects in a study. Objects that are there already count as stored.

        Args:
            study: its StudyInstanceUID.
            files: DICOM objects of the study.

        Raises:
            ArchiveError: not all of them are stored.
        """


class ArchiveError(MmccdError):
    """The archive's trouble, and never the study's: it costs the study no attempt.

    Args:
        text: the line.
        storing: whether results were to be stored (exit code 5); else something was asked for
            (exit code 3).
    """

    exit_code = InputError.exit_code
    code = "archive"

    def __init__(self, text: str = "", storing: bool = False) -> None:
        super().__init__(text)
        if storing:
            self.exit_code = OutputError.exit_code


class OutageError(ArchiveError):
    """Nothing can be asked or stored now, of whatever study: the pass ends, and all is tried again
    later.
    """

    code = "archive.outage"


class UnreachableError(OutageError):
    """No connection, no trust in its certificate, or no answer in time."""

    code = "archive.unreachable"


class NotAllowedError(OutageError):
    """It does not know us, or does not let us (HTTP 401, 403; an association that is rejected)."""

    code = "archive.not_allowed"


class UnavailableError(OutageError):
    """It answers that it cannot (HTTP 5xx, 429), or answers as no archive does."""

    code = "archive.unavailable"


class FullError(OutageError):
    """It has no room for results (HTTP 507, DIMSE status A7xx)."""

    code = "archive.full"


class ExchangeError(ArchiveError):
    """Objects of one study are not given or not taken, be it that they are damaged, still coming
    in, or refused: that study is tried again later, the others go on.
    """

    code = "archive.exchange"
