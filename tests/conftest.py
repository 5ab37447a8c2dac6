"""Shared fixtures: real data where it is, and a complete pair of bundles with tiny random
networks.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from mmccd.bundle import BACKWARD, FORWARD
from mmccd.bundle.weights import file_sha256
from mmccd.core.volume import Volume
from mmccd.imaging.normalisation import Normalisation
from mmccd.methods import DECISION_CHANNELS
from mmccd.models.networks import TranslationUNet
from mmccd.models.schedule import MaskedDiffusionScheduler
from mmccd.phantom import DEMO_LESIONS, Acquisition, Phantom, make_phantom, write_phantom

PROJECT = Path(__file__).resolve().parents[1]
TINY = {
    "factor": 8,
    "channels": [8, 8],
    "num_res_blocks": 1,
    "attention_levels": [False, False],
    "num_head_channels": [0, 8],
    "norm_num_groups": 4,
}


def pytest_configure(config: pytest.Config) -> None:
    """Processes that run tests side by side share the cores; each, and every program that it
    starts, has its threads from its start on.
    """
    processes = len(getattr(config.option, "tx", None) or [])
    if processes > 1:
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with the most slow tests come first: files are handed out one by one to the processes
    that run them, and what comes last must be short, or one of them runs alone.
    """
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


@pytest.fixture(scope="session", autouse=True)
def calibrations_of_nobody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or writes the calibrations of whoever runs it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MMCCD_CALIBRATIONS", str(tmp_path_factory.mktemp("home") / "calibrations"))
        yield


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """A bundle's logging.conf, or a front end's level, lasts no longer than its test."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logging.getLogger("mmccd").setLevel(logging.NOTSET)  # as front ends have left it
    yield
    if root.handlers != handlers:
        root.handlers[:] = handlers
        root.setLevel(level)


BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_IN_SOFTWARE = [
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, with WebGL 2 in software, one for all tests of a process: Playwright knows only
    one at a time. Tests are skipped where there is none.
    """
    executable = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if executable is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed")
    if importlib.util.find_spec("playwright") is None:
        pytest.skip("the package playwright is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=_IN_SOFTWARE)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def project() -> Path:
    """Root of the checkout."""
    return PROJECT


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder with real brain MRI; the test is skipped where there is none."""
    folder = os.environ.get("MMCCD_DATA")
    if not folder:
        pytest.skip("MMCCD_DATA is not set: no real data here")
    return Path(folder)


@pytest.fixture(scope="session")
def tiny_networks() -> dict[str, TranslationUNet]:
    """f and g with random weights, all layers awake (MONAI starts the last one at zero)."""
    torch.manual_seed(0)
    networks = {
        name: TranslationUNet(channels, **TINY).eval()
        for name, channels in ((FORWARD, 2), (BACKWARD, 1))
    }
    for network in networks.values():
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
    return networks


@pytest.fixture
def tiny_bundles(tmp_path: Path, tiny_networks: dict[str, TranslationUNet]) -> Path:
    """A writable copy of both bundles with tiny flair-t2 weights, quick presets and no
    calibration.
    """
    return make_tiny_bundles(tmp_path / "bundles", tiny_networks)


@pytest.fixture(scope="session")
def shared_bundles(
    tmp_path_factory: pytest.TempPathFactory, tiny_networks: dict[str, TranslationUNet]
) -> Path:
    """The same for fixtures that live longer than one test. Not to be changed."""
    return make_tiny_bundles(tmp_path_factory.mktemp("shared") / "bundles", tiny_networks)


@pytest.fixture(scope="session")
def healthy_phantom() -> Phantom:
    """A healthy brain with voxels of 2 x 2 x 12 mm; made once, because that takes seconds. Not to
    be changed.
    """
    return make_phantom(1, None, Acquisition(slice_mm=12.0, pixel_mm=2.0))


@pytest.fixture(scope="session")
def lesion_phantom() -> Phantom:
    """Another brain on the same grid, with the lesions of the demo. Not to be changed."""
    return make_phantom(2, DEMO_LESIONS, Acquisition(slice_mm=12.0, pixel_mm=2.0))


@pytest.fixture(scope="session")
def phantom_data(
    tmp_path_factory: pytest.TempPathFactory, healthy_phantom: Phantom, lesion_phantom: Phantom
) -> Path:
    """Three cases in BraTS layout: train ``healthy`` and ``lesion``, val ``mirrored`` (healthy from
    the other side). Not to be changed.
    """
    folder = tmp_path_factory.mktemp("phantoms")
    for name, phantom in (
        ("healthy", healthy_phantom),
        ("lesion", lesion_phantom),
        ("mirrored", mirrored(healthy_phantom)),
    ):
        write_phantom(phantom, folder, name)
    (folder / "split.json").write_text(
        json.dumps({"train": ["healthy", "lesion"], "val": ["mirrored"], "test": []})
    )
    return folder


def mirrored(phantom: Phantom) -> Phantom:
    """The same from the other side: left is right."""

    def flipped(volume: Volume) -> Volume:
        return volume.with_data(volume.data[::-1].copy())

    images = {name: flipped(image) for name, image in phantom.images.items()}
    return replace(
        phantom, images=images, lesion=flipped(phantom.lesion), brain=flipped(phantom.brain)
    )


def make_tiny_bundles(root: Path, networks: dict[str, TranslationUNet]) -> Path:
    """The bundles of f, g and d with tiny flair-t2 weights, quick presets that are the cycle alone,
    and no calibration.
    """
    for name, source, target in ((FORWARD, "flair", "t2"), (BACKWARD, "t2", "flair")):
        shutil.copytree(PROJECT / "bundles" / name / "configs", root / name / "configs")
        write_weights(root / name, networks[name], source, target)
    torch.manual_seed(1)
    decision = TranslationUNet(DECISION_CHANNELS, **TINY)
    for parameter in decision.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    write_weights(root / "decision", decision, "flair", "t2")
    # both signs: the map of a random network is above 0 nearly everywhere
    quick = {"steps": 1, "stride": 16, "width": 16, "sign": "both", "other_side": 0.0}
    for name in ("full", "balanced", "cycle", "fast"):
        change_preset(root, name, settings=quick)
        without_decision(root, name)
    return root


def without_decision(root: Path, preset: str) -> None:
    """Let a preset be the cycle alone, whose map most tests are about."""
    path = change_preset(root, preset, method="mmccd", weights=["forward", "backward"])
    content = json.loads(path.read_text())
    content.pop("combination", None)
    path.write_text(json.dumps(content))


def change_preset(root: Path, name: str, **entries: Any) -> Path:
    """Set entries of a preset's file; those of an object are added to it.

    Returns:
        The file.
    """
    path = root / FORWARD / "configs" / "presets" / f"{name}.json"
    content = json.loads(path.read_text())
    for key, value in entries.items():
        content[key] = {**content.get(key, {}), **value} if isinstance(value, dict) else value
    path.write_text(json.dumps(content))
    return path


def add_decision(root: Path, preset: str) -> Path:
    """Let a preset use the decision network.

    Returns:
        The weight file.
    """
    change_preset(
        root,
        preset,
        method="mmccd_decision",
        combination={"intensity": 1.0, "error": 0.3, "decision": 1.0},
        weights=["forward", "backward", "decision"],
    )
    return root / "decision" / "models" / "model.pt"


def write_weights(
    bundle: Path, network: TranslationUNet, source: str, target: str, name: str = "model"
) -> Path:
    """A float16 weight file with its card, as ``mmccd export`` writes them."""
    path = bundle / "models" / f"{name}.pt"
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({key: value.half() for key, value in network.state_dict().items()}, path)
    card = {
        "source": source,
        "target": target,
        "network": network.settings,
        "scheduler": MaskedDiffusionScheduler(beta_start=1e-4, beta_end=0.02).settings,
        "normalisation": {
            modality: Normalisation.for_modality(modality).as_dict()
            for modality in (source, target)
        },
        "licence": "random numbers",
        "sha256": file_sha256(path),
    }
    path.with_suffix(".json").write_text(json.dumps(card))
    return path
