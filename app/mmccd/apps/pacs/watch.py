"""Health, metrics and a page of studies over HTTP, for monitoring; read only, and without anybody's
name.
"""

from __future__ import annotations

import html
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from mmccd import NOTICE, __version__
from mmccd.apps.pacs.events import Events, Kind
from mmccd.apps.pacs.ledger import GIVEN_UP, STORING, Ledger
from mmccd.apps.pacs.metrics import Metrics
from mmccd.core import UsageError
from mmccd.jobs import State

SILENCE_S = 120.0
"""As the container's health check."""
_MOST_ROWS = 1000
_PLAIN, _JSON = "text/plain; charset=utf-8", "application/json"
_FIRST = (GIVEN_UP, State.FAILED, STORING, State.RUNNING)
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_STYLE = (
    "body{font:15px sans-serif;margin:2em}table{border-collapse:collapse}"
    "td,th{padding:.2em .8em;text-align:left;border-bottom:1px solid #ccc;vertical-align:top}"
    "td{white-space:nowrap}td:last-child{white-space:normal}.bad{color:#a00}"
)

Answer = tuple[int, str, bytes]


class Watch:
    """Listens on a port until it is closed.

    Args:
        address: host and port.
        ledger: of the service.
        metrics: of the service.
        events: are told who asks.

    Raises:
        UsageError: it cannot listen there.
    """

    def __init__(
        self, address: tuple[str, int], ledger: Ledger, metrics: Metrics, events: Events
    ) -> None:
        self._ledger, self._metrics = ledger, metrics
        handler = _handler(self.answer, events)
        try:
            self._server = ThreadingHTTPServer(address, handler)
        except OSError as error:
            raise UsageError(
                f"{address[0]}:{address[1]}: cannot be listened on ({error.strerror or error});"
                " expected a free port of this machine; correct MMCCD_PACS_WATCH_HOST and"
                " MMCCD_PACS_WATCH_PORT"
            ) from error
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Listen no longer."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str) -> Answer:
        """Status, type and body for a path."""
        if path == "/livez":
            alive = self._ledger.silence_s < SILENCE_S
            return (200, _PLAIN, b"ok\n") if alive else (503, _PLAIN, b"silent\n")
        if path == "/readyz":
            return self._readiness()
        if path == "/metrics":
            return 200, "text/plain; version=0.0.4; charset=utf-8", self._metrics.text()
        if path == "/":
            return 200, "text/html; charset=utf-8", page(self._ledger).encode()
        return 404, _PLAIN, b"not here\n"

    def _readiness(self) -> Answer:
        """Whether the last look, and the last results, came through; studies that were given up do
        not make a service unready, but they are told.
        """
        ledger = self._ledger
        ready = ledger.looked and ledger.message is None and ledger.silence_s < SILENCE_S
        content = {"ready": ready, "message": ledger.message, "studies": ledger.counts()}
        return 200 if ready else 503, _JSON, (json.dumps(content) + "\n").encode()


def page(ledger: Ledger) -> str:
    """All studies, what needs a person first."""
    records = sorted(ledger.records.items(), key=lambda one: one[1].updated, reverse=True)
    records.sort(key=lambda one: _FIRST.index(one[1].state) if one[1].state in _FIRST else 9)
    rows = "".join(_row(name, record) for name, record in records[:_MOST_ROWS])
    counts = ", ".join(f"{count} {state}" for state, count in ledger.counts().items() if count)
    trouble = f'<p class="bad">{html.escape(ledger.message)}</p>' if ledger.message else ""
    heads = "".join(
        f"<th>{head}</th>" for head in ("study", "state", "since", "next", "attempts", "message")
    )
    return (
        f'<!doctype html><html lang="en"><title>MMCCD</title><style>{_STYLE}</style>'
        f"<h1>MMCCD {html.escape(__version__)}</h1><p>{html.escape(NOTICE)}</p>{trouble}"
        f"<p>{counts or 'no studies'}</p><table><tr>{heads}</tr>{rows}</table></html>\n"
    )


def _row(name: str, record: Any) -> str:
    bad = ' class="bad"' if record.state in (GIVEN_UP, State.FAILED) else ""
    stage = f" ({record.stage})" if record.stage else ""
    cells = (
        name,
        f"{record.state}{stage}",
        record.updated,
        record.due,
        record.attempts or "",
        record.message or "",
    )
    return f"<tr{bad}>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in cells) + "</tr>"


def _handler(answer: Callable[[str], Answer], events: Events) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10
        server_version = "mmccd"
        sys_version = ""

        def do_GET(self) -> None:  # noqa: N802
            path = self.path.partition("?")[0]
            status, kind, body = answer(path)
            if path == "/":  # who looks at studies; not each look of a machine
                events.tell(Kind.ASKED, peer=self.client_address[0], request=path, status=status)
            self.send_response(status)
            for name, text in {"Content-Type": kind, **_HEADERS}.items():
                self.send_header(name, text)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler
