"""Storage commitment (PS3.4, J): what the archive has promised to keep, in
``STATE/commitments.json``, because it may promise after we have stopped to wait, or were killed.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from mmccd.apps.pacs.dimse.arrival import hidden
from mmccd.core import make_folder, write_json

logger = logging.getLogger(__name__)

FILE = "commitments.json"
_VERSION = 1
_WAY_OUT = "free some space, or change the owner of the state folder"
_KEPT_S = 30 * 86_400.0
_SUCCESS, _NO_SUCH_OBJECT = 0x0000, 0x0112


@dataclass(frozen=True)
class Reference:
    """An object that is to be kept.

    Attributes:
        sop_class: SOPClassUID.
        sop_instance: SOPInstanceUID.
    """

    sop_class: str
    sop_instance: str


@dataclass(frozen=True)
class Promise:
    """The archive's answer.

    Attributes:
        failed: number of objects that it does not keep.
    """

    failed: int


class Commitments:
    """What was asked, and what was promised.

    Args:
        state: the service's folder.

    Raises:
        OutputError: it cannot be made.
    """

    def __init__(self, state: Path) -> None:
        make_folder(state, _WAY_OUT)
        self._path = state / FILE
        self._changed = threading.Condition()
        self._asked: dict[str, dict[str, Any]] = {}
        self._kept: dict[str, float] = {}
        self._answers: dict[str, Promise] = {}
        self._read()

    def ask(self, objects: Sequence[Reference]) -> str:
        """Note that objects are to be kept.

        Returns:
            The transaction's UID.

        Raises:
            OutputError: it cannot be written.
        """
        transaction = str(generate_uid(prefix=None))
        with self._changed:
            names = [hidden(one.sop_instance) for one in objects]
            self._asked[transaction] = {"time": time.time(), "objects": names}
            self._write()
        return transaction

    def answered(self, event: Any) -> tuple[int, None]:
        """Handle an N-EVENT-REPORT request (``EVT_N_EVENT_REPORT``).

        Args:
            event: of pynetdicom.

        Returns:
            The status.
        """
        said = event.event_information
        kept, failed = _uids(said, "ReferencedSOPSequence"), _uids(said, "FailedSOPSequence")
        with self._changed:
            asked = self._asked.pop(str(said.get("TransactionUID")), None)
            if asked is None:
                logger.warning("a storage commitment came that nobody has asked for")
                return _NO_SUCH_OBJECT, None
            # Only what was asked counts, whatever is reported.
            for name in set(asked["objects"]) & {hidden(uid) for uid in kept}:
                self._kept[name] = time.time()
            missing = set(asked["objects"]) - set(self._kept)
            self._answers[str(said.TransactionUID)] = Promise(len(missing))
            self._write()
            self._changed.notify_all()
        if failed:
            logger.warning("the archive does not keep %d objects", len(failed))
        return _SUCCESS, None

    def wait(self, transaction: str, seconds: float) -> Promise | None:
        """The answer to a transaction; None where it does not come in time."""
        with self._changed:
            self._changed.wait_for(lambda: transaction in self._answers, seconds)
            return self._answers.pop(transaction, None)

    def are_kept(self, objects: Iterable[Reference]) -> list[bool]:
        """Whether the archive has promised to keep each."""
        with self._changed:
            return [hidden(one.sop_instance) in self._kept for one in objects]

    def forget(self, objects: Iterable[Reference]) -> None:
        """The objects are done.

        Raises:
            OutputError: it cannot be written.
        """
        with self._changed:
            for one in objects:
                self._kept.pop(hidden(one.sop_instance), None)
            self._write()

    def _write(self) -> None:
        oldest = time.time() - _KEPT_S
        self._asked = {key: one for key, one in self._asked.items() if one["time"] > oldest}
        self._kept = {name: when for name, when in self._kept.items() if when > oldest}
        content = {"version": _VERSION, "asked": self._asked, "kept": self._kept}
        write_json(self._path, content, _WAY_OUT)

    def _read(self) -> None:
        if not self._path.exists():
            return
        try:
            content = json.loads(self._path.read_text())
            if content["version"] != _VERSION:
                raise ValueError("another version")
            self._asked = {
                str(key): {"time": float(one["time"]), "objects": [str(n) for n in one["objects"]]}
                for key, one in content["asked"].items()
            }
            self._kept = {str(name): float(when) for name, when in content["kept"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            logger.warning(
                "%s: cannot be used (%s); results that are not done are stored once more",
                self._path,
                type(error).__name__,
            )


def request(transaction: str, objects: Iterable[Reference]) -> Dataset:
    """What the archive is asked: to keep these objects."""
    dataset = Dataset()
    dataset.TransactionUID = transaction
    dataset.ReferencedSOPSequence = [_item(one) for one in objects]
    return dataset


def _item(one: Reference) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = one.sop_class, one.sop_instance
    return item


def _uids(said: Dataset, name: str) -> list[str]:
    return [str(item.get("ReferencedSOPInstanceUID")) for item in said.get(name) or []]
