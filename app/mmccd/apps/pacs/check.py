"""Whether an archive does what the service needs, a line each."""

from __future__ import annotations

import datetime
import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from mmccd.apps.pacs import wanted
from mmccd.apps.pacs.archive import ArchivedSeries, ArchivedStudy, NotAllowedError, UnreachableError
from mmccd.apps.pacs.dimse.settings import WEB
from mmccd.apps.pacs.settings import PacsSettings
from mmccd.apps.pacs.web import Archive
from mmccd.core import InputError, MmccdError, UnsuitableInputError
from mmccd.outputs import MANUFACTURER

logger = logging.getLogger(__name__)

OK, FAILED, SKIPPED = "ok", "FAILED", "skipped"
_STUDY, _SERIES, _OBJECT = (f"2.25.27314182845904523536028747135266249775{n}" for n in (1, 2, 3))
_TOLD = ("modality", "manufacturer", "description", "body_part", "institution")


@dataclass(frozen=True)
class Line:
    """How one thing stands.

    Attributes:
        what: that was tried.
        state: ok, FAILED or skipped.
        more: what was found, or why not.
        exit_code: of the failure; else 0.
    """

    what: str
    state: str
    more: str
    exit_code: int = 0

    def __str__(self) -> str:
        return f"{self.what:<22} {self.state:<8} {self.more}"


def check(settings: PacsSettings, say: Callable[[str], None]) -> int:
    """Try what the service needs of an archive, and of the second one, where there is one.

    Args:
        settings: of the service.
        say: gets each line.

    Returns:
        The exit code of the first failure, or 0.
    """
    codes = []
    for one, is_route in ((settings, False), (settings.route, True)):
        if one is None or not one.url:
            continue
        say(f"{one.url}{' (gets the results, too)' if is_route else ''}")
        only_stores = is_route or settings.source != WEB
        for line in _Check(one).route() if only_stores else _Check(one).source():
            say(f"  {line}")
            codes.append(line.exit_code)
    if settings.speaks_dimse:
        from mmccd.apps.pacs.dimse import check as dimse

        found = dimse.check(settings)
        width = max(len(what) for what, _, _ in found)
        for what, ok, more in found:
            say(f"{what:<{width}} {OK if ok else FAILED:<8} {more}")
            codes.append(0 if ok else InputError.exit_code)
    return next((code for code in codes if code), 0)


class _Check:
    def __init__(self, settings: PacsSettings) -> None:
        self._settings, self._archive = settings, Archive(settings)
        self._studies: list[ArchivedStudy] = []
        self._series: list[ArchivedSeries] = []
        self._failed = False

    def source(self) -> Iterator[Line]:
        """What an archive with studies has to do."""
        yield from self._reach()
        yield self._try("QIDO-RS, studies", self._list)
        yield self._try("QIDO-RS, series", self._describe, bool(self._studies), "no MR study")
        yield self._try("WADO-RS, one object", self._fetch, bool(self._series), "no MR series")
        yield self._try("STOW-RS", self._store, self._settings.check_store, "give --check-store")

    def route(self) -> Iterator[Line]:
        """What an archive that gets results has to do."""
        yield from self._reach()
        yield self._try("STOW-RS", self._store, self._settings.check_store, "give --check-store")

    def _reach(self) -> Iterator[Line]:
        """Reach and authentication, by the cheapest query there is."""
        try:
            self._archive.ping()
            failure: MmccdError | None = None
        except MmccdError as error:
            failure = error
        if isinstance(failure, UnreachableError):
            self._failed = True
            yield Line("reach", FAILED, str(failure), failure.exit_code)
            return
        yield Line("reach", OK, "it answers" + self._how())
        if isinstance(failure, NotAllowedError):
            self._failed = True
            yield Line("authentication", FAILED, str(failure), failure.exit_code)
            return
        yield Line("authentication", OK, self._who())

    def _try(
        self, what: str, work: Callable[[], str], possible: bool = True, reason: str = ""
    ) -> Line:
        if self._failed:
            return Line(what, SKIPPED, "see above")
        if not possible:
            return Line(what, SKIPPED, reason)
        try:
            return Line(what, OK, work())
        except MmccdError as error:
            return Line(what, FAILED, str(error), error.exit_code)

    def _list(self) -> str:
        self._studies = self._archive.studies(datetime.date.today())
        days = self._settings.days
        window = f" with a StudyDate of the last {days} days" if days else ""
        told = "" if all(one.instances >= 0 for one in self._studies) else _UNCOUNTED
        return f"{len(self._studies)} MR studies{window}{told}"

    def _describe(self) -> str:
        found = self._archive.series(self._studies[0].uid)
        self._series = [one for one in found if one.modality == wanted.MR]
        told = [name for name in _TOLD if any(getattr(one, name) for one in found)]
        try:
            count = len(wanted.images(found, self._settings))
        except UnsuitableInputError:
            count = 0
        names = ", ".join(name.replace("_", " ") for name in told) or "nothing"
        return f"{len(found)} series in the first study, {count} to be fetched; it tells {names}"

    def _fetch(self) -> str:
        smallest = min(self._series, key=lambda one: one.instances)
        with _folder() as folder:
            size = self._archive.fetch_one(self._studies[0].uid, smallest.uid, folder, lambda: None)
        return f"{size} bytes"

    def _store(self) -> str:
        with _folder() as folder:
            path = folder / "check.dcm"
            check_object().save_as(path, enforce_file_format=True)
            self._archive.store(_STUDY, [path])
        return "one object, of the patient MMCCD^CHECK; delete it there"

    def _how(self) -> str:
        return ", without encryption" if self._settings.url.startswith("http:") else ""

    def _who(self) -> str:
        one = self._settings
        parts = ["a token"] if one.token_file else [f"user {one.user}"] if one.user else []
        parts += ["a client certificate"] if one.cert_file else []
        return " and ".join(parts) or "none was given, none is wanted"


_UNCOUNTED = "; it does not count their objects: one that grows is not noticed"


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="mmccd-check-") as name:
        yield Path(name)


def check_object() -> Dataset:
    """A black picture of nobody, always with the same UIDs."""
    one = Dataset()
    one.file_meta = FileMetaDataset()
    one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    one.SOPClassUID, one.SOPInstanceUID = SecondaryCaptureImageStorage, _OBJECT
    one.StudyInstanceUID, one.SeriesInstanceUID = _STUDY, _SERIES
    one.PatientName, one.PatientID = "MMCCD^CHECK", "MMCCD-CHECK"
    one.PatientBirthDate = one.PatientSex = one.AccessionNumber = one.ReferringPhysicianName = ""
    one.StudyDate = one.StudyTime = one.StudyID = ""
    one.Modality, one.ConversionType, one.Manufacturer = "OT", "WSD", MANUFACTURER
    one.SeriesNumber = one.InstanceNumber = 1
    one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
    one.Rows = one.Columns = 2
    one.BitsAllocated = one.BitsStored = 8
    one.HighBit, one.PixelRepresentation = 7, 0
    one.PixelData = bytes(4)
    return one
