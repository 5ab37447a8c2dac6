"""``mmccd serve`` from its options to an exit code."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from collections.abc import Callable

import uvicorn

from mmccd.apps.serve.application import make_application
from mmccd.apps.serve.engine import working_process
from mmccd.apps.serve.options import ServeOptions
from mmccd.apps.serve.store import Store
from mmccd.core import CancelledError, UsageError
from mmccd.jobs import Runner

SayAddress = Callable[[str], None]
TOKEN_BYTES = 32
_BACKLOG = 128
_GRACE_S = 3


def run_server(options: ServeOptions, say_address: SayAddress, run: Runner | None = None) -> None:
    """Serve until the process is ended.

    Args:
        options: of the server.
        say_address: called once with the address to open, and with the token in it where one is
            needed.
        run: works on a scan; the working process where it is None.

    Raises:
        UsageError: the address or the folder is in use.
        OutputError: the folder cannot be written.
        CancelledError, KeyboardInterrupt: the server was ended; the queue stays.
    """
    os.umask(0o077)
    store = Store(options.folder, options.max_queue)
    store.open()
    try:
        token = secrets.token_urlsafe(TOKEN_BYTES) if options.needs_token else None
        listening = _listen(options)
        application = make_application(store, options, run or working_process(options), token)
        config = uvicorn.Config(
            application,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws="none",
            timeout_graceful_shutdown=_GRACE_S,
        )
        say_address(_address(options, listening, token))
        uvicorn.Server(config).run(sockets=[listening])
    except CancelledError as error:
        raise CancelledError(_left(options)) from error
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(_left(options)) from error
    finally:
        store.close()


def _left(options: ServeOptions) -> str:
    return (
        f"the server has ended; the queue stays in {options.folder}, and the next start goes on"
        " with it"
    )


def _listen(options: ServeOptions) -> socket.socket:
    """A socket that listens.

    Raises:
        UsageError: the address cannot be used.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            options.host, options.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with contextlib.ExitStack() as opened:
            listening = opened.enter_context(socket.socket(family, kind, protocol))
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(_BACKLOG)
            opened.pop_all()
            return listening
    except OSError as error:
        raise UsageError(
            f"--host {options.host} --port {options.port}: cannot be listened on"
            f" ({error.strerror or error}); expected an address of this machine and a free port;"
            " give another --port (0: any that is free)"
        ) from error


def _address(options: ServeOptions, listening: socket.socket, token: str | None) -> str:
    """What to open. The token stands behind a hash, so that no log and no other site gets it."""
    port = listening.getsockname()[1]
    everywhere = options.host in ("0.0.0.0", "::", "")
    host = socket.gethostname() if everywhere else options.host
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}/" + (f"#token={token}" if token else "")
