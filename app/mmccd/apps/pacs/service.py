"""The round trip itself: look, fetch, run, store; again and again."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

from mmccd.apps.pacs.archive import ArchivedSeries
from mmccd.apps.pacs.ledger import Ledger
from mmccd.apps.pacs.settings import PacsSettings
from mmccd.apps.pacs.web import Archive
from mmccd.core import (
    CancelledError,
    MmccdError,
    ModelError,
    OutputError,
    UnsuitableInputError,
    UsageError,
    worst_exit_code,
)
from mmccd.jobs import study_name
from mmccd.outputs import DICOM, MANUFACTURER

logger = logging.getLogger(__name__)

Predict = Callable[[str, Path, Path, Callable[[], None]], None]
"""See :class:`~mmccd.apps.pacs.application.Application`."""

_RESULTS = {"SEG", "OT", "SR"}
_NOT_THE_STUDY = (UsageError.exit_code, ModelError.exit_code)
"""What fails one study in these ways fails all of them."""
_MOST_WAIT_S = 600.0


class Service:
    """Works through the studies of an archive, one at a time.

    Args:
        settings: of the service.
        archive: where studies are and results go.
        ledger: what was done; open.
        application: run on each study.
    """

    def __init__(
        self, settings: PacsSettings, archive: Archive, ledger: Ledger, application: Predict
    ) -> None:
        self.settings, self.archive, self.ledger, self.application = (
            settings,
            archive,
            ledger,
            application,
        )

    def forever(self) -> None:
        """Look every ``poll_s`` seconds; less often, up to ten minutes apart, while looking
        fails.
        """
        failures = 0
        while True:
            try:
                self.once()
                failures = 0
            except CancelledError:
                raise
            except MmccdError as error:
                failures += 1
                self.ledger.message = str(error)
                logger.error("%s", error, extra={"exit_code": error.exit_code})
            self._wait(
                min(self.settings.poll_s * 2**failures, max(_MOST_WAIT_S, self.settings.poll_s))
            )

    def once(self) -> int:
        """Look once, and do what is due.

        Returns:
            The worst exit code of the studies that were worked on.

        Raises:
            MmccdError: the archive cannot be asked, or no study at all can be worked on.
        """
        studies = {study_name(study.uid): study for study in self.archive.studies(date.today())}
        self.ledger.keep_only(studies)
        due = [name for name, study in studies.items() if self.ledger.is_due(name, study.instances)]
        self.ledger.message = None
        self.ledger.write()
        logger.info("%d MR studies in the archive, %d to be looked at", len(studies), len(due))
        return worst_exit_code([self._attempt(name, studies[name].uid) for name in due])

    def _attempt(self, name: str, uid: str) -> int:
        """Work on one study, whatever comes of it; its exit code.

        Raises:
            MmccdError: the fault is not the study's.
        """
        self.ledger.begin(name)
        try:
            self._round_trip(name, uid)
        except MmccdError as error:
            if isinstance(error, CancelledError) or error.exit_code in _NOT_THE_STUDY:
                self.ledger.put_back(name)
                raise
            self.ledger.fail(name, error, final=error.exit_code == UnsuitableInputError.exit_code)
            state = self.ledger.records[name].state
            logger.error(
                "%s (%s)", error, state, extra={"study": name, "exit_code": error.exit_code}
            )
            return error.exit_code
        except BaseException:
            self.ledger.put_back(name)
            raise
        self.ledger.done(name)
        return 0

    def _round_trip(self, name: str, uid: str) -> None:
        series = self.archive.series(uid)
        if has_results(series):
            logger.info("has results in the archive", extra={"study": name})
            return
        images = [one for one in series if one.modality == "MR"]
        with temporary_folder(self.settings.state) as folder:
            source, output = folder / "in", folder / "out"
            source.mkdir()
            began = time.monotonic()
            count = self.archive.fetch(uid, images, source, self.ledger.beat)
            logger.info(
                "fetched %d objects of %d series",
                count,
                len(images),
                extra={"study": name, "seconds": _since(began)},
            )
            self.application(name, source, output, self.ledger.beat)
            files = sorted((output / DICOM).glob("*.dcm"))
            if not files:
                raise UnsuitableInputError(
                    "no DICOM objects were made of this study; expected a whole series; see the"
                    " warnings above"
                )
            self.archive.store(uid, files)
            logger.info(
                "stored %d objects", len(files), extra={"study": name, "seconds": _since(began)}
            )

    def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        self.ledger.write()
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 1.0))
            self.ledger.beat()


def has_results(series: list[ArchivedSeries]) -> bool:
    """Whether a study has our segmentation, pictures and report."""
    return {one.modality for one in series if one.manufacturer == MANUFACTURER} >= _RESULTS


@contextlib.contextmanager
def temporary_folder(state: Path) -> Iterator[Path]:
    """A folder that nobody else may read, gone when the block ends.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        name = tempfile.mkdtemp(prefix=_prefix(state))
    except OSError as error:
        raise OutputError(
            f"{tempfile.gettempdir()}: cannot be written ({error.strerror}); free some space, or"
            " set TMPDIR"
        ) from error
    try:
        yield Path(name)
    finally:
        shutil.rmtree(name, ignore_errors=True)


def remove_left_over(state: Path) -> None:
    """Remove temporary folders that a killed service with the same state folder has left behind."""
    for path in Path(tempfile.gettempdir()).glob(f"{_prefix(state)}*"):
        shutil.rmtree(path, ignore_errors=True)


def _prefix(state: Path) -> str:
    return f"mmccd-pacs-{hashlib.sha256(str(state.resolve()).encode()).hexdigest()[:8]}-"


def _since(began: float) -> float:
    return round(time.monotonic() - began, 1)
