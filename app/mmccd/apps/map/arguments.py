"""Words of ``python app`` and the paths of the MAP specification, checked before the SDK sees them:
its parser makes folders and has exit codes of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from mmccd import NOTICE
from mmccd.apps.parser import Form
from mmccd.core import Setting, UsageError

Input = Annotated[
    str | None,
    Setting(
        "NIfTI file, DICOM study, archive, or a folder with several (HOLOSCAN_INPUT_PATH)",
        short="-i",
        is_path=True,
    ),
]
Output = Annotated[
    str | None,
    Setting(
        "folder for the results and status.json (HOLOSCAN_OUTPUT_PATH)", short="-o", is_path=True
    ),
]
Model = Annotated[
    str | None,
    Setting(
        "folder that holds the bundles side by side (HOLOSCAN_MODEL_PATH; else those installed"
        " with the package)",
        short="-m",
        is_path=True,
    ),
]
Config = Annotated[
    str | None,
    Setting(
        "app.yaml with the settings (HOLOSCAN_CONFIG_PATH; else the one beside the application);"
        " MMCCD_* variables win",
        short="-c",
        is_path=True,
    ),
]


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


def usage() -> str:
    """What ``python app --help`` prints."""
    return "\n".join(
        [
            "usage: python app -i INPUT -o OUTPUT [-m MODEL] [-c CONFIG]",
            "",
            f"Finds anomalies in FLAIR volumes. {NOTICE}",
            "",
            _form().help(),
            "",
            "-h, --help and --version. Settings, exit codes and status.json: docs/deployment.md",
        ]
    )


def parse_paths(
    words: list[str], environment: Mapping[str, str], config: Path | None = None
) -> Paths:
    """Paths from the command line or, where it has none, from the environment.

    Args:
        words: behind the program's name.
        environment: with the HOLOSCAN_* variables.
        config: the settings file that is taken where no other is given.

    Raises:
        UsageError: an unknown word, a flag without value or given twice, or no input or output.
    """
    given = _form().parse(words)
    wanted = {
        name: given.get(name) or environment.get(f"HOLOSCAN_{name.upper()}_PATH")
        for name in ("input", "output", "model")
    }
    for name in ("input", "output"):
        if not wanted[name]:
            raise UsageError(f"no {name}; give --{name} PATH or set HOLOSCAN_{name.upper()}_PATH")
    return Paths(
        Path(str(wanted["input"])),
        Path(str(wanted["output"])),
        Path(wanted["model"]) if wanted["model"] else None,
        _config(given.get("config"), environment, config),
    )


def _form() -> Form:
    def app(
        input: Input = None, output: Output = None, model: Model = None, config: Config = None
    ) -> None: ...

    return Form.of_function("python app", app)


def _config(given: str | None, environment: Mapping[str, str], beside: Path | None) -> Path | None:
    if given is not None:
        return Path(given)
    mounted = environment.get("HOLOSCAN_CONFIG_PATH")
    if mounted and Path(mounted).is_file():
        return Path(mounted)
    return beside if beside is not None and beside.is_file() else None
