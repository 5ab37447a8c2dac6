"""Presets: named ways to make the map, one JSON file each.

Names are read without PyTorch, for command lines and completion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmccd.bundle.find import FORWARD, find_bundles
from mmccd.bundle.json_files import read_json
from mmccd.core import ModelError, UsageError, first_line

if TYPE_CHECKING:
    from mmccd.methods import Combination, CycleSettings
    from mmccd.postprocessing import Postprocessing

FOLDER = Path("configs") / "presets"
_FIELDS = ("method", "settings", "postprocessing", "batch_size", "precision", "weights")
_OPTIONAL = ("combination",)


@dataclass(frozen=True)
class Preset:
    """One named way to make the map.

    Attributes:
        name: that of its file.
        method: what scores the slices, see :func:`~mmccd.methods.method_names`; ``mmccd`` is the
            masked cycle.
        cycle: the method's settings: masks, steps, reading.
        postprocessing: what the threshold is applied to.
        batch_size: images per network pass.
        precision: ``auto``, ``fp32`` or ``bf16``.
        weights: names of the weights that the method needs, in the order in which keys and reports
            list them.
        combination: of the cycle's error with intensity and decision, for the method that has
            one; None for others.

    Raises:
        ValueError: a value that does not exist.
    """

    name: str
    method: str
    cycle: CycleSettings
    postprocessing: Postprocessing
    batch_size: int
    precision: str
    weights: tuple[str, ...]
    combination: Combination | None = None

    def __post_init__(self) -> None:
        from mmccd.methods import method_names
        from mmccd.models import PRECISIONS

        if self.method not in method_names():
            known = ", ".join(method_names())
            raise ValueError(f"method must be one of {known}, got {self.method!r}")
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision must be one of {PRECISIONS}, got {self.precision!r}")
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be 1 or more, got {self.batch_size}")
        if not self.weights or len(set(self.weights)) < len(self.weights):
            raise ValueError(f"weights must be different names, got {list(self.weights)}")

    def settings(self) -> dict[str, Any]:
        """Method settings and post-processing, as reports and calibrations hold them."""
        combination = {"combination": self.combination.as_dict()} if self.combination else {}
        return {
            "cycle": self.cycle.as_dict(),
            **combination,
            "postprocessing": self.postprocessing.as_dict(),
        }

    @classmethod
    def from_dict(cls, name: str, content: Mapping[str, Any]) -> Preset:
        """From the content of its file.

        Raises:
            KeyError, TypeError, ValueError: a field is missing, unknown or has no such value.
        """
        from mmccd.methods import Combination, CycleSettings
        from mmccd.postprocessing import Postprocessing

        unknown = sorted(set(content) - {*_FIELDS, *_OPTIONAL})
        if unknown:
            known = ", ".join((*_FIELDS, *_OPTIONAL))
            raise ValueError(f"unknown: {', '.join(unknown)}; expected {known}")
        if not isinstance(content["weights"], list):
            raise TypeError(f"weights must be a list of names, got {content['weights']!r}")
        return cls(
            name,
            str(content["method"]),
            CycleSettings(**content["settings"]),
            Postprocessing(**content["postprocessing"]),
            int(content["batch_size"]),
            str(content["precision"]),
            tuple(str(entry) for entry in content["weights"]),
            Combination(**content["combination"]) if "combination" in content else None,
        )


def preset_names(bundles: str | Path | None = None) -> tuple[str, ...]:
    """Names of all presets, sorted.

    Args:
        bundles: as for :func:`~mmccd.bundle.find.find_bundles`.

    Raises:
        ModelError: no bundles, or no preset in them.
    """
    return _names_in(find_bundles(bundles))


def _names_in(root: Path) -> tuple[str, ...]:
    """Of the forward bundle in that folder, whatever else is missing there."""
    folder = root / FORWARD / FOLDER
    names = tuple(sorted(path.stem for path in folder.glob("*.json")))
    if not names:
        raise ModelError(
            f"{folder}: holds no preset; expected one JSON file each; restore the folder from the"
            " distribution",
            code="preset.missing",
        )
    return names


def read_preset(root: Path, name: str) -> Preset:
    """A preset by its name.

    Args:
        root: folder of the bundles.
        name: of its file, without ``.json``.

    Raises:
        UsageError: there is no such preset.
        ModelError: its file is damaged.
    """
    names = _names_in(root)
    if name not in names:
        raise UsageError(
            f"--preset {name}: unknown; expected one of {', '.join(names)}", code="usage.preset"
        )
    path = root / FORWARD / FOLDER / f"{name}.json"
    content = read_json(path)
    try:
        return Preset.from_dict(name, content)
    except KeyError as error:
        raise ModelError(
            f"{path}: has no {error.args[0]}; add it or restore the file", code="preset.damaged"
        ) from error
    except (TypeError, ValueError, AttributeError) as error:
        raise ModelError(
            f"{path}: is no usable preset ({first_line(error)}); correct or restore it",
            code="preset.damaged",
        ) from error


def read_presets(root: Path) -> dict[str, Preset]:
    """All presets by name; raises as :func:`read_preset`."""
    return {name: read_preset(root, name) for name in _names_in(root)}
