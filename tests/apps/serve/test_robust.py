"""The server as a process: many at once, killed in the middle, started again."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
from tests.apps.serve.fake import PATIENCE_S

from mmccd.apps.cli import cli
from mmccd.apps.serve.options import ServeOptions
from mmccd.apps.serve.store import JOBS
from mmccd.core import UsageError

SCAN_MIB, MOST_MIB = 24, 30
MORE_MIB = 64
"""What ten uploads together may add to the server's memory; they are 240 MiB."""


@contextmanager
def process(project: Path, folder: Path, seconds: float) -> Iterator[tuple[Any, httpx.Client]]:
    command = [sys.executable, "-m", "tests.apps.serve.fake"]
    words = [str(folder), "0", str(seconds), str(MOST_MIB)]
    with subprocess.Popen(
        [*command, *words], cwd=project, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        try:
            address = run.stdout.readline().strip()
            with httpx.Client(base_url=address, timeout=PATIENCE_S, trust_env=False) as client:
                client.get("/api/about").raise_for_status()
                yield run, client
        finally:
            run.kill()


def scans(client: httpx.Client) -> dict[str, dict[str, Any]]:
    return {one["id"]: one for one in client.get("/api/scans").json()["scans"]}


def highest_memory(run: Any, ends: threading.Event, seen: list[int]) -> None:
    while not ends.is_set():
        seen.append(psutil.Process(run.pid).memory_info().rss)
        time.sleep(0.02)


@pytest.mark.slow
def test_ten_at_once_and_a_kill(project: Path, tmp_path: Path) -> None:
    content = np.random.default_rng(0).bytes(SCAN_MIB * 2**20)
    answers: dict[int, httpx.Response | None] = {}

    def upload(client: httpx.Client, n: int) -> None:
        body = {3: b"broken" + content, 7: content + content}.get(n, content)
        try:
            answers[n] = client.post("/api/scans", files={"files": (f"{n}.nii.gz", body)})
        except httpx.TransportError:  # refused while it was still being sent
            answers[n] = None

    with process(project, tmp_path, 1.5) as (run, client):
        before, seen, ends = psutil.Process(run.pid).memory_info().rss, [0], threading.Event()
        watch = threading.Thread(target=highest_memory, args=(run, ends, seen))
        threads = [threading.Thread(target=upload, args=(client, n)) for n in range(10)]
        for one in (watch, *threads):
            one.start()
        for one in threads:
            one.join()
        ends.set()
        watch.join()
        more = (max(seen) - before) / 2**20
        assert more < MORE_MIB, f"{more:.0f} MiB"
        too_large = answers.pop(7)
        assert too_large is None or too_large.status_code == 413
        given = {n: answer.json()["id"] for n, answer in answers.items() if answer is not None}
        assert len(given) == 9
        assert set(scans(client)) == set(given.values())
        waiting = next(
            n for n, one in given.items() if n != 3 and scans(client)[one]["state"] == "waiting"
        )
        client.post(f"/api/scans/{given[waiting]}/cancel").raise_for_status()
        end = time.monotonic() + PATIENCE_S
        while not any(one["state"] == "done" for one in scans(client).values()):
            assert time.monotonic() < end
            time.sleep(0.05)
        run.send_signal(signal.SIGKILL)
        run.wait()
    (tmp_path / "incoming" / "half").mkdir()

    with process(project, tmp_path, 0.1) as (_, client):
        assert set(scans(client)) == set(given.values()), "nothing is lost"
        end = time.monotonic() + PATIENCE_S
        while any(one["state"] in ("waiting", "running") for one in scans(client).values()):
            assert time.monotonic() < end
            time.sleep(0.1)
        states = {n: scans(client)[one]["state"] for n, one in given.items()}
        others = set(given) - {3, waiting}
        assert states[waiting] == "cancelled"
        assert states[3] == "refused"
        assert {states[n] for n in others} == {"done"}
        for n in others:
            answer = client.get(f"/api/scans/{given[n]}/download")
            assert answer.status_code == 200
    assert list((tmp_path / "incoming").iterdir()) == []
    assert len(list((tmp_path / JOBS).iterdir())) == 9


def test_a_second_server_is_refused(project: Path, tmp_path: Path) -> None:
    with process(project, tmp_path, 0.0):
        assert cli.run(["serve", "--folder", str(tmp_path), "--port", "0"]) == 2


def test_a_port_that_is_taken(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with process(project, tmp_path / "one", 0.0) as (_, client):
        port = str(client.base_url.port)
        assert cli.run(["serve", "--folder", str(tmp_path / "two"), "--port", port]) == 2
    assert f"--port {port}: cannot be listened on" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_the_command_and_its_end(tmp_path: Path, number: signal.Signals, code: int) -> None:
    """It says its address with a token, and in the end that the queue stays."""
    command = [sys.executable, "-c", "from mmccd.apps.cli.cli import main; main()", "serve"]
    words = ["--folder", str(tmp_path), "--port", "0", "--token"]
    with subprocess.Popen(
        [*command, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as run:
        assert run.stdout is not None
        assert "Not a medical device" in run.stdout.readline()
        address, _, token = run.stdout.readline().split()[1].partition("/#token=")
        assert len(token) > 40
        assert httpx.get(f"{address}/api/about").status_code == 401
        answer = httpx.get(f"{address}/api/about", headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == 200
        run.send_signal(number)
        _, errors = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == code
    assert f"the queue stays in {tmp_path}" in errors
    assert token not in errors


class TestOptions:
    @pytest.mark.parametrize(
        ("name", "value"),
        [("port", 70_000), ("max_mib", 0), ("max_queue", 0), ("keep_h", 0.0), ("timeout_s", -1.0)],
    )
    def test_values_that_cannot_be_used(self, tmp_path: Path, name: str, value: float) -> None:
        with pytest.raises(UsageError, match=f"--{name.replace('_', '-')}"):
            ServeOptions(tmp_path, **{name: value})  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("host", "asks"),
        [
            ("127.0.0.1", False),
            ("localhost", False),
            ("::1", False),
            ("0.0.0.0", True),
            ("::", True),
        ],
    )
    def test_a_token_beyond_this_machine(self, tmp_path: Path, host: str, asks: bool) -> None:
        assert ServeOptions(tmp_path, host=host).needs_token is asks
        assert ServeOptions(tmp_path, host=host, token=True).needs_token

    def test_names_beyond_this_machine(self, tmp_path: Path) -> None:
        options = ServeOptions(tmp_path, host="0.0.0.0", names=("MRI.example",))
        for known in ("mri.example:8765", "192.168.0.7:8765", "[fe80::1]:80", "localhost"):
            assert options.knows(known)
        assert not options.knows("evil.example:8765")
