"""Presets: named ways to run the cycle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmccd.bundle.calibration import Calibration
from mmccd.bundle.find import FORWARD
from mmccd.bundle.json_files import read_json
from mmccd.core import ModelError, write_json
from mmccd.methods import CycleSettings
from mmccd.models import PRECISIONS
from mmccd.postprocessing import Postprocessing

CYCLE_CONFIG = Path("configs") / "cycle.json"
_COPY = "copy the bundles to a writable folder and give it with --bundles"


@dataclass(frozen=True)
class Preset:
    """One named way to run the cycle.

    Attributes:
        name: ``full``, ``balanced`` or ``fast``.
        cycle: masks, steps, reading.
        postprocessing: what the threshold is applied to.
        batch_size: images per network pass.
        precision: ``auto``, ``fp32`` or ``bf16``.
    """

    name: str
    cycle: CycleSettings
    postprocessing: Postprocessing
    batch_size: int
    precision: str

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ValueError(
                f"precision of preset {self.name} must be one of {PRECISIONS}, got"
                f" {self.precision!r}"
            )

    def settings(self) -> dict[str, Any]:
        """What a calibration depends on."""
        return {"cycle": self.cycle.as_dict(), "postprocessing": self.postprocessing.as_dict()}


def read_cycle_config(root: Path) -> tuple[dict[str, Preset], list[Calibration]]:
    """Presets and calibrations of the forward bundle's ``cycle.json``.

    Raises:
        ModelError: the file is missing or damaged.
    """
    path = root / FORWARD / CYCLE_CONFIG
    content = read_json(path)
    try:
        presets = {name: _preset(name, entry) for name, entry in content["presets"].items()}
        calibrations = [Calibration.from_dict(entry) for entry in content["calibrations"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(
            f"{path}: is damaged ({type(error).__name__}: {error}); restore it from the"
            " distribution"
        ) from error
    return presets, calibrations


def write_calibrations(root: Path, calibrations: list[Calibration]) -> Path:
    """Replace the calibrations in the forward bundle's ``cycle.json``; everything else in it stays.

    Raises:
        OutputError: the file cannot be written.
    """
    path = root / FORWARD / CYCLE_CONFIG
    content = {**read_json(path), "calibrations": [entry.as_dict() for entry in calibrations]}
    write_json(path, content, _COPY)
    return path


def _preset(name: str, entry: dict[str, Any]) -> Preset:
    return Preset(
        name,
        CycleSettings(**entry["cycle"]),
        Postprocessing(**entry["postprocessing"]),
        int(entry["batch_size"]),
        str(entry["precision"]),
    )
