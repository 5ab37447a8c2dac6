"""An archive's DICOMweb service: find studies, fetch series, store objects. No message and no log
line has a UID or anything else of a patient.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import requests

from mmccd.apps.pacs.multipart import BrokenBodyError, boundary_of, pack, save_parts
from mmccd.apps.pacs.settings import PacsSettings
from mmccd.core import InputError, MmccdError, OutputError, ResourceError

_TIMEOUT_S = (10.0, 120.0)
"""To connect, and between two pieces of an answer."""
_PAGE = 200
_CHUNK = 2**18
_UID = re.compile(r"[0-9.]{1,64}")
_STUDY, _SERIES, _MODALITY, _MANUFACTURER = "0020000D", "0020000E", "00080060", "00080070"
_STUDY_INSTANCES, _SERIES_INSTANCES, _FAILED = "00201208", "00201209", "00081198"
_DICOM = 'multipart/related; type="application/dicom"'


@dataclass(frozen=True)
class ArchivedStudy:
    """A study in the archive: its UID, and the number of objects in it (-1 where the archive does
    not tell).
    """

    uid: str
    instances: int


@dataclass(frozen=True)
class ArchivedSeries:
    """A series in the archive; ``instances`` is -1 where the archive does not tell."""

    uid: str
    modality: str
    manufacturer: str
    instances: int


class Archive:
    """A DICOMweb service.

    It talks to the URL in the settings alone: no proxies and no ``.netrc`` from the environment,
    and no redirects.

    Args:
        settings: URL, credentials, certificates.
    """

    def __init__(self, settings: PacsSettings) -> None:
        self.url, self.days, self.most_bytes = settings.url, settings.days, settings.max_mib * 2**20
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = settings.ca_file or True
        if settings.user:
            self.session.auth = (settings.user.encode(), settings.password.encode())

    def studies(self, today: date) -> list[ArchivedStudy]:
        """All studies with MR series within the window of days.

        Raises:
            InputError: the archive does not answer as it should.
        """
        query = {"ModalitiesInStudy": "MR", "includefield": _STUDY_INSTANCES}
        if self.days:
            query["StudyDate"] = f"{today - timedelta(days=self.days):%Y%m%d}-"
        found: dict[str, ArchivedStudy] = {}
        offset = 0
        while True:
            page = self._query("studies", {**query, "limit": str(_PAGE), "offset": str(offset)})
            entries = {_uid(entry, _STUDY): _count(entry, _STUDY_INSTANCES) for entry in page}
            fresh = {
                uid: ArchivedStudy(uid, count)
                for uid, count in entries.items()
                if uid and uid not in found
            }
            if (
                not fresh
            ):  # archives may send shorter pages than were asked for, or the same one for ever
                return list(found.values())
            found |= fresh
            offset += len(page)

    def series(self, study: str) -> list[ArchivedSeries]:
        """All series of a study.

        Raises:
            InputError: the archive does not answer as it should.
        """
        fields = [
            _MANUFACTURER,
            _SERIES_INSTANCES,
        ]  # one parameter each: Orthanc ignores a list with commas
        entries = self._query(f"studies/{study}/series", {"includefield": fields})
        series = [
            ArchivedSeries(
                _uid(entry, _SERIES),
                _text(entry, _MODALITY),
                _text(entry, _MANUFACTURER),
                _count(entry, _SERIES_INSTANCES),
            )
            for entry in entries
        ]
        return [one for one in series if one.uid]

    def fetch(
        self, study: str, series: list[ArchivedSeries], folder: Path, beat: Callable[[], None]
    ) -> int:
        """Write all objects of these series into a folder, as they are stored.

        Args:
            study: its UID.
            series: of the study.
            folder: where to; must be there.
            beat: called now and then.

        Returns:
            The number of objects.

        Raises:
            InputError: the archive does not answer as it should, or sends fewer objects than it
                has.
            ResourceError: they are too large.
        """
        total, budget = 0, Budget(self.most_bytes, beat)
        for one in series:
            headers = {"Accept": f"{_DICOM}; transfer-syntax=*"}
            answer = self._ask(
                "GET", f"studies/{study}/series/{one.uid}", InputError, headers=headers, stream=True
            )
            with answer:
                _check(answer, self.url, "fetching a series", InputError)
                count = self._save(answer, budget, folder, total)
            if count < one.instances:
                raise InputError(
                    f"{self.url}: sent {count} of a series' {one.instances} objects; expected all;"
                    " it is tried again"
                )
            total += count
        return total

    def _save(self, answer: requests.Response, budget: Budget, folder: Path, first: int) -> int:
        """Write the parts of an answer, numbered from ``first`` on; their number."""
        try:
            boundary = boundary_of(answer.headers.get("Content-Type", ""))
            return save_parts(budget.spend(answer.iter_content(_CHUNK)), boundary, folder, first)
        except (BrokenBodyError, requests.RequestException) as error:
            reason = str(error) if isinstance(error, BrokenBodyError) else type(error).__name__
            raise InputError(
                f"{self.url}: fetching a series failed ({reason}); expected all its objects; it is"
                " tried again"
            ) from error
        except OSError as error:
            raise OutputError(
                f"the temporary folder cannot be written ({error.strerror or error}); free some"
                " space, or set TMPDIR"
            ) from error

    def store(self, study: str, files: list[Path]) -> None:
        """Store objects in a study.

        Raises:
            OutputError: the archive did not take all of them.
        """
        body, content_type = pack([file.read_bytes() for file in files])
        headers = {"Content-Type": content_type, "Accept": "application/dicom+json"}
        answer = self._ask("POST", f"studies/{study}", OutputError, data=body, headers=headers)
        _check(answer, self.url, "storing the results", OutputError)
        try:
            content = answer.json() if answer.content else {}
        except ValueError:
            content = {}
        failed = len(content.get(_FAILED, {}).get("Value", [])) if isinstance(content, dict) else 0
        if failed:
            raise OutputError(
                f"{self.url}: refused {failed} of {len(files)} objects; look at the archive's log;"
                " they are stored again later"
            )

    def _query(self, path: str, query: Mapping[str, str | list[str]]) -> list[Any]:
        answer = self._ask(
            "GET", path, InputError, params=query, headers={"Accept": "application/dicom+json"}
        )
        _check(answer, self.url, "a query", InputError)
        if answer.status_code == 204 or not answer.content:
            return []
        try:
            content = answer.json()
        except ValueError:
            content = None
        if not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content):
            raise InputError(
                f"{self.url}: answered a query with something else than DICOM JSON; is this the"
                " root of a DICOMweb service?"
            )
        return content

    def _ask(
        self, method: str, path: str, error_class: type[MmccdError], **words: Any
    ) -> requests.Response:
        try:
            return self.session.request(
                method, f"{self.url}/{path}", timeout=_TIMEOUT_S, allow_redirects=False, **words
            )
        except requests.exceptions.SSLError as error:
            raise error_class(
                f"{self.url}: its certificate cannot be trusted; set MMCCD_PACS_CA_FILE to the"
                " archive's authority"
            ) from error
        except requests.Timeout as error:
            raise error_class(
                f"{self.url}: does not answer in time; expected a DICOMweb service; it is tried"
                " again"
            ) from error
        except (requests.RequestException, OSError) as error:
            raise error_class(
                f"{self.url}: cannot be reached ({type(error).__name__}); expected a DICOMweb"
                " service; is it running?"
            ) from error


class Budget:
    """Bytes that may still be fetched.

    Args:
        most: of all.
        beat: called with each piece.
    """

    def __init__(self, most: int, beat: Callable[[], None]) -> None:
        self.most, self.left, self.beat = most, most, beat

    def spend(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """The same pieces.

        Raises:
            ResourceError: more than are allowed.
        """
        for chunk in chunks:
            self.beat()
            self.left -= len(chunk)
            if self.left < 0:
                limit = self.most // 2**20
                raise ResourceError(
                    f"the study's MR series are larger than {limit} MiB; raise MMCCD_PACS_MAX_MIB"
                    " if there is room for them"
                )
            yield chunk


def _check(answer: requests.Response, url: str, what: str, error_class: type[MmccdError]) -> None:
    """Refuse any answer but success."""
    code = answer.status_code
    if code in (401, 403):
        raise error_class(
            f"{url}: {what} is not allowed (HTTP {code}); check MMCCD_PACS_USER, its password and"
            " its rights in the archive"
        )
    if 300 <= code < 400:
        raise error_class(
            f"{url}: {what} is redirected (HTTP {code}), which is not followed; set MMCCD_PACS_URL"
            " to the final address"
        )
    if not 200 <= code < 300:
        raise error_class(
            f"{url}: {what} failed (HTTP {code}); expected success; look at the archive's log"
        )


def _value(entry: dict[str, Any], tag: str) -> Any:
    element = entry.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return values[0] if isinstance(values, list) and values else None


def _text(entry: dict[str, Any], tag: str) -> str:
    return str(_value(entry, tag) or "").strip()


def _count(entry: dict[str, Any], tag: str) -> int:
    try:
        return int(_value(entry, tag))
    except (TypeError, ValueError):
        return -1


def _uid(entry: dict[str, Any], tag: str) -> str:
    """A UID that may stand in a path; empty where there is none."""
    uid = _text(entry, tag)
    return uid if _UID.fullmatch(uid) and ".." not in uid else ""
