"""A quick engine in the place of the networks, and the server with it, in a thread or a process.

An upload that begins with ``broken`` is refused, as the checks would; one that begins with
``studies`` holds several, and one with ``series`` several series that look like FLAIR; any other
gives the results of a run made by hand.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from tests.outputs.report.results import POINTS, make_result

from mmccd.apps.serve.application import make_application
from mmccd.apps.serve.options import ServeOptions
from mmccd.apps.serve.run import _listen, run_server
from mmccd.apps.serve.store import CHOICES, VIEW, Store
from mmccd.core import Settings, write_json
from mmccd.jobs import Outcome, Runner, SeriesChoice, Stage, State, Task
from mmccd.outputs import write_viewer
from mmccd.outputs.report.write import write_outputs

PATIENCE_S = 60.0
SHARES = (0.25, 0.5, 0.75)
REFUSAL = "looks like T2, expected FLAIR; give the FLAIR, or --unchecked"


def choice(number: int, study: int, **more: Any) -> SeriesChoice:
    """A series of 24 images of a study of that number."""
    values: dict[str, Any] = {
        "id": f"{study:06d}{number:06d}",
        "patient": None,
        "study": study,
        "date": f"2024-03-0{study}",
        "study_description": "Brain MRI",
        "number": number,
        "description": f"t2 flair {number}",
        "images": 24,
        "plane": "axial",
        "doubt": "",
        "uid": f"1.2.{study}.{number}",
        "study_uid": "",
    }
    return SeriesChoice(**{**values, **more})


STUDIES = (choice(3, 1), choice(5, 2), choice(6, 2, doubt="not FLAIR (the description says T1)"))
SERIES = (choice(5, 1), choice(7, 1))


def fake_runner(
    seconds: float = 0.0, did: list[str] | None = None, settings: list[Settings] | None = None
) -> Runner:
    """Takes about so long for a scan; ``did`` gets the names of the inputs' folders, ``settings``
    what each was done with.
    """

    def run(tasks: Sequence[Task]) -> Iterator[Outcome | None]:
        for task in tasks:
            if did is not None:
                did.append(task.input.name)
            if settings is not None:
                settings.append(task.settings)
            now = Outcome(task.number, task.shown, State.RUNNING)
            yield now
            for stage in Stage:
                now = replace(now, stage=stage, share=None)
                yield now
                for share in SHARES if stage is Stage.SCORE else (None,):
                    end = time.monotonic() + seconds / (len(Stage) + len(SHARES) - 1)
                    while time.monotonic() < end:
                        time.sleep(0.01)
                        yield None
                    yield replace(now, share=share)
            yield _end(task, now, seconds)

    return run  # type: ignore[return-value]


def _end(task: Task, now: Outcome, seconds: float) -> Outcome:
    path = task.input.path
    first = path if path.is_file() else min(path.iterdir())
    content, is_chosen = first.read_bytes(), task.settings.series != "auto"
    offered = {b"studies": STUDIES, b"series!": SERIES}.get(content[:7], ())
    if offered and not is_chosen:
        write_json(task.output.parent / CHOICES, [one.as_dict() for one in offered])
    if offered is STUDIES and not is_chosen:
        text = f"{first.name}: holds 2 studies, newest first: (UID); expected one visit"
        return now.ended(4, text, "dicom.several_studies", seconds=seconds)
    if content.startswith(b"broken") and not task.settings.unchecked:
        text = f"{first.name}: {REFUSAL} ({task.shown})"
        return now.ended(4, text, "contrast.not_flair", seconds=seconds)
    result = make_result(
        report={
            "threshold": {"calibration": {"points": POINTS}, "operating_point": "balanced"},
            "warnings": [],
        }
    )
    for folder in (task.output, task.output.parent / VIEW):
        folder.mkdir()
    write_outputs(result, task.output)
    write_viewer(result, task.output.parent / VIEW)
    volumes = result.report.volumes_ml.model_dump()
    summary = {"volumes_ml": volumes, "threshold": result.report.threshold.value}
    spent = {str(stage): seconds / len(Stage) for stage in Stage}
    return now.ended(0, seconds=seconds, summary=summary, stage_seconds=spent)


@dataclass
class Served:
    """A server that runs: its address, its store, and a client."""

    address: str
    store: Store
    client: httpx.Client

    def upload(self, name: str = "scan.nii.gz", content: bytes = b"a scan") -> dict[str, Any]:
        answer = self.client.post("/api/scans", files={"files": (name, content)})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def scan(self, scan_id: str) -> dict[str, Any]:
        return dict(self.client.get(f"/api/scans/{scan_id}").json())

    def wait(
        self,
        scan_id: str,
        until: Callable[[dict[str, Any]], bool] = lambda scan: State(scan["state"]).is_over,
    ) -> dict[str, Any]:
        return wait_for(lambda: self.scan(scan_id), until)


def wait_for(
    ask: Callable[[], dict[str, Any]], until: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """Ask until it is so."""
    end = time.monotonic() + PATIENCE_S
    while not until(found := ask()):
        assert time.monotonic() < end, found
        time.sleep(0.05)
    return found


@contextmanager
def served(folder: Path, run: Runner | None = None, token: str | None = None, **more: Any) -> Any:
    """A server in a thread of this process."""
    options = ServeOptions(folder, port=0, **more)
    store = Store(folder, options.max_queue)
    store.open()
    listening = _listen(options)
    application = make_application(store, options, run or fake_runner(), token)
    config = uvicorn.Config(application, log_config=None, access_log=False, ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    try:
        with httpx.Client(base_url=address, timeout=PATIENCE_S, trust_env=False) as client:
            yield Served(address, store, client)
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
        store.close()


def main(folder: str, port: str, seconds: str, max_mib: str) -> None:
    """The server as a process of its own."""
    options = ServeOptions(Path(folder), port=int(port), max_mib=int(max_mib))
    run_server(options, lambda address: print(address, flush=True), fake_runner(float(seconds)))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
