"""Ten minutes of one GPU: pack what a bare machine needs, train and measure there.

python docker/train_gpu.py prepare FOLDER --maps ... --cases ...   where the data is
python docker/train_gpu.py aside | back                            the checkout small, and whole
python docker/train_gpu.py run FOLDER --out DIR                    on the machine with the GPU

docs/training.md has the rest.
"""

from __future__ import annotations

import argparse
import configparser
import contextlib
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
ASIDE = ".aside"
SET_ASIDE = ("bundles/*/models/research/*", "docs/images/*")
"""Tracked files that a run does not need."""
MB, MIB = 10**6, 2**20
LARGEST_PACK, LARGEST_TREE, LARGEST_RESULT = 30 * MB, 64 * MIB, 16 * MIB

WHEELS = (
    "annotated-types",
    "einops",
    "fire",
    "lazy-loader",
    "monai",
    "nibabel",
    "platformdirs",
    "pydantic",
    "pydantic_core",
    "pytorch-ignite",
    "termcolor",
    "typing-inspection",
    "typing_extensions",
)
"""What prediction from NIfTI and this training import, less what a machine with PyTorch is taken to
have: torch, numpy, scipy, matplotlib, pillow, psutil, jinja2, tqdm, packaging and what these need.
DICOM and N4 are left out; of nilearn only two tissue maps are read, which are copied.
"""
TISSUE_MAPS = "datasets/data/mni_icbm152_?m_tal_nlin_sym_09a_converted.nii.gz"
"""Of nilearn, grey and white matter."""
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")

PRESETS = ("fast", "balanced", "full")
THRESHOLD = "1.0"
"""Of the segmentations that are compared, since not every preset ships with one."""
MAPS = ("anomaly_map.nii.gz", "segmentation.nii.gz")
CONTENTS, PACK, PHANTOM, ON_CPU = "contents.json", "pack", "phantom.nii.gz", "cpu"
TISSUES = "tissues"
SUMMARY, LOG = "summary.json", "run.log"
WEIGHTS = ("f.pt", "f.json", "g.pt", "g.json", "log.jsonl")

PYTHON_MMCCD = (
    sys.executable,
    "-c",
    "from mmccd.apps.cli.cli import main; main()",
)
TRAINING = (sys.executable, "-m", "mmccd.training.cycle")

START_SECONDS, END_SECONDS, GRACE_SECONDS = 45.0, 20.0, 8.0
"""Of a training: until its first iteration, for writing its weights, and until it is killed."""


class PreparationError(Exception):
    """What the user has to know, in one line."""


# --- aside and back -------------------------------------------------------------------------------


def set_aside(root: Path, keep: Iterable[str] = ()) -> list[str]:
    """Move what a run does not need below ``.aside``, each file at its own path.

    The folder is its own journal: a file lies either here or there, since renaming is one step, so
    that :func:`bring_back` works from wherever a run of this was cut off.

    Args:
        root: of the checkout.
        keep: paths that stay.

    Returns:
        The paths that were moved now.
    """
    kept = {str(Path(path)) for path in keep}
    moved = []
    for path in _to_set_aside(root):
        if path not in kept:
            target = root / ASIDE / path
            target.parent.mkdir(parents=True, exist_ok=True)
            (root / path).rename(target)
            moved.append(path)
    return moved


def bring_back(root: Path) -> list[str]:
    """Move everything below ``.aside`` back to its place.

    Returns:
        The paths that were moved.

    Raises:
        PreparationError: a place is taken by another file; the others are back all the same.
    """
    moved, taken = [], []
    for source in sorted((root / ASIDE).rglob("*")):
        path = source.relative_to(root / ASIDE)
        if source.is_dir():
            continue
        if (root / path).exists():
            if (root / path).read_bytes() != source.read_bytes():
                taken.append(str(path))
                continue
            source.unlink()
        else:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            source.rename(root / path)
        moved.append(str(path))
    if taken:
        raise PreparationError(
            f"{root / taken[0]}: is another file than the one that was set aside; compare it with"
            f" {Path(ASIDE, taken[0])} and remove one of them ({len(taken)} such files)"
        )
    shutil.rmtree(root / ASIDE, ignore_errors=True)
    return moved


def _to_set_aside(root: Path) -> list[str]:
    found = (path for pattern in SET_ASIDE for path in root.glob(pattern))
    return sorted(str(path.relative_to(root)) for path in found if path.is_file())


# --- prepare --------------------------------------------------------------------------------------


def prepare(options: argparse.Namespace) -> None:
    """Fill a folder with what ``run`` needs.

    Raises:
        PreparationError: something is too large, or a command failed.
    """
    folder: Path = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    environment = _environment()
    if options.maps or options.scans or options.cases:
        shutil.rmtree(folder / PACK, ignore_errors=True)
        _checked(pack_command(options), environment)
    _limit("the pack", _size(folder / PACK), LARGEST_PACK, "give fewer slices or cases")
    with tempfile.TemporaryDirectory() as work:
        _make_phantom(folder / PHANTOM, options.slice_mm, Path(work), environment)
        seconds = _predict_here(options, Path(work), environment)
    copy_tissue_maps(folder / TISSUES)
    shutil.rmtree(folder / "wheels", ignore_errors=True)
    (folder / "wheels").mkdir()
    pins = pinned(WHEELS, ROOT / "constraints.txt")
    (folder / "wheels.txt").write_text("".join(f"{pin}\n" for pin in pins))
    if not options.no_wheels:
        _checked(download_command(pins, options.python, folder / "wheels"), environment)
    contents = {"target": options.target, "presets": options.presets, "cpu_seconds": seconds}
    (folder / CONTENTS).write_text(json.dumps(contents, indent=2) + "\n")
    for name in (PACK, "wheels", ON_CPU):
        _say(f"{name}: {_size(folder / name) / MB:.1f} MB")
    tree = tree_size(ROOT, folder, options.keep)
    _say(f"tree without what 'aside' moves: {tree / MIB:.1f} MiB")
    _limit("the tree", tree, LARGEST_TREE, "give fewer slices, or keep less")


def pack_command(options: argparse.Namespace) -> list[str]:
    """The command that packs the training data."""
    words = [*TRAINING, "pack", "--output", str(options.folder / PACK)]
    words += ["--target", options.target, "--processes", str(options.processes)]
    for name in ("maps", "scans", "cases", "split_file", "names"):
        value = getattr(options, name)
        if value is not None:
            words += [f"--{name}", *(value if isinstance(value, list) else [str(value)])]
    return words


def pinned(names: Iterable[str], constraints: Path) -> list[str]:
    """Each package with the version of the constraints, ``NAME==VERSION``.

    Raises:
        PreparationError: one has none.
    """
    pins = {}
    for line in constraints.read_text().splitlines():
        name, equals, version = line.partition("==")
        if equals:
            pins[_normal(name)] = version.strip()
    missing = [name for name in names if _normal(name) not in pins]
    if missing:
        raise PreparationError(f"{constraints}: has no version of {', '.join(missing)}; add it")
    return [f"{name}=={pins[_normal(name)]}" for name in names]


def download_command(pins: Sequence[str], python: str, folder: Path) -> list[str]:
    """The command that fetches wheels for another machine's Python."""
    words = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    words += ["--no-deps", "--only-binary=:all:", "--implementation", "cp"]
    words += ["--python-version", python]
    for platform in PLATFORMS:
        words += ["--platform", platform]
    return [*words, "--dest", str(folder), *pins]


def copy_tissue_maps(folder: Path) -> None:
    """The maps that nilearn installs, in a package of its name: the whole one has 10 MB.

    Raises:
        PreparationError: nilearn is not here.
    """
    spec = importlib.util.find_spec("nilearn")
    if spec is None or spec.origin is None:
        raise PreparationError(
            "nilearn: is not installed, expected for its tissue maps; install it"
        )
    package = Path(spec.origin).parent
    for source in package.glob(TISSUE_MAPS):
        target = folder / "nilearn" / source.relative_to(package)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    (folder / "nilearn" / "__init__.py").touch()


def tree_size(root: Path, folder: Path, keep: Iterable[str] = ()) -> int:
    """Bytes of the checkout's files, without what git ignores and what can be set aside, and of the
    folder, which may lie anywhere.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    aside = set(_to_set_aside(root)) - {str(Path(path)) for path in keep}
    files = {(root / path).resolve() for path in listed if path and path not in aside}
    files |= {path.resolve() for path in folder.rglob("*")}
    return sum(path.stat().st_size for path in files if path.is_file())


def _make_phantom(path: Path, slice_mm: float, work: Path, environment: dict[str, str]) -> None:
    words = ["--subjects", "1", "--seed", "7", "--lesions", "ms"]
    words += ["--slice-mm", str(slice_mm), "--pixel-mm", "2"]
    _checked([*PYTHON_MMCCD, "phantom", str(work / "phantom"), *words], environment)
    shutil.copy(next((work / "phantom").rglob("*_flair.nii.gz")), path)


def _predict_here(
    options: argparse.Namespace, work: Path, environment: dict[str, str]
) -> dict[str, float]:
    """The maps of each preset, on the CPU in fp32; the seconds each took."""
    bundles = work / "bundles"
    fp32_bundles(options.bundles, bundles)
    shutil.rmtree(options.folder / ON_CPU, ignore_errors=True)
    seconds = {}
    for preset in options.presets:
        start = time.monotonic()
        out = work / preset
        _checked(
            predict_command(options.folder, out, preset, bundles, options.target, "cpu"),
            environment,
        )
        seconds[preset] = round(time.monotonic() - start, 1)
        target = options.folder / ON_CPU / preset
        target.mkdir(parents=True)
        for name in MAPS:
            shutil.copy(out / name, target)
    return seconds


def predict_command(
    folder: Path, out: Path, preset: str, bundles: Path, target: str, device: str
) -> list[str]:
    """The command that predicts the phantom."""
    words = [*PYTHON_MMCCD, "predict", str(folder / PHANTOM), "--output", str(out), "--force"]
    words += ["--preset", preset, "--target", target, "--device", device]
    return [*words, "--bundles", str(bundles), "--threshold", THRESHOLD, "--unchecked"]


def fp32_bundles(source: Path, copy: Path) -> None:
    """Bundles whose presets compute in float32, the rest linked, in a new folder."""
    for bundle in (path for path in source.resolve().iterdir() if (path / "configs").is_dir()):
        (copy / bundle.name).mkdir(parents=True)
        for part in bundle.iterdir():
            if part.name == "configs":
                shutil.copytree(part, copy / bundle.name / part.name)
            else:
                (copy / bundle.name / part.name).symlink_to(part)
    for preset in copy.glob("*/configs/presets/*.json"):
        content = json.loads(preset.read_text()) | {"precision": "fp32"}
        preset.write_text(json.dumps(content))


# --- run ------------------------------------------------------------------------------------------


class Steps:
    """Runs programs one after another, none beyond the end, and records how each went.

    Args:
        out: gets ``summary.json`` after each step, and ``run.log`` with what the programs say.
        seconds: from now to the end.
        environment: of the programs.
    """

    def __init__(self, out: Path, seconds: float, environment: dict[str, str]) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self.out, self.environment = out, environment
        self.end = time.monotonic() + seconds
        self.summary: dict[str, Any] = {"steps": {}}
        self.stopped = False
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def left(self) -> float:
        """Seconds to the end."""
        return self.end - time.monotonic()

    def stop(self, _number: int = 0, _frame: FrameType | None = None) -> None:
        """End the running program by SIGTERM and start no other one."""
        self.stopped = True
        if self._child is not None:
            self._child.terminate()

    def program(self, name: str, command: Sequence[str], limit: float) -> bool:
        """Run a program for at most that many seconds.

        Returns:
            Whether it ended well; why not stands in the summary.
        """

        def call() -> str | None:
            with (self.out / LOG).open("ab") as log:
                log.write(f"== {name}\n".encode())
                log.flush()
                self._child = subprocess.Popen(
                    command, cwd=ROOT, env=self.environment, stdout=log, stderr=log
                )
                return _wait(self._child, min(limit, self.left - GRACE_SECONDS))

        return self.step(name, call)

    def step(self, name: str, call: Callable[[], str | None]) -> bool:
        """Do something that says what was wrong, or None."""
        start = time.monotonic()
        try:
            trouble = "not started: ended by SIGTERM" if self.stopped else call()
        except Exception as error:  # whatever it is, the other steps go on
            trouble = f"{type(error).__name__}: {error}"
        finally:
            self._child = None
        entry = {"ok": trouble is None, "seconds": round(time.monotonic() - start, 2)}
        self.summary["steps"][name] = entry | ({"trouble": trouble} if trouble else {})
        self.write()
        _say(f"{name}: {trouble or 'done'} ({entry['seconds']} s)")
        return trouble is None

    def write(self) -> None:
        """Write the summary in one step."""
        staged = self.out / f"{SUMMARY}.part"
        staged.write_text(json.dumps(self.summary, indent=2) + "\n")
        staged.replace(self.out / SUMMARY)


def _wait(child: subprocess.Popen[bytes], limit: float) -> str | None:
    """Wait for a program; SIGTERM at the limit, SIGKILL where it takes no notice."""
    late = False
    try:
        child.wait(max(limit, 0.0))
    except subprocess.TimeoutExpired:
        late = True
        child.terminate()
        try:
            child.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    if late:
        return f"was ended after {max(limit, 0.0):.0f} s, exit code {child.returncode}"
    return f"exit code {child.returncode}; see {LOG}" if child.returncode else None


def run(options: argparse.Namespace) -> int:
    """Everything on the machine with the GPU; the exit code."""
    folder: Path = options.folder.resolve()
    contents = json.loads((folder / CONTENTS).read_text())
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as handlers:
        work = Path(name)
        environment = _environment(work / "site", folder / TISSUES)
        steps = Steps(options.out.resolve(), options.seconds, environment)
        for number in (signal.SIGTERM, signal.SIGINT):
            handlers.callback(signal.signal, number, signal.signal(number, steps.stop))
        steps.summary |= {"contents": contents, "options": _plain(options)}
        _install(steps, folder / "wheels", work / "site")
        checks = Checks(steps, time.monotonic() + options.checks, folder, work, options, contents)
        checks.passes()
        checks.predictions()
        _train(steps, folder / PACK, work / "training", options, contents["target"])
        steps.stopped = False  # what there is, is kept in any case
        steps.step("keep", lambda: keep_results(work / "training", steps.out))
        steps.summary["training"] = training_figures(work / "training", options.batch_size)
        steps.write()
    return 0 if all(step["ok"] for step in steps.summary["steps"].values()) else 1


def _install(steps: Steps, wheels: Path, site: Path) -> None:
    """Wheels into a folder of their own, and the project's name and version beside them."""
    steps.step("name the project", lambda: name_project(site, ROOT / "setup.cfg"))
    files = sorted(map(str, wheels.glob("*.whl")))
    if files:
        words = (
            "-m pip install --quiet --no-index --no-deps --no-compile --disable-pip-version-check"
        )
        steps.program(
            "install", [sys.executable, *words.split(), "--target", str(site), *files], 120.0
        )


def name_project(site: Path, config: Path) -> None:
    """What ``importlib.metadata`` reads of the project: it runs from the checkout and is installed
    nowhere.
    """
    about = configparser.ConfigParser()
    about.read_string(config.read_text())
    name, version = about["metadata"]["name"], about["metadata"]["version"]
    folder = site / f"{name}-{version}.dist-info"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


class Checks:
    """What is measured before the training, within its own share of the time.

    Args:
        steps: runs the programs.
        end: when the checks have to be over, by the monotonic clock.
        folder: what ``prepare`` made.
        work: for files that do not stay.
        options: of ``run``.
        contents: of the folder.
    """

    def __init__(
        self,
        steps: Steps,
        end: float,
        folder: Path,
        work: Path,
        options: argparse.Namespace,
        contents: dict[str, Any],
    ) -> None:
        self.steps, self.end, self.folder, self.work = steps, end, folder, work
        self.options, self.contents = options, contents

    def passes(self) -> None:
        """Passes and training steps a second."""
        file = self.work / "passes.jsonl"
        words = [sys.executable, str(Path(__file__).resolve()), "passes", str(file)]
        words += ["--device", self.options.device, "--batch", str(self.options.batch_size)]
        words += ["--tiny"] if self.options.tiny else []
        words += ["--compile"] if self.options.compile else []
        self.steps.program("passes", words, min(self.left, 0.5 * self.options.checks))
        lines = file.read_text().splitlines() if file.is_file() else []
        self.steps.summary["passes"] = [json.loads(line) for line in lines]

    def predictions(self) -> None:
        """Each preset in fp32, compared with the CPU's maps, then as it ships."""
        bundles = self.options.bundles.resolve()
        fp32 = self.work / "bundles"
        self.steps.step("fp32 presets", lambda: fp32_bundles(bundles, fp32))
        self.steps.summary["predictions"] = {}
        kinds = (("fp32", fp32), ("as shipped", bundles))
        for precision, chosen in kinds[:1] if self.options.tiny else kinds:
            for preset in self.contents["presets"]:
                self._prediction(preset, precision, chosen)

    def _prediction(self, preset: str, precision: str, bundles: Path) -> None:
        name = f"{preset}, {precision}"
        if self.left < 1:
            self.steps.step(f"predict {name}", lambda: "no time left for checks")
            return
        out = self.work / "predicted" / name.replace(", ", "_").replace(" ", "_")
        out.parent.mkdir(exist_ok=True)
        target, device = self.contents["target"], self.options.device
        command = predict_command(self.folder, out, preset, bundles, target, device)
        if self.steps.program(f"predict {name}", command, self.left):
            report = json.loads((out / "report.json").read_text())
            entry: dict[str, Any] = {
                "seconds": self.steps.summary["steps"][f"predict {name}"]["seconds"],
                "stages": report["timings_s"],
                "precision": report["settings"]["precision"],
                "cpu_seconds": self.contents["cpu_seconds"][preset],
            }
            self.steps.summary["predictions"][name] = entry
            self.steps.step(f"compare {name}", lambda: self._compare(preset, out, entry))

    def _compare(self, preset: str, out: Path, entry: dict[str, Any]) -> None:
        words = [sys.executable, str(Path(__file__).resolve()), "compare"]
        words += [str(self.folder / ON_CPU / preset), str(out)]
        done = subprocess.run(
            words, env=self.steps.environment, check=True, capture_output=True, timeout=30
        )
        entry.update(json.loads(done.stdout))

    @property
    def left(self) -> float:
        """Seconds for checks."""
        return min(self.end - time.monotonic(), self.steps.left)


def _train(
    steps: Steps, pack: Path, folder: Path, options: argparse.Namespace, target: str
) -> None:
    """f and g in what is left of the time."""
    starting = 0.0 if options.tiny else START_SECONDS
    seconds = options.train_seconds or steps.left - starting - END_SECONDS
    steps.program(
        "train",
        train_command(options, pack, folder, target, seconds),
        steps.left - END_SECONDS + GRACE_SECONDS,
    )


def train_command(
    options: argparse.Namespace, pack: Path, folder: Path, target: str, seconds: float
) -> list[str]:
    """The command that trains f and g in one process."""
    words = [*TRAINING, "train", "--pack", str(pack), "--output", str(folder)]
    words += ["--target", target, "--device", options.device, "--seconds", f"{seconds:.1f}"]
    words += ["--batch_size", str(options.batch_size), "--precision", options.precision]
    words += ["--data", options.data, "--licence", options.licence]
    if options.tiny:
        words += ["--factor", "8", "--channels", "32", "32", "32"]
    else:
        words += ["--factor", str(options.factor)]
    for name in ("init_f", "init_g"):
        path = getattr(options, name)
        words += [f"--{name}", str(path.resolve())] if path else []
    words += ["--research"] if options.research else []
    return words + (["--compile"] if options.compile else [])


def keep_results(training: Path, out: Path) -> str | None:
    """Copy weights, cards and log; what was wrong, or None."""
    troubles = []
    for name in WEIGHTS:
        source = training / name
        if not source.is_file():
            troubles.append(f"{name} was not written")
        elif source.stat().st_size > LARGEST_RESULT:
            troubles.append(f"{name} has {source.stat().st_size / MIB:.1f} MiB, above 16")
        else:
            shutil.copy(source, out)
    log = out / LOG
    if log.is_file() and log.stat().st_size > LARGEST_RESULT:
        log.write_bytes(log.read_bytes()[-LARGEST_RESULT // 2 :])
    return "; ".join(troubles) or None


def training_figures(training: Path, batch: int) -> dict[str, Any]:
    """The last line of the training's log, with the slices a second between its last two measured
    lines: the first ones hold the start, and compiling.
    """
    path = training / "log.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
    if not lines:
        return {}
    measured = [(line["iteration"], line["seconds"]) for line in lines if line["slices_per_s"]]
    rate = None
    if len(measured) > 1:
        (first, start), (last, end) = measured[-2:]
        rate = round((last - first) * batch / (end - start), 1) if end > start else None
    return {**lines[-1], "slices_per_s": rate}


# --- measured in programs of their own, since they import what the wheels bring -------------------


def measure_passes(options: argparse.Namespace) -> None:
    """Write one JSON line for each thing that is measured, as soon as it is.

    A pass is a prediction of f under autocast; a step also goes back through the network; slices
    are made as in the training, from label slices of noise. Compiled ones come last, because
    compiling takes longest.
    """
    import torch

    torch.manual_seed(0)
    device = torch.device(options.device)
    cuda = device.type == "cuda"
    about = {
        "device": torch.cuda.get_device_name(device) if cuda else "cpu",
        "torch": torch.__version__,
        "python": sys.version.split()[0],
        "batch": options.batch,
    }
    kinds: list[tuple[str, int, bool]] = [("pass", 2, False), ("pass", 4, False)]
    kinds += [("step", 2, False), ("step", 4, False)]
    kinds += [("step", 2, True), ("pass", 2, True)] if options.compile else []
    with options.file.open("w") as file:
        for line in [about, *_measured(kinds, options, device)]:
            file.write(json.dumps(line) + "\n")
            file.flush()


def _measured(
    kinds: Sequence[tuple[str, int, bool]], options: argparse.Namespace, device: Any
) -> Iterator[dict[str, Any]]:
    seconds = 0.05 if options.tiny else 2.0
    if not options.tiny:  # drawing the contrasts takes seconds
        rate = _per_second(_slices_call(options, device), seconds, device) * options.batch
        yield {"what": "slices made", "per_second": round(rate, 1)}
    for kind, factor, compiled in kinds:
        start = time.monotonic()
        call = _network_call(kind, factor, compiled, options, device)
        rate = _per_second(call, seconds, device) * options.batch
        yield {
            "what": f"{kind} of f",
            "space_to_depth": factor,
            "compiled": compiled,
            "per_second": round(rate, 1),
            "seconds": round(time.monotonic() - start, 1),
        }


def _network_call(
    kind: str, factor: int, compiled: bool, options: argparse.Namespace, device: Any
) -> Callable[[], Any]:
    """One pass, or one pass with its gradients."""
    import torch

    from mmccd.models import autocast, choose_precision
    from mmccd.training.shared import small_network

    tiny = {"factor": 8, "channels": (32, 32, 32)} if options.tiny else {"factor": factor}
    network = small_network(2, **tiny).to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if compiled:
        network.compile(dynamic=False)
    inputs = torch.randn(options.batch, 2, 128, 128, device=device)
    inputs = inputs.contiguous(memory_format=torch.channels_last)
    steps = torch.full((options.batch,), 999, device=device)
    precision = choose_precision("auto", device)

    def one_pass() -> Any:
        with torch.no_grad(), autocast(device, precision):
            return network(inputs, steps)

    def one_step() -> Any:
        with autocast(device, precision):
            made = network(inputs, steps)
        made.float().square().mean().backward()
        network.zero_grad(set_to_none=True)

    return one_pass if kind == "pass" else one_step


def _slices_call(options: argparse.Namespace, device: Any) -> Callable[[], Any]:
    """One batch of slices as f gets them."""
    import torch

    from mmccd.imaging import Draws
    from mmccd.training.cycle.conditions import corrupted_source
    from mmccd.training.cycle.pairs import HealthyPairs

    noise = torch.randint(0, 3, (16, 2, 256, 256), dtype=torch.uint8)
    draws = Draws(0, device)
    pairs = HealthyPairs([noise.numpy()], None, 0.0, "flair", "t2", draws)

    def make() -> Any:
        with torch.no_grad():
            return corrupted_source(pairs.draw(options.batch), draws)

    return make


def _per_second(call: Callable[[], Any], seconds: float, device: Any) -> float:
    """Calls a second, after three to warm up."""
    import torch

    wait: Callable[[], Any] = torch.cuda.synchronize if device.type == "cuda" else int
    for _ in range(3):
        call()
    wait()
    start, count = time.monotonic(), 0
    while time.monotonic() - start < seconds:
        call()
        wait()
        count += 1
    return count / (time.monotonic() - start)


def compare(options: argparse.Namespace) -> None:
    """Print how two predictions differ: the maps in shares of the first one's maximum, and the Dice
    of the segmentations.
    """
    import nibabel as nib
    import numpy as np

    first, second = (
        [nib.load(folder / name).get_fdata(dtype=np.float32) for name in MAPS]
        for folder in (options.first, options.second)
    )
    difference = np.abs(first[0] - second[0]) / max(float(first[0].max()), 1e-12)
    marked = first[1] > 0, second[1] > 0
    total = int(marked[0].sum() + marked[1].sum())
    found = {
        "largest_difference": float(difference.max()),
        "difference_p99_9": float(np.percentile(difference, 99.9)),
        "dice": 2 * int((marked[0] & marked[1]).sum()) / total if total else None,
    }
    sys.stdout.write(json.dumps(found) + "\n")


# --- small things ---------------------------------------------------------------------------------


def _environment(*sites: Path) -> dict[str, str]:
    """The checkout's package comes first, then folders of other packages."""
    places = [str(ROOT / "app"), *map(str, sites), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, places)),
        "PYTHONUNBUFFERED": "1",
    }


def _checked(command: Sequence[str], environment: dict[str, str]) -> None:
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False)
    if done.returncode:
        shown = " ".join(command[:6])
        raise PreparationError(
            f"{shown} ...: ended with exit code {done.returncode}; what it said is above"
        )


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _limit(what: str, size: int, largest: int, way_out: str) -> None:
    if size > largest:
        raise PreparationError(
            f"{what} has {size / MIB:.1f} MiB, expected at most {largest / MIB:.1f}; {way_out}"
        )


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _plain(options: argparse.Namespace) -> dict[str, Any]:
    """Options as they can be written, paths by their last part."""
    given = {name: value for name, value in vars(options).items() if not callable(value)}
    return {name: v.name if isinstance(v, Path) else v for name, v in given.items()}


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="prepare|aside|back|run")
    _add_prepare(commands.add_parser("prepare", help="where the data is: fill a folder"))
    aside = commands.add_parser("aside", help="move away what a run does not need")
    aside.add_argument("--keep", nargs="+", default=[], metavar="PATH", help="these stay")
    aside.set_defaults(call=lambda options: _moved(set_aside(ROOT, options.keep)))
    back = commands.add_parser("back", help="bring it back")
    back.set_defaults(call=lambda _: _moved(bring_back(ROOT)))
    _add_run(commands.add_parser("run", help="on the machine with the GPU: train and measure"))
    passes = commands.add_parser("passes")
    passes.add_argument("file", type=Path)
    passes.add_argument("--device", default="cuda")
    passes.add_argument("--batch", type=int, default=192)
    passes.add_argument("--compile", action="store_true")
    passes.add_argument("--tiny", action="store_true")
    passes.set_defaults(call=measure_passes)
    two = commands.add_parser("compare")
    two.add_argument("first", type=Path)
    two.add_argument("second", type=Path)
    two.set_defaults(call=compare)
    return parser


def _moved(paths: list[str]) -> None:
    _say(f"{len(paths)} files")


def _add_prepare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path)
    parser.add_argument("--maps", nargs="+", metavar="FOLDER:SLICES[:LEFT_OUT]")
    parser.add_argument("--scans", nargs=2, metavar=("IMAGES", "FOLDER:SLICES[:LEFT_OUT]"))
    parser.add_argument("--cases", type=Path, help="data folder of real pairs")
    parser.add_argument("--split_file", type=Path)
    parser.add_argument("--names", nargs="+")
    parser.add_argument("--target", default="t2")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--presets", nargs="+", default=list(PRESETS))
    parser.add_argument("--slice_mm", type=float, default=12.0, help="of the phantom")
    parser.add_argument("--bundles", type=Path, default=ROOT / "bundles")
    parser.add_argument("--python", default="3.12", metavar="X.Y", help="that of the other machine")
    parser.add_argument("--no_wheels", action="store_true", help="that machine has everything")
    parser.add_argument("--keep", nargs="+", default=[], metavar="PATH", help="as for 'aside'")
    parser.set_defaults(call=prepare)


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="what 'prepare' made")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=540.0, help="for everything")
    parser.add_argument("--checks", type=float, default=150.0, help="of them, before the training")
    parser.add_argument("--train_seconds", type=float, help="instead of what is left")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--precision", default="auto", choices=("auto", "fp32", "bf16"))
    parser.add_argument("--batch_size", type=int, default=192, help="even: one shape for all")
    parser.add_argument("--factor", type=int, default=2, help="space-to-depth")
    parser.add_argument("--compile", action="store_true", help="compile the networks")
    parser.add_argument("--init_f", type=Path)
    parser.add_argument("--init_g", type=Path)
    parser.add_argument("--bundles", type=Path, default=ROOT / "bundles")
    parser.add_argument("--data", default="", help="for the cards")
    parser.add_argument("--licence", default="", help="for the cards")
    parser.add_argument("--research", action="store_true", help="for the cards: may not ship")
    parser.add_argument("--tiny", action="store_true", help="tiny networks, to try the script")
    parser.set_defaults(call=run)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the commands; the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return options.call(options) or 0
    except (PreparationError, OSError) as error:
        _say(str(error))
        return 2


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main())
