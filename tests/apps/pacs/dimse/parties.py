"""Who talks to the service in these tests: dcmtk's programs, and archives of a few lines that
misbehave; all on this machine, on free ports.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pynetdicom import AE, build_context
from pynetdicom.presentation import PresentationContext
from tests.apps.pacs.orthanc import free_port
from tests.io.dicom_files import AXIAL, save_all, single_frames

from mmccd.apps.pacs.dimse.calls import quiet
from mmccd.apps.pacs.dimse.ways import Ways, opened
from mmccd.apps.pacs.settings import PacsSettings

STUDY = "1.2.826.0.1.3680043.8.498.5"
HERE = "127.0.0.1"


def settings(state: Path, **given: Any) -> PacsSettings:
    """Quick ones; results would go to a port where nobody is."""
    quick = {"state": state, "days": 0, "settle_s": 0, "silence_s": 5, "keep_free_mib": 0}
    nowhere = {} if {"url", "store"} & set(given) else {"store": f"NOBODY@{HERE}:9"}
    return PacsSettings.read({**quick, **nowhere, **given})


@contextlib.contextmanager
def receiving(state: Path, **given: Any) -> Iterator[tuple[Ways, int]]:
    """The service's ways with ``--source receive``, and the port."""
    port = free_port()
    words = {"source": "receive", "listen": f"{HERE}:{port}", "allow": "SCANNER", **given}
    with opened(settings(state, **words)) as ways:
        yield ways, port


def study(
    folder: Path, uid: str = STUDY, slices: int = 6, series: int = 1, **header: Any
) -> list[Path]:
    """Files of a study; its voxels are random."""
    for number in range(1, series + 1):
        array = np.random.default_rng(number).integers(0, 4000, (12, 10, slices)).astype(np.uint16)
        datasets = single_frames(array, AXIAL, f"{uid}.{number}", number)
        for dataset in datasets:
            dataset.StudyInstanceUID = uid
            dataset.Manufacturer = "ACME"
            for name, value in header.items():
                setattr(dataset, name, value)
        save_all(datasets, folder / str(number))
    return sorted(path for path in folder.rglob("*") if path.is_file())


def dcmtk(program: str, *words: object, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Run one of dcmtk's programs."""
    needed(program)
    return subprocess.run(
        [program, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=timeout,
    )


def needed(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed (Debian: dcmtk)")


def storescu(port: int, *files: object, title: str = "SCANNER", **words: Any) -> Any:
    flags = [part for name, value in words.items() for part in (f"-{name}", value)]
    return dcmtk("storescu", "-v", "-aet", title, "-aec", "MMCCD", *flags, HERE, port, *files)


@contextlib.contextmanager
def peer(
    contexts: Sequence[Any], handlers: Sequence[Any], title: str = "PACS", **words: Any
) -> Iterator[int]:
    """An archive that does what the handlers say; its port."""
    quiet()
    entity = AE(title)
    offered = [
        one if isinstance(one, PresentationContext) else build_context(one) for one in contexts
    ]
    server = entity.start_server(
        (HERE, 0), block=False, evt_handlers=list(handlers), contexts=offered, **words
    )
    assert server is not None
    try:
        yield int(server.server_address[1])
    finally:
        entity.shutdown()


@contextlib.contextmanager
def running(words: Sequence[object], port: int, **more: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A program that listens."""
    needed(str(words[0]))
    process = subprocess.Popen(
        list(map(str, words)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more
    )
    try:
        until(lambda: dcmtk("echoscu", "-aet", "MMCCD", "-aec", "PACS", HERE, port).returncode == 0)
        yield process
    finally:
        process.kill()
        process.wait()


def until(true: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.05)


def uids(paths: Sequence[Path]) -> set[str]:
    return {str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID) for path in paths}


def same_objects(found: Sequence[Path], sent: Sequence[Path]) -> None:
    """The same objects, voxel by voxel, in any order."""
    theirs = {one.SOPInstanceUID: one for one in map(pydicom.dcmread, sent)}
    ours = {one.SOPInstanceUID: one for one in map(pydicom.dcmread, found)}
    assert set(ours) == set(theirs)
    for uid, one in ours.items():
        np.testing.assert_array_equal(one.pixel_array, theirs[uid].pixel_array)
        assert one.SeriesInstanceUID == theirs[uid].SeriesInstanceUID
        assert one.get("EchoTime") == theirs[uid].get("EchoTime")


def nothing() -> None:
    pass


def returned(uid: str) -> PresentationContext:
    """What an archive sends back on our own association (C-GET)."""
    context = build_context(uid)
    context.scu_role = context.scp_role = True
    return context
