"""An archive's DICOMweb service: find studies, fetch series, store objects. No message and no log
line has a UID or anything else of a patient.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from mmccd.apps.pacs.archive import (
    ArchivedSeries,
    ArchivedStudy,
    ArchiveError,
    ExchangeError,
    FullError,
    NotAllowedError,
    UnavailableError,
    UnreachableError,
)
from mmccd.apps.pacs.multipart import BrokenBodyError, boundary_of, pack, save_parts
from mmccd.apps.pacs.settings import PacsSettings
from mmccd.core import OutputError, ResourceError

_TIMEOUT_S = (10.0, 120.0)
"""To connect, and between two pieces of an answer."""
_PAGE = 200
_CHUNK = 2**18
_UID = re.compile(r"[0-9.]{1,64}")
_STUDY, _SERIES, _MODALITY, _MANUFACTURER = "0020000D", "0020000E", "00080060", "00080070"
_DESCRIPTION, _BODY_PART, _INSTITUTION = "0008103E", "00180015", "00080080"
_STUDY_INSTANCES, _SERIES_INSTANCES, _OBJECT = "00201208", "00201209", "00080018"
_FAILED, _REASON = "00081198", "00081197"
_SERIES_FIELDS = [_MANUFACTURER, _SERIES_INSTANCES, _DESCRIPTION, _BODY_PART, _INSTITUTION]
_OUT_OF_RESOURCES = range(0xA700, 0xA800)
_TOO_MANY_REQUESTS, _NO_ROOM = 429, 507
_DICOM = 'multipart/related; type="application/dicom"'


class Archive:
    """A DICOMweb service: a :class:`~mmccd.apps.pacs.archive.Source` and a
    :class:`~mmccd.apps.pacs.archive.Destination`.

    It talks to the URL in the settings alone: no proxies and no ``.netrc`` from the environment,
    and no redirects.

    Args:
        settings: URL, credentials, certificates.
    """

    def __init__(self, settings: PacsSettings) -> None:
        self.url, self.days, self.most_bytes = settings.url, settings.days, settings.max_mib * 2**20
        self._settings = settings
        self._own = threading.local()

    @property
    def name(self) -> str:
        """Host and port of its URL."""
        return urlsplit(self.url).netloc

    @property
    def _session(self) -> requests.Session:
        """That of this thread; the token is read anew, because whoever gives one renews it."""
        session: requests.Session | None = getattr(self._own, "session", None)
        if session is None:
            session = self._own.session = _session_of(self._settings)
        if self._settings.token_file:
            session.headers["Authorization"] = f"Bearer {_token(self._settings.token_file)}"
        return session

    def ping(self) -> None:
        """Ask for one study.

        Raises:
            ArchiveError: the archive does not answer as it should.
        """
        self._query("studies", {"limit": "1"})

    def studies(self, today: date) -> list[ArchivedStudy]:
        """All studies with MR series within the window of days.

        Raises:
            ArchiveError: the archive does not answer as it should.
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
            ArchiveError: the archive does not answer as it should.
        """
        # One parameter each: Orthanc ignores a list with commas.
        entries = self._query(f"studies/{study}/series", {"includefield": _SERIES_FIELDS})
        series = [
            ArchivedSeries(
                _uid(entry, _SERIES),
                _text(entry, _MODALITY),
                _text(entry, _MANUFACTURER),
                _count(entry, _SERIES_INSTANCES),
                _text(entry, _DESCRIPTION),
                _text(entry, _BODY_PART),
                _text(entry, _INSTITUTION),
            )
            for entry in entries
        ]
        return [one for one in series if one.uid]

    def fetch(
        self,
        study: str,
        series: Sequence[ArchivedSeries],
        folder: Path,
        beat: Callable[[], None],
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
            ArchiveError: the archive does not answer as it should, or sends fewer objects than it
                has.
            OutputError: the folder cannot be written.
            ResourceError: they are too large.
        """
        total, budget = 0, Budget(self.most_bytes, beat)
        for one in series:
            path = f"studies/{study}/series/{one.uid}"
            count = self._retrieve(path, "fetching a series", budget, folder, total)
            if count < one.instances:
                raise ExchangeError(
                    f"{self.url}: sent {count} of a series' {one.instances} objects; expected all;"
                    " it is tried again"
                )
            total += count
        return total

    def fetch_one(self, study: str, series: str, folder: Path, beat: Callable[[], None]) -> int:
        """Write one object of a series into a folder.

        Args:
            study: its UID.
            series: its UID.
            folder: where to; must be there.
            beat: called now and then.

        Returns:
            Its size in bytes.

        Raises:
            ArchiveError: the archive does not answer as it should.
            OutputError: the folder cannot be written.
            ResourceError: it is too large.
        """
        path = f"studies/{study}/series/{series}/instances"
        found = [_uid(one, _OBJECT) for one in self._query(path, {"limit": "1"})]
        if not found or not found[0]:
            raise ExchangeError(f"{self.url}: lists no object of a series; expected one")
        budget = Budget(self.most_bytes, beat)
        self._retrieve(f"{path}/{found[0]}", "fetching an object", budget, folder, 0)
        return budget.most - budget.left

    def _retrieve(self, path: str, what: str, budget: Budget, folder: Path, first: int) -> int:
        """Write the parts of an answer, numbered from ``first`` on; their number."""
        headers = {"Accept": f"{_DICOM}; transfer-syntax=*"}
        with self._ask("GET", path, headers=headers, stream=True) as answer:
            self._check(answer, what)
            try:
                boundary = boundary_of(answer.headers.get("Content-Type", ""))
                pieces = budget.spend(answer.iter_content(_CHUNK))
                return save_parts(pieces, boundary, folder, first)
            except (BrokenBodyError, requests.RequestException) as error:
                reason = str(error) if isinstance(error, BrokenBodyError) else type(error).__name__
                raise ExchangeError(
                    f"{self.url}: {what} failed ({reason}); expected all its objects; it is tried"
                    " again"
                ) from error
            except OSError as error:
                raise OutputError(
                    f"the temporary folder cannot be written ({error.strerror or error}); free some"
                    " space, or set TMPDIR",
                    code="output.not_writable",
                ) from error

    def store(self, study: str, files: Sequence[Path]) -> None:
        """Store objects in a study.

        Raises:
            ArchiveError: the archive did not take all of them.
        """
        body, content_type = pack([file.read_bytes() for file in files])
        headers = {"Content-Type": content_type, "Accept": "application/dicom+json"}
        answer = self._ask("POST", f"studies/{study}", storing=True, data=body, headers=headers)
        self._check(answer, "storing the results", storing=True)
        try:
            content = answer.json() if answer.content else {}
        except ValueError:
            content = {}
        failed = content.get(_FAILED, {}).get("Value", []) if isinstance(content, dict) else []
        if failed:
            reasons = {_count(entry, _REASON) for entry in failed if isinstance(entry, dict)}
            full = any(reason in _OUT_OF_RESOURCES for reason in reasons)
            raise (FullError if full else ExchangeError)(
                f"{self.url}: refused {len(failed)} of {len(files)} objects; look at the archive's"
                " log; they are stored again later",
                storing=True,
            )

    def _query(self, path: str, query: Mapping[str, str | list[str]]) -> list[Any]:
        answer = self._ask("GET", path, params=query, headers={"Accept": "application/dicom+json"})
        self._check(answer, "a query")
        if answer.status_code == 204 or not answer.content:
            return []
        try:
            content = answer.json()
        except ValueError:
            content = None
        if not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content):
            raise UnavailableError(
                f"{self.url}: answered a query with something else than DICOM JSON; is this the"
                " root of a DICOMweb service?"
            )
        return content

    def _ask(
        self, method: str, path: str, storing: bool = False, **words: Any
    ) -> requests.Response:
        try:
            return self._session.request(
                method, f"{self.url}/{path}", timeout=_TIMEOUT_S, allow_redirects=False, **words
            )
        except requests.exceptions.SSLError as error:
            raise UnreachableError(
                f"{self.url}: its certificate cannot be trusted, or it does not trust ours; set"
                f" {self._variable('ca_file')} to the archive's authority, and"
                f" {self._variable('cert_file')} where it wants a certificate of us",
                storing,
            ) from error
        except requests.Timeout as error:
            raise UnreachableError(
                f"{self.url}: does not answer in time; expected a DICOMweb service; it is tried"
                " again",
                storing,
            ) from error
        except (requests.RequestException, OSError) as error:
            raise UnreachableError(
                f"{self.url}: cannot be reached ({type(error).__name__}); expected a DICOMweb"
                " service; is it running?",
                storing,
            ) from error

    def _check(self, answer: requests.Response, what: str, storing: bool = False) -> None:
        """Refuse any answer but success."""
        code = answer.status_code
        if code in (401, 403):
            raise NotAllowedError(
                f"{self.url}: {what} is not allowed (HTTP {code}); check {self._variable('user')},"
                f" its password or {self._variable('token_file')}, and its rights in the archive",
                storing,
            )
        if 300 <= code < 400:
            raise UnavailableError(
                f"{self.url}: {what} is redirected (HTTP {code}), which is not followed; set"
                f" {self._variable('url')} to the final address",
                storing,
            )
        if not 200 <= code < 300:
            raise _kind_of(code)(
                f"{self.url}: {what} failed (HTTP {code}); expected success; look at the archive's"
                " log",
                storing,
            )

    def _variable(self, name: str) -> str:
        return self._settings.variable(name)


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
                    " if there is room for them",
                    code="study.too_large",
                )
            yield chunk


def _session_of(settings: PacsSettings) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.verify = settings.ca_file or True
    if settings.cert_file:
        pair = (settings.cert_file, settings.key_file)
        session.cert = pair if settings.key_file else settings.cert_file
    if settings.user:
        session.auth = (settings.user.encode(), settings.password.encode())
    return session


def _token(file: str) -> str:
    try:
        return Path(file).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not plain text"
        raise NotAllowedError(
            f"{file}: cannot be read ({reason}); expected a bearer token; whoever renews it has to"
            " leave it readable"
        ) from error


def _kind_of(code: int) -> type[ArchiveError]:
    """What an HTTP status that is no success means."""
    if code == _NO_ROOM:
        return FullError
    return UnavailableError if code >= 500 or code == _TOO_MANY_REQUESTS else ExchangeError


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
