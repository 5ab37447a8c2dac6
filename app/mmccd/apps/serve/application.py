"""The web application: API, page, guard, and the engine beside them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import resources

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

import mmccd
from mmccd.apps.serve.api import make_router, refused
from mmccd.apps.serve.engine import Engine
from mmccd.apps.serve.errors import RequestError
from mmccd.apps.serve.guard import Guard
from mmccd.apps.serve.options import ServeOptions
from mmccd.apps.serve.store import Store
from mmccd.core import InputError, MmccdError, UsageError
from mmccd.jobs import Runner
from mmccd.outputs import SCRIPTS, viewer_script

_PAGE = {
    "index.html": "text/html; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "api.js": "text/javascript; charset=utf-8",
    "drop.js": "text/javascript; charset=utf-8",
    "queue.js": "text/javascript; charset=utf-8",
    "viewer.js": "text/javascript; charset=utf-8",
    "volumes.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


def make_application(
    store: Store, options: ServeOptions, run: Runner, token: str | None = None
) -> FastAPI:
    """The application; the engine works while it runs.

    Args:
        store: open.
        options: of the server.
        run: works on a scan, see :data:`~mmccd.jobs.Runner`.
        token: what whoever asks has to show; None for nothing.
    """
    engine = Engine(store, options, run)

    @asynccontextmanager
    async def working(_: FastAPI) -> AsyncIterator[None]:
        engine.start()
        yield
        engine.stop()

    application = FastAPI(
        title="MMCCD",
        summary="Anomaly segmentation of brain MRI on this machine",
        description=mmccd.NOTICE,
        version=mmccd.__version__,
        openapi_url="/api/openapi.json",
        docs_url=None,  # they load scripts from elsewhere
        redoc_url=None,
        lifespan=working,
    )
    application.include_router(make_router(store, options, token))
    _add_page(application)
    application.add_exception_handler(RequestError, refused)
    application.add_exception_handler(MmccdError, _failed)
    application.add_exception_handler(RequestValidationError, _not_understood)
    application.add_exception_handler(HTTPException, _unknown)
    application.add_exception_handler(Exception, _defect)
    application.add_middleware(Guard, options=options, token=token)
    return application


def _add_page(application: FastAPI) -> None:
    folder = resources.files("mmccd.apps.serve") / "page"
    page = {name: ((folder / name).read_bytes(), kind) for name, kind in _PAGE.items()}
    scripts = {name: (viewer_script(name), _PAGE["page.js"]) for name in SCRIPTS}
    parts = {**page, **scripts}

    @application.get("/", include_in_schema=False)
    def index() -> Response:
        content, kind = parts["index.html"]
        return Response(content, media_type=kind)

    @application.get("/static/{name}", include_in_schema=False)
    def part(name: str) -> Response:
        if name not in parts:
            raise HTTPException(404)
        content, kind = parts[name]
        return Response(content, media_type=kind, headers={"cache-control": "no-cache"})


def _failed(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, MmccdError)
    return refused(request, RequestError(500, error))


def _not_understood(request: Request, error: Exception) -> JSONResponse:
    found = UsageError(
        "the request cannot be understood; expected what /api/openapi.json describes",
        code="serve.request",
    )
    return refused(request, RequestError(422, found))


def _unknown(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    found = InputError(
        "no such address or method; expected one of /api/openapi.json", code="serve.address"
    )
    return refused(request, RequestError(error.status_code, found))


def _defect(request: Request, error: Exception) -> JSONResponse:
    found = MmccdError(f"defect: {type(error).__name__}; please report it")
    return refused(request, RequestError(500, found))
