"""Tells another system, by a POST of JSON without anybody's name, what went wrong."""

from __future__ import annotations

import logging
import queue
import threading
import time

import requests

from mmccd import NOTICE, __version__
from mmccd.apps.pacs import clock
from mmccd.apps.pacs.events import Event, Kind
from mmccd.core import CancelledError, UsageError
from mmccd.jobs import INTERRUPTED

logger = logging.getLogger(__name__)

_TOLD = {Kind.FAILED, Kind.GIVEN_UP, Kind.ARCHIVE_ERROR}
_ENDS_TROUBLE = {Kind.LOOKED: "look", Kind.FETCHED: "fetch", Kind.STORED: "store"}
_AS_TOLD = (0, CancelledError.exit_code, INTERRUPTED)
_TIMEOUT_S = 10.0
_MOST_WAITING = 100
_KEYS = ("archive", "stage", "exit_code", "code", "message")


class Webhook:
    """Posts failures in a thread of its own; what cannot be told is a line of the log, and dropped.

    Args:
        url: where to; it is never printed, since such URLs have keys in them.
        ca_file: certificates (PEM) of a private authority, or empty.

    Raises:
        UsageError: it is no URL.
    """

    def __init__(self, url: str, ca_file: str = "") -> None:
        if not url.startswith(("http://", "https://")):
            raise UsageError(
                "MMCCD_PACS_WEBHOOK: cannot be used; expected http(s)://HOST[:PORT]/PATH;"
                " correct it"
            )
        self._url, self._verify = url, ca_file or True
        self._waiting: queue.Queue[dict[str, object]] = queue.Queue(_MOST_WAITING)
        self._told: dict[tuple[str, str], str] = {}
        threading.Thread(target=self._post_all, daemon=True).start()

    def __call__(self, event: Event) -> None:
        """Tell of an event, if it is a failure, or an end of the service that nobody has asked
        for; of an archive's trouble only when it begins, or changes.
        """
        died = event.kind is Kind.ENDED and event.values.get("exit_code") not in _AS_TOLD
        if self._is_news(event) and (event.kind in _TOLD or died):
            self._put(event)

    def _is_news(self, event: Event) -> bool:
        """Whether an archive's trouble was not told since it last did what it does not do now."""
        archive = event.values.get("archive", "")
        if event.kind in _ENDS_TROUBLE:
            self._told.pop((archive, _ENDS_TROUBLE[event.kind]), None)
        if event.kind is not Kind.ARCHIVE_ERROR:
            return True
        trouble, code = (archive, event.values["stage"]), str(event.values["code"])
        known, self._told[trouble] = self._told.get(trouble), code
        return known != code

    def _put(self, event: Event) -> None:
        values = {key: event.values[key] for key in _KEYS if event.values.get(key) is not None}
        content = {
            "time": clock.now(),
            "event": str(event.kind),
            "study": event.study,
            **values,
            "version": __version__,
            "notice": NOTICE,
        }
        try:
            self._waiting.put_nowait(content)
        except queue.Full:
            logger.warning("the webhook is slow; an event was dropped")

    def wait(self) -> None:
        """Until all was told, or dropped, or the time for one telling has passed."""
        end = time.monotonic() + _TIMEOUT_S
        while self._waiting.unfinished_tasks and time.monotonic() < end:
            time.sleep(0.02)

    def _post_all(self) -> None:
        session = requests.Session()
        session.trust_env = False
        while True:
            content = self._waiting.get()
            try:
                answer = session.post(
                    self._url,
                    json=content,
                    timeout=_TIMEOUT_S,
                    allow_redirects=False,
                    verify=self._verify,
                )
                if not 200 <= answer.status_code < 300:
                    logger.warning("the webhook answers HTTP %d", answer.status_code)
            except Exception as error:  # their texts quote the URL
                logger.warning("the webhook cannot be reached (%s)", type(error).__name__)
            finally:
                self._waiting.task_done()
