"""Words of ``python app`` and the paths of the MAP specification, checked before the SDK sees them:
its parser makes folders and has exit codes of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mmccd.core import UsageError

USAGE = """usage: python app -i INPUT -o OUTPUT [-m MODELS] [-c CONFIG]

Finds anomalies in FLAIR volumes. Research use only. Not a medical device. Not for diagnosis.

  -i, --input    NIfTI file, DICOM study, or a folder with several (HOLOSCAN_INPUT_PATH)
  -o, --output   folder for the results and status.json (HOLOSCAN_OUTPUT_PATH)
  -m, --model    folder that holds the bundles side by side (HOLOSCAN_MODEL_PATH; else those
                 installed with the package)
  -c, --config   app.yaml with the settings (HOLOSCAN_CONFIG_PATH; else the one beside the
                 application); MMCCD_* variables win
  -h, --help; --version

Settings, exit codes and status.json: docs/deployment.md"""

_FLAGS = {
    "-i": "input",
    "--input": "input",
    "-o": "output",
    "--output": "output",
    "-m": "model",
    "--model": "model",
}
_FLAGS |= {"-c": "config", "--config": "config"}


@dataclass(frozen=True)
class Paths:
    """Where the application reads and writes.

    Attributes:
        input: file or folder.
        output: folder; need not be there.
        models: folder of the bundles; None for those installed with the package.
        config: YAML file with the settings, or None.
    """

    input: Path
    output: Path
    models: Path | None
    config: Path | None


def parse_paths(
    words: list[str], environment: Mapping[str, str], config: Path | None = None
) -> Paths:
    """Paths from the command line or, where it has none, from the environment.

    Args:
        words: behind the program's name.
        environment: with the HOLOSCAN_* variables.
        config: the settings file that is taken where no other is given.

    Raises:
        UsageError: an unknown flag, a flag without value or given twice, or no input or output.
    """
    given: dict[str, str] = {}
    queue = list(words)
    while queue:
        flag, equals, value = queue.pop(0).partition("=")
        if flag not in _FLAGS:
            raise UsageError(
                f"{flag}: unknown; expected -i INPUT -o OUTPUT [-m MODELS] [-c CONFIG]; see --help"
            )
        name = _FLAGS[flag]
        if name in given:
            raise UsageError(f"{flag}: is given twice")
        if not equals and queue:
            value = queue.pop(0)
        if not value or (not equals and value in _FLAGS):
            raise UsageError(f"{flag}: needs a path behind it")
        given[name] = value
    wanted = {
        name: given.get(name) or environment.get(f"HOLOSCAN_{name.upper()}_PATH")
        for name in ("input", "output", "model")
    }
    for name in ("input", "output"):
        if not wanted[name]:
            raise UsageError(f"no {name}; give --{name} PATH or set HOLOSCAN_{name.upper()}_PATH")
    models = Path(wanted["model"]) if wanted["model"] else None
    return Paths(
        Path(str(wanted["input"])),
        Path(str(wanted["output"])),
        models,
        _config(given.get("config"), environment, config),
    )


def _config(given: str | None, environment: Mapping[str, str], beside: Path | None) -> Path | None:
    if given is not None:
        return Path(given)
    mounted = environment.get("HOLOSCAN_CONFIG_PATH")
    if mounted and Path(mounted).is_file():
        return Path(mounted)
    return beside if beside is not None and beside.is_file() else None
