"""mmccd.apps.cli.completion: what bash offers, asked of bash itself; zsh and fish where they are
installed.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from mmccd.apps.cli import cli
from mmccd.core import FLAG

ASK = """
source {script}
COMP_WORDS=({words})
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
function=$(complete -p mmccd | sed 's/.*-F \\([^ ]*\\).*/\\1/')
$function mmccd "${{COMP_WORDS[$COMP_CWORD]}}" "${{COMP_WORDS[$COMP_CWORD - 1]}}"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scripts")
    from mmccd.apps.cli.completion import script

    for shell in ("bash", "zsh", "fish"):
        (folder / shell).write_text(script(shell))
    return folder


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("mmccd pre", {"predict"}),
        ("mmccd d", {"demo", "datalist", "doctor"}),
        ("mmccd predict --pres", {"--preset"}),
        ("mmccd predict a.nii --preset f", {"full", "fast"}),
        ("mmccd evaluate --draw", {"--draws"}),
        ("mmccd completion z", {"zsh"}),
        ("mmccd doctor --js", {"--json"}),
    ],
)
def test_bash(scripts: Path, words: str, offered: set[str]) -> None:
    if shutil.which("bash") is None:
        pytest.skip("no bash here")
    found = subprocess.run(
        ["bash", "-c", ASK.format(script=scripts / "bash", words=words)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert {word.strip() for word in found.stdout.split()} == offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_command_and_flag(scripts: Path, shell: str) -> None:
    text = (scripts / shell).read_text()
    for name in cli.COMMANDS:
        assert name in text
        for argument in cli.form(name).arguments:
            assert argument.place != FLAG or argument.flag.removeprefix("--") in text


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_shell_reads_it(scripts: Path, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    subprocess.run([shell, "-n", str(scripts / shell)], check=True)


def test_command(capsys: pytest.CaptureFixture[str], scripts: Path) -> None:
    assert cli.run(["completion", "bash"]) == 0
    assert capsys.readouterr().out.strip() == (scripts / "bash").read_text().strip()
