"""Results that are stored by C-STORE, and that the archive promises to keep, where that is
wanted.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.uid import UID
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.events import EventHandlerType
from pynetdicom.presentation import PresentationContext, build_context

from mmccd.apps.pacs.archive import (
    ArchiveError,
    ExchangeError,
    FullError,
    NotAllowedError,
    UnavailableError,
)
from mmccd.apps.pacs.dimse.calls import Caller, status_of
from mmccd.apps.pacs.dimse.commitment import Commitments, Reference, request
from mmccd.apps.pacs.dimse.settings import DimseSettings
from mmccd.apps.pacs.dimse.uids import COMMIT, COMMIT_INSTANCE, UNCOMPRESSED
from mmccd.jobs import study_name

logger = logging.getLogger(__name__)

_ACTION = 1
_SAME_ASSOCIATION_S = 10.0
"""So long the answer may come on the association of the question; then it is released, and the
answer comes on one that the archive asks for.
"""
_ANSWER_S = 5.0
_OUT_OF_RESOURCES = range(0xA700, 0xA800)
_WARNINGS = range(0xB000, 0xC000)
_DUPLICATE, _NOT_AUTHORISED = 0x0111, 0x0124
_PROCESSING_FAILURE, _RESOURCE_LIMITATION = 0x0110, 0x0213


@dataclass(frozen=True)
class _Object:
    path: Path
    reference: Reference
    syntax: UID


class DimseDestination:
    """An archive that results are stored in: a :class:`~mmccd.apps.pacs.archive.Destination`.

    Args:
        settings: of DIMSE.
        commitments: where the archive's promises come in; None: its C-STORE answers are enough.

    Raises:
        UsageError: the files for TLS cannot be used.
    """

    def __init__(self, settings: DimseSettings, commitments: Commitments | None) -> None:
        self._settings, self._commitments = settings, commitments
        self._caller = Caller(settings, settings.store_peer, storing=True)

    @property
    def name(self) -> str:
        """AE title and address."""
        return str(self._caller.peer)

    def store(self, study: str, files: Sequence[Path]) -> None:
        """Store objects in a study. What the archive has promised to keep is not sent again.

        Args:
            study: its StudyInstanceUID.
            files: DICOM objects of the study.

        Raises:
            ArchiveError: not all of them are stored, or (where that is wanted) promised to be kept.
            OutputError: what was asked cannot be noted.
        """
        objects = self._objects(files)
        if self._commitments is None:
            self._send(study, objects)
            return
        references = [one.reference for one in objects]
        kept = self._commitments.are_kept(references)
        left = [one for one, is_kept in zip(objects, kept, strict=True) if not is_kept]
        if left:
            self._send(study, left)
            self._commit(self._commitments, [one.reference for one in left])
        self._commitments.forget(references)

    def _objects(self, files: Sequence[Path]) -> list[_Object]:
        try:
            return [_object(path) for path in files]
        except ValueError as error:
            raise self._caller.error(
                ExchangeError,
                f"a result cannot be sent: {error} cannot be read; expected a DICOM object; remove"
                " it from the state folder, so that it is made again",
            ) from error

    def _send(self, study: str, objects: Sequence[_Object]) -> None:
        refused: Counter[int] = Counter()
        with self._caller.call(_contexts(objects)) as association:
            for number, one in enumerate(objects, 1):
                status = self._send_one(association, one, number)
                if status in _WARNINGS:
                    logger.warning(
                        "%s: stored an object with a warning (status %04X)",
                        self.name,
                        status,
                        extra={"study": study_name(study)},
                    )
                elif status not in (0, _DUPLICATE):
                    self._refuse_for_all(status)
                    refused[status] += 1
        if refused:
            count, codes = refused.total(), ", ".join(f"{one:04X}" for one in sorted(refused))
            raise self._caller.error(
                ExchangeError,
                f"refused {count} of {len(objects)} objects (status {codes}); look at the archive's"
                " log; they are stored again later",
            )

    def _send_one(self, association: Association, one: _Object, number: int) -> int:
        """Status of the answer."""
        try:
            answer = association.send_c_store(dcmread(one.path), msg_id=number)
        except ValueError as error:  # no context for it
            raise self._caller.error(
                ExchangeError,
                f"does not take objects of the class {UID(one.reference.sop_class).name}; expected"
                " that it does; allow it there",
            ) from error
        except RuntimeError as error:  # the association has ended before
            raise self._caller.silent("storing an object") from error
        status = status_of(answer)
        if status is None:
            raise self._caller.silent("storing an object")
        return status

    def _refuse_for_all(self, status: int) -> None:
        """Raise what is no matter of one object."""
        if status in _OUT_OF_RESOURCES:
            raise self._caller.error(
                FullError, f"has no room (status {status:04X}); the results are stored again later"
            )
        if status == _NOT_AUTHORISED:
            raise self._caller.error(
                NotAllowedError, "does not let us store (status 0124); correct our rights there"
            )

    def _commit(self, commitments: Commitments, objects: Sequence[Reference]) -> None:
        """Wait until the archive has promised to keep objects."""
        transaction = commitments.ask(objects)
        longest = self._settings.commit_s
        first = min(longest, _SAME_ASSOCIATION_S)
        contexts, report = [build_context(COMMIT, list(UNCOMPRESSED))], _Report(commitments)
        with self._caller.call(contexts, report.handlers) as association:
            asked = request(transaction, objects)
            answer, _ = association.send_n_action(asked, _ACTION, COMMIT, COMMIT_INSTANCE)
            status = status_of(answer)
            if status is None:
                raise self._caller.silent("asking for storage commitment")
            if status:
                raise self._not_asked(status)
            promise = commitments.wait(transaction, first)
            report.finish()
        if promise is None:
            promise = commitments.wait(transaction, longest - first)
        if promise is None:
            raise self._caller.error(
                ExchangeError,
                f"has not promised within {longest:g} s to keep {len(objects)} objects; expected a"
                " storage commitment; they are stored again later, unless it comes meanwhile",
            )
        if promise.failed:
            raise self._caller.error(
                ExchangeError,
                f"does not keep {promise.failed} of {len(objects)} objects; expected that it keeps"
                " what it has stored; look at the archive's log; they are stored again later",
            )

    def _not_asked(self, status: int) -> ArchiveError:
        return self._caller.error(
            UnavailableError,
            f"does not take the question for storage commitment (status {status:04X}); expected"
            " success; look at the archive's log, or leave --commit out",
        )


class _Report:
    """The archive's report on the association of our question. It wants an answer before the
    association is released: released in between, pynetdicom breaks off.
    """

    def __init__(self, commitments: Commitments) -> None:
        self._commitments = commitments
        self._here, self._answering, self._answered = (threading.Event() for _ in range(3))

    @property
    def handlers(self) -> list[EventHandlerType]:
        """Of events of the association."""
        return [
            (evt.EVT_N_EVENT_REPORT, self._came),
            (evt.EVT_DIMSE_SENT, self._to_be_sent),
            (evt.EVT_PDU_SENT, self._sent),
        ]

    def finish(self) -> None:
        """Wait until a report that came here is answered."""
        if self._here.is_set():
            self._answered.wait(_ANSWER_S)

    def _came(self, event: Any) -> tuple[int, None]:
        self._here.set()
        return self._commitments.answered(event)

    def _to_be_sent(self, event: Any) -> None:
        if self._here.is_set():
            self._answering.set()

    def _sent(self, event: Any) -> None:
        if self._answering.is_set():
            self._answered.set()


def _object(path: Path) -> _Object:
    try:
        found = dcmread(path, specific_tags=["SOPClassUID", "SOPInstanceUID"])
        reference = Reference(str(found.SOPClassUID), str(found.SOPInstanceUID))
        return _Object(path, reference, UID(found.file_meta.TransferSyntaxUID))
    except Exception as error:  # pydicom raises whatever the damage leads to
        raise ValueError(f"{path.name} ({type(error).__name__})") from error


def _contexts(objects: Sequence[_Object]) -> list[PresentationContext]:
    """Each class as it is, and in the forms that everybody reads."""
    exact = {(one.reference.sop_class, one.syntax) for one in objects}
    classes = {one.reference.sop_class for one in objects}
    return [build_context(kind, [syntax]) for kind, syntax in sorted(exact)] + [
        build_context(kind, list(UNCOMPRESSED)) for kind in sorted(classes)
    ]
