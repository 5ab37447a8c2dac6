"""Tells another system, by a POST of JSON without anybody's name, what went wrong."""

from __future__ import annotations

import logging
import queue
import threading

import requests

from mmccd import NOTICE, __version__
from mmccd.apps.pacs import clock
from mmccd.apps.pacs.events import Event, Kind

logger = logging.getLogger(__name__)

_TOLD = {Kind.FAILED, Kind.GIVEN_UP, Kind.ARCHIVE_ERROR}
_TIMEOUT_S = 10.0
_MOST_WAITING = 100
_KEYS = ("archive", "exit_code", "code", "message")


class Webhook:
    """Posts failures in a thread of its own; what cannot be told is a line of the log, and dropped.

    Args:
        url: where to; it is never printed, since such URLs have keys in them.
        ca_file: certificates (PEM) of a private authority, or empty.
    """

    def __init__(self, url: str, ca_file: str = "") -> None:
        self._url, self._verify = url, ca_file or True
        self._waiting: queue.Queue[dict[str, object]] = queue.Queue(_MOST_WAITING)
        self._told: dict[str, str] = {}
        threading.Thread(target=self._post_all, daemon=True).start()

    def __call__(self, event: Event) -> None:
        """Tell of an event, if it is a failure; of an archive's trouble only when it begins, or
        changes.
        """
        archive = event.values.get("archive")
        if event.kind in (Kind.LOOKED, Kind.STORED) and archive is not None:
            self._told.pop(archive, None)
        if event.kind not in _TOLD:
            return
        if event.kind is Kind.ARCHIVE_ERROR and archive is not None:
            if self._told.get(archive) == event.values["code"]:
                return
            self._told[archive] = event.values["code"]
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
        """Until all was told, or dropped."""
        self._waiting.join()

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
