"""Throughput and memory of the service beside an archive: so many small studies in a real Orthanc,
by one way of working after the other.

python benchmarks/archive_throughput.py [--studies 10] [--before CHECKOUT] [--workers 1 2]

CHECKOUT is a folder with another version of the project, such as a git worktree, which is measured
first. Orthanc and its DICOMweb plug-in, and dcmtk, have to be installed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.apps.pacs.orthanc import DICOMWEB, Orthanc, running_orthanc  # noqa: E402
from tests.io.dicom_files import as_archived, save_all, single_frames  # noqa: E402

from mmccd.phantom import DEMO_LESIONS, Acquisition, Phantom, make_phantom  # noqa: E402

TIMES = {"flair": (9000.0, 120.0, 2500.0), "t1": (600.0, 12.0, None), "t2": (5000.0, 95.0, None)}
ROOT_UID = "1.2.826.0.1.3680043.8.498.88"


@dataclass(frozen=True)
class Way:
    """A way of working: which checkout, with which variables."""

    name: str
    checkout: Path
    variables: dict[str, str]


@dataclass(frozen=True)
class Measured:
    """What it took: seconds in all and from the first result to the last, seconds of CPU in all,
    and MiB of all processes at most.
    """

    seconds: float
    steady: float
    cpu: float
    memory_mib: float


def main() -> int:
    """Measure each way in turn and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=10)
    parser.add_argument("--before", type=Path, help="checkout of the version to compare with")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--slice-mm", type=float, default=12.0)
    parser.add_argument("--rounds", type=int, default=1, help="of all ways, one after the other")
    words = parser.parse_args()
    ways = [Way("before", words.before, {})] if words.before else []
    ways += [
        Way(f"{count} worker(s), 1 ahead", ROOT, {"MMCCD_PACS_WORKERS": str(count)})
        for count in words.workers
    ]
    phantom = make_phantom(2, DEMO_LESIONS, Acquisition(slice_mm=words.slice_mm, pixel_mm=2.0))
    found: dict[str, list[Measured]] = {way.name: [] for way in ways}
    for number in range(words.rounds):
        for way in ways:
            found[way.name].append(measure(way, phantom, words.studies))
            print(f"round {number + 1}, {way.name}: {found[way.name][-1]}", flush=True)
    first = ways[0].name
    print("| way | s | studies an hour | times the first | steady, times | CPU s | MiB at most |")
    print("|---|---|---|---|---|---|---|")
    for name, several in found.items():
        one, base = (min(found[key], key=lambda run: run.seconds) for key in (name, first))
        rate = 3600 * words.studies / one.seconds
        ratios = f"{base.seconds / one.seconds:.2f} | {base.steady / one.steady:.2f}"
        memory = max(run.memory_mib for run in several)
        print(
            f"| {name} | {one.seconds:.1f} | {rate:.0f} | {ratios} | {one.cpu:.0f} | {memory:.0f} |"
        )
    return 0


def measure(way: Way, phantom: Phantom, studies: int) -> Measured:
    """Fill an archive and let the service work it off."""
    settings = {"Plugins": [str(DICOMWEB)], "DicomWeb": {"Enable": True, "Root": "/dicom-web/"}}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(studies):
            write_study(folder / "source" / str(number), phantom, f"{ROOT_UID}.{number}")
        with running_orthanc(folder / "archive", **settings) as archive:
            archive.send(folder / "source")
            return run(way, archive, folder, studies)


def write_study(folder: Path, phantom: Phantom, uid: str) -> None:
    """T1, FLAIR and T2 of a phantom."""
    for number, contrast in enumerate(TIMES, 1):
        image = phantom.images[contrast]
        array = np.rint(image.data * (4000 / image.data.max())).astype(np.uint16)
        files = single_frames(array, image.affine, f"{uid}.{number}", number, f"{contrast} tra")
        as_archived(files)
        for one in files:
            one.StudyInstanceUID, one.FrameOfReferenceUID = uid, f"{uid}.9"
            one.RepetitionTime, one.EchoTime, one.InversionTime = TIMES[contrast]
            one.ScanningSequence = ["SE", "IR"] if contrast == "flair" else ["SE"]
        save_all(files, folder / contrast)


def run(way: Way, archive: Orthanc, folder: Path, studies: int) -> Measured:
    """The service once over all studies."""
    (folder / "tmp").mkdir()
    variables = {
        **{key: value for key, value in os.environ.items() if not key.startswith("MMCCD_")},
        "PYTHONPATH": str(way.checkout / "app"),
        "TMPDIR": str(folder / "tmp"),
        "HOLOSCAN_MODEL_PATH": str(ROOT / "bundles"),
        "MMCCD_PACS_URL": archive.dicomweb,
        "MMCCD_PACS_STATE": str(folder / "state"),
        "MMCCD_PACS_SETTLE_S": "0",
        "MMCCD_PACS_DAYS": "0",
        "MMCCD_PRESET": "fast",
        "MMCCD_THRESHOLD": "0.7",
        "MMCCD_DEVICE": "cpu",
        **way.variables,
    }
    began, most = time.monotonic(), 0.0
    stored: list[float] = []
    cpu: dict[int, float] = {}
    service = psutil.Popen(
        [sys.executable, "-m", "mmccd.apps.pacs", "--once"],
        env=variables,
        cwd=folder,
        stderr=subprocess.PIPE,
    )
    os.set_blocking(service.stderr.fileno(), False)
    text = b""
    while service.poll() is None:
        most = max(most, memory_mib(service))
        cpu |= cpu_seconds(service)
        text += service.stderr.read() or b""
        stored += [time.monotonic()] * (text.count(b" stored ") - len(stored))
        time.sleep(0.1)
    seconds = time.monotonic() - began
    if service.returncode or len(stored) < studies:
        sys.stderr.write(text.decode())
        raise SystemExit(f"{way.name}: exit code {service.returncode}, {len(stored)} were stored")
    steady = round(stored[-1] - stored[0], 1)
    return Measured(round(seconds, 1), steady, round(sum(cpu.values()), 1), round(most))


def cpu_seconds(process: psutil.Process) -> dict[int, float]:
    """Of a process and its children, by their numbers."""
    found = {}
    for one in [process, *process.children(recursive=True)]:
        try:
            found[one.pid] = sum(one.cpu_times()[:2])
        except psutil.Error:
            continue
    return found


def memory_mib(process: psutil.Process) -> float:
    """Of a process and its children; what they share counts once for each."""
    total = 0
    for one in [process, *process.children(recursive=True)]:
        try:
            total += one.memory_info().rss
        except psutil.Error:
            continue
    return total / 2**20


if __name__ == "__main__":
    sys.exit(main())
