"""``help`` and ``env`` of the image's entrypoint.

help: the commands, what to mount, and the words of the application.
env: the variables that the image understands, with the values that hold; credentials are not shown.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from mmccd.apps.map.arguments import parse_paths, usage
from mmccd.apps.map.settings import NOT_OURS, read_settings
from mmccd.apps.pacs import settings as pacs
from mmccd.core import VARIABLE, MmccdError, Settings, variable_of

APPLICATION = Path("/opt/holoscan/app")
HELP = """\
usage: docker run [OPTIONS] IMAGE [COMMAND] [WORDS]

Without a command the application is run on what is mounted at /var/holoscan/input:

    docker run --rm --network none --read-only --tmpfs /tmp --ulimit stack=33554432 \\
        --user "$(id -u):$(id -g)" -v DIR:/var/holoscan/input:ro \\
        -v DIR:/var/holoscan/output IMAGE

Commands:
    help             this text
    show [app|pkg]   print the manifests app.json and pkg.json
    env              print the variables that the image understands, with the values that hold
    extract          copy app, config, models and docs into what is mounted at
                     /var/run/holoscan/export, or at one of these folders in it

The service beside an archive:
    docker run ... --entrypoint /opt/mmccd/bin/python IMAGE -m mmccd.apps.pacs --help

What is inside: /opt/holoscan/docs/sbom.cdx.json, /opt/holoscan/docs/third_party_licences.txt

Words of the application:
"""
SHOWN_PATHS = (
    "HOLOSCAN_INPUT_PATH",
    "HOLOSCAN_OUTPUT_PATH",
    "HOLOSCAN_MODEL_PATH",
    "HOLOSCAN_CONFIG_PATH",
    "TMPDIR",
)
CREDENTIALS = ("PASSWORD", "SECRET", "TOKEN", "WEBHOOK")
HIDDEN = "(set, not shown)"


def help_text() -> str:
    """What ``help`` prints."""
    return HELP + "\n" + usage() + "\n"


def env_lines(environment: Mapping[str, str], beside: Path) -> Iterator[str]:
    """What ``env`` prints, line by line.

    Args:
        environment: variables of the process.
        beside: the settings file that is taken where none is mounted.

    Raises:
        UsageError: a setting that is unknown or has a value that it cannot have.
    """
    config = parse_paths([], environment, beside).config
    yield f"# Paths; settings are read from {config}"
    for name in SHOWN_PATHS:
        yield _line(name, environment.get(name, ""))
    yield "# Settings"
    service = {name for name in environment if name.startswith(pacs.PREFIX)}
    own = {name: text for name, text in environment.items() if name not in service}
    settings = read_settings(config, own).model_dump(mode="json")
    for name in Settings.declared(VARIABLE):
        yield _line(variable_of(name), settings[name])
    yield "# More"
    for name in NOT_OURS:
        if name != "MMCCD_DATA":  # of the tests
            yield _line(name, environment.get(name, ""))
    yield "# The service beside an archive (python -m mmccd.apps.pacs)"
    for name, declared in pacs.PacsSettings.declared(VARIABLE).items():
        variable = variable_of(name, pacs.PREFIX)
        yield _line(variable, environment.get(variable) or declared.default)


def _line(name: str, value: object) -> str:
    text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    secret = any(word in name for word in CREDENTIALS) and not name.endswith("_FILE")
    if text and (secret or "@" in text.partition("://")[2]):
        text = HIDDEN
    return f"{name}={text}"


def main(words: list[str], environment: Mapping[str, str]) -> int:
    """Run a command.

    Args:
        words: its name.
        environment: variables of the process.

    Returns:
        The exit code.
    """
    if words == ["help"]:
        sys.stdout.write(help_text())
        return 0
    try:
        lines = list(env_lines(environment, APPLICATION / "app.yaml"))
    except MmccdError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
