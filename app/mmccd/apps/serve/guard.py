"""Who may ask, and what every answer says: hosts, origins, the token, headers. It stands in front
of everything else.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mmccd.apps.serve.errors import RequestError
from mmccd.apps.serve.options import ServeOptions
from mmccd.core import UsageError

COOKIE = "mmccd_token"
SESSION = "/api/session"
_OPEN = (SESSION, "/api/openapi.json")
_SAFE = ("GET", "HEAD")
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:;"
    " font-src data:; connect-src 'self' data: blob:; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)
_HEADERS: Mapping[bytes, bytes] = {
    b"content-security-policy": _CSP.encode(),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"permissions-policy": b"camera=(), microphone=(), geolocation=()",
    b"cache-control": b"no-store",
}


class Guard:
    """Refuses what does not come from the server's own page or a program that knows the token.

    Args:
        app: what it guards.
        options: of the server.
        token: None where none is needed.
    """

    def __init__(self, app: ASGIApp, options: ServeOptions, token: str | None) -> None:
        self._app, self._options, self._token = app, options, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", []))
                names = {name.lower() for name, _ in given}
                more = [pair for pair in _HEADERS.items() if pair[0] not in names]
                message = {**message, "headers": [*given, *more]}
            await send(message)

        refused = self._refusal(scope)
        if refused is None:
            await self._app(scope, receive, answer)
            return
        body = json.dumps(refused.content()).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        await answer({"type": "http.response.start", "status": refused.status, "headers": headers})
        await answer({"type": "http.response.body", "body": body})

    def _refusal(self, scope: Scope) -> RequestError | None:
        headers = {name.lower(): value for name, value in scope["headers"]}
        host = headers.get(b"host", b"").decode("latin-1")
        if not self._options.knows(host):
            return RequestError(
                421,
                UsageError(
                    "the server is not known by this name; open the address that it printed at its"
                    " start, or start it with --name",
                    code="serve.host",
                ),
            )
        path = scope["path"]
        is_api = path.startswith("/api/")
        if is_api and self._is_foreign(headers, host):
            return RequestError(
                403,
                UsageError(
                    "the request comes from another site; expected the server's own page",
                    code="serve.origin",
                ),
            )
        if is_api and path not in _OPEN and not self._is_known(headers):
            return RequestError(
                401,
                UsageError(
                    "no token, or another one; open the address that the server printed at its"
                    " start, or send 'Authorization: Bearer TOKEN'",
                    code="serve.token",
                ),
            )
        return None

    def _is_foreign(self, headers: Mapping[bytes, bytes], host: str) -> bool:
        """Whether a page of another origin asks. Programs send neither header."""
        site = headers.get(b"sec-fetch-site", b"").decode("latin-1")
        if site and site not in ("same-origin", "none"):
            return True
        origin = headers.get(b"origin")
        if origin is None:
            return False
        return not _is_at(origin.decode("latin-1").lower(), host.lower())

    def _is_known(self, headers: Mapping[bytes, bytes]) -> bool:
        if self._token is None:
            return True
        kind, _, given = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        if kind.lower() == "bearer" and same(given.strip(), self._token):
            return True
        try:
            cookies = SimpleCookie(headers.get(b"cookie", b"").decode("latin-1"))
        except CookieError:
            return False
        return COOKIE in cookies and same(cookies[COOKIE].value, self._token)


def same(given: str, expected: str) -> bool:
    """Whether two tokens are equal, in a time that does not tell how far."""
    return hmac.compare_digest(given.encode(), expected.encode())


def _is_at(origin: str, host: str) -> bool:
    """Whether an origin is that of a Host header; a proxy may speak https in front of us."""
    try:
        there = urlsplit(origin)
        here = urlsplit(f"{there.scheme}://{host}")
        usual = {"http": 80, "https": 443}.get(there.scheme)
        ports = there.port or usual, here.port or usual
        return bool(usual) and there.hostname == here.hostname and ports[0] == ports[1]
    except ValueError:
        return False
