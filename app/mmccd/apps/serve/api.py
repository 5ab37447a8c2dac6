"""The REST API; the page uses nothing else."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

import mmccd
from mmccd.apps.serve.errors import RequestError
from mmccd.apps.serve.guard import COOKIE, SESSION, same
from mmccd.apps.serve.models import About, Limits, Refused, Scan, Scans, Session, StoredFile
from mmccd.apps.serve.options import ServeOptions
from mmccd.apps.serve.store import ARCHIVE, INPUT, RESULT, SHOWN_DIGITS, VIEW, Job, Store
from mmccd.apps.serve.upload import MOST_FILES, OVERHEAD_BYTES, receive, too_large
from mmccd.core import InputError, UsageError
from mmccd.jobs import State
from mmccd.outputs import NAMES, VIEWER_FILE, VOLUMES

_TYPES = {".json": "application/json", ".png": "image/png", ".html": "text/html; charset=utf-8"}
_REPORT_CSP = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"
    " blob:; font-src data:; connect-src data: blob:; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'; sandbox allow-scripts allow-modals"
)
"""Of a report: its scripts stand in it, and reach nothing of the server. Printing is a modal."""
_VIEW_NAMES = (VIEWER_FILE, *(f"{name}.nii.gz" for name in VOLUMES))
_ERRORS: dict[int | str, dict[str, Any]] = {"4XX": {"model": Refused}, "5XX": {"model": Refused}}
_UPLOAD = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {
                        "name": {"type": "string", "description": "what to call the scan"},
                        "files": {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                            "description": "one image or archive, or the DICOM files of a study",
                        },
                    },
                }
            }
        },
    }
}


def make_router(store: Store, options: ServeOptions, token: str | None) -> APIRouter:
    """The routes.

    Args:
        store: open.
        options: of the server.
        token: None where none is needed.
    """
    router = APIRouter(responses=_ERRORS)

    def shown(job: Job) -> Scan:
        return Scan.of(job, store, options.keep_h)

    @router.post(SESSION, status_code=204)
    def begin_session(given: Session) -> Response:
        """Trade the token for a cookie, which scripts cannot read."""
        if token is not None and not same(given.token, token):
            raise RequestError(
                401,
                UsageError(
                    "another token; open the address that the server printed at its start",
                    code="serve.token",
                ),
            )
        answer = Response(status_code=204)
        if token is not None:
            answer.set_cookie(COOKIE, token, httponly=True, samesite="strict", path="/")
        return answer

    @router.get("/api/about")
    def about() -> About:
        """Version, notice and limits."""
        return About(
            notice=mmccd.NOTICE,
            version=mmccd.__version__,
            preset=options.settings.preset,
            limits=Limits(
                max_bytes=options.max_bytes,
                max_files=MOST_FILES,
                max_queue=options.max_queue,
                keep_h=options.keep_h,
                timeout_s=options.timeout_s,
            ),
        )

    @router.get("/api/scans")
    def scans() -> Scans:
        """All scans. Ask again for news; once a second is fine."""
        return Scans(revision=store.revision, scans=[shown(job) for job in store.jobs()])

    @router.post("/api/scans", status_code=201, openapi_extra=_UPLOAD)
    async def upload(request: Request) -> Scan:
        """Upload a scan; it waits at the end of the queue."""
        told = _length(request)
        if told > options.max_bytes + OVERHEAD_BYTES:
            raise too_large(options.max_bytes)
        with store.receiving(told) as (job_id, place):
            folder = place / INPUT
            folder.mkdir()
            try:
                kind = request.headers.get("content-type", "")
                found = await receive(request.stream(), kind, folder, options.max_bytes)
            except ClientDisconnect as error:
                raise RequestError(
                    400, InputError("the upload broke off; upload again", code="serve.broken")
                ) from error
            job = Job(job_id, found.name, found.file, found.size, found.files)
            await run_in_threadpool(store.add, job)
        return shown(job)

    @router.get("/api/scans/{scan_id}")
    def scan(scan_id: str) -> Scan:
        """One scan."""
        return shown(store.get(scan_id))

    @router.post("/api/scans/{scan_id}/cancel")
    def cancel(scan_id: str) -> Scan:
        """Cancel a scan that waits or is at work; one that is over stays as it is."""
        return shown(store.cancel(scan_id))

    @router.post("/api/scans/{scan_id}/again")
    def again(scan_id: str, unchecked: bool = False, series: str | None = None) -> Scan:
        """Do a scan again that was refused, failed or cancelled; `unchecked`: whatever the checks
        find, which the report then warns of; `series`: the id of one of its `choices`, for one that
        is done, too, whose results are replaced.
        """
        return shown(store.again(scan_id, unchecked, series))

    @router.delete("/api/scans/{scan_id}", status_code=204)
    def delete(scan_id: str) -> Response:
        """Delete a scan with its upload and its results; one at work is cancelled."""
        store.delete(scan_id)
        return Response(status_code=204)

    @router.get("/api/scans/{scan_id}/files")
    def files(scan_id: str) -> list[StoredFile]:
        """The results of a scan that is done."""
        return [
            StoredFile(name=name, size=path.stat().st_size)
            for name, path in _results(store, _done(store, scan_id)).items()
        ]

    @router.get("/api/scans/{scan_id}/files/{name:path}", response_class=FileResponse)
    def one_file(scan_id: str, name: str) -> FileResponse:
        """One of the results."""
        path = _results(store, _done(store, scan_id)).get(name)
        return _file(
            path, {"content-security-policy": _REPORT_CSP} if name.endswith("html") else {}
        )

    @router.get("/api/scans/{scan_id}/view/{name}", response_class=FileResponse)
    def view(scan_id: str, name: str) -> FileResponse:
        """What the page shows: `viewer.json`, and the volumes that it names, as `NAME.nii.gz`."""
        path = store.place(_done(store, scan_id)) / VIEW / name
        return _file(path if name in _VIEW_NAMES and path.is_file() else None)

    @router.get("/api/scans/{scan_id}/download", response_class=FileResponse)
    def download(scan_id: str) -> FileResponse:
        """All results in one zip."""
        job = _done(store, scan_id)
        short = f"mmccd-{job.id[:SHOWN_DIGITS]}"
        path = _zipped(store, job, short)
        return FileResponse(path, media_type="application/zip", filename=f"{short}.zip")

    return router


def refused(request: Request, error: Exception) -> JSONResponse:
    """The answer to a request that is refused."""
    assert isinstance(error, RequestError)
    # What was not read of an upload must not be taken for the next request.
    headers = {"connection": "close"} if request.method == "POST" else None
    return JSONResponse(error.content(), error.status, headers)


def _length(request: Request) -> int:
    text = request.headers.get("content-length", "0")
    return int(text) if text.isdecimal() else 0


def _done(store: Store, scan_id: str) -> Job:
    job = store.get(scan_id)
    if job.state is not State.DONE:
        raise RequestError(
            409,
            UsageError(
                f"the scan is {job.state}; its results are there once it is done",
                code="serve.not_now",
            ),
        )
    return job


def _results(store: Store, job: Job) -> dict[str, Path]:
    folder = store.place(job) / RESULT
    return {name: folder / name for name in NAMES if (folder / name).is_file()}


def _file(path: Path | None, headers: dict[str, str] | None = None) -> FileResponse:
    if path is None:
        raise RequestError(
            404,
            InputError("no such file of this scan; see its list of files", code="serve.no_file"),
        )
    kind = _TYPES.get(path.suffix, "application/octet-stream")
    return FileResponse(path, media_type=kind, headers=headers)


def _zipped(store: Store, job: Job, short: str) -> Path:
    """The zip with all results, made once; what is in it is compressed already."""
    path = store.place(job) / ARCHIVE
    if not path.is_file():
        staged = path.with_name(f".{os.urandom(4).hex()}.tmp")
        with zipfile.ZipFile(staged, "w") as archive:
            for name, file in _results(store, job).items():
                archive.write(file, f"{short}/{name}")
        staged.replace(path)
    return path
