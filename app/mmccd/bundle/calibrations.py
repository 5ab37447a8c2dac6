"""The store of calibrations: one file a preset and precision, the user's before the bundle's."""

from __future__ import annotations

import json
import os
from pathlib import Path

import platformdirs

from mmccd.bundle.calibration import Calibration, CalibrationKey
from mmccd.bundle.find import FORWARD, is_installed
from mmccd.core import ModelError, first_line, make_folder, write_json

FOLDER = "calibrations"
VARIABLE = "MMCCD_CALIBRATIONS"
_WAY_OUT = f"free some space, or name another folder with {VARIABLE}"


def user_folder() -> Path:
    """Where a user's own calibrations are: ``MMCCD_CALIBRATIONS``, else the place that the system
    has for a user's data (Linux: ``~/.local/share/mmccd/calibrations``).
    """
    given = os.environ.get(VARIABLE)
    return Path(given) if given else platformdirs.user_data_path("mmccd", False) / FOLDER


def bundled_folder(root: Path) -> Path:
    """Where calibrations lie beside the weights.

    Args:
        root: folder of the bundles.
    """
    return root / FORWARD / FOLDER


def find_calibration(
    root: Path, preset: str, key: CalibrationKey
) -> tuple[Path, Calibration] | None:
    """The calibration with that key, and its file: the user's, else the one beside the weights.

    Args:
        root: folder of the bundles.
        preset: its name.
        key: when the calibration has to hold.

    Raises:
        ModelError: a file is damaged.
    """
    for folder in (user_folder(), bundled_folder(root)):
        path = _file(folder, preset, key.precision)
        for entry in read_calibrations(path):
            if entry.key == key:
                return path, entry
    return None


def store_calibration(
    preset: str, calibration: Calibration, bundles: str | Path | None = None
) -> Path:
    """Write a calibration in the place of one with the same key, or beside the others.

    It goes beside the weights of the given bundles where these can be written and are not
    installed, else into the user's folder; there, too, where that holds one with this key, because
    it is the one that counts.

    Args:
        preset: its name.
        calibration: with its key.
        bundles: folder of the bundles, as the user gave it.

    Returns:
        The file.

    Raises:
        ModelError: the file that is there is damaged.
        OutputError: it cannot be written.
    """
    path = _file(_writable_folder(bundles), preset, calibration.key.precision)
    own = _file(user_folder(), preset, calibration.key.precision)
    if any(entry.key == calibration.key for entry in read_calibrations(own)):
        path = own
    others = [entry for entry in read_calibrations(path) if entry.key != calibration.key]
    make_folder(path.parent, _WAY_OUT)
    write_json(path, [entry.as_dict() for entry in (*others, calibration)], _WAY_OUT)
    return path


def read_calibrations(path: Path) -> list[Calibration]:
    """All calibrations of a file; none where there is no such file.

    Raises:
        ModelError: it is damaged.
    """
    try:
        return [Calibration.from_dict(entry) for entry in json.loads(path.read_text())]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(
            f"{path}: holds no usable calibrations ({type(error).__name__}: {first_line(error)});"
            " restore it, or remove it and run 'mmccd calibrate' or give --threshold",
            code="calibration.damaged",
        ) from error


def _file(folder: Path, preset: str, precision: str) -> Path:
    return folder / f"{preset}-{precision}.json"


def _writable_folder(bundles: str | Path | None) -> Path:
    if bundles is None or is_installed(Path(bundles)):
        return user_folder()
    folder = bundled_folder(Path(bundles))
    there = folder if folder.exists() else folder.parent
    return folder if os.access(there, os.W_OK) else user_folder()
