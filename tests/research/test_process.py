"""mmccd.research.process: a training is watched, and ends with us."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from mmccd.core import Console, InputError
from mmccd.research.process import epochs_done, run_training


class Interrupting(Console):
    """Ctrl-C at the first sign of life."""

    def progress(self, done: int, total: int) -> None:
        raise KeyboardInterrupt


def run(folder: Path, program: str, console: Console | None = None) -> None:
    words = [sys.executable, "-c", program]
    log, record = folder / "logs" / "one.txt", folder / "training.json"
    run_training(words, folder, log, record, 2, console or Console())


def test_what_it_says_is_kept(tmp_path: Path) -> None:
    run(tmp_path, "print('first')")
    run(tmp_path, "print('second')")
    assert (tmp_path / "logs" / "one.txt").read_text().split() == ["first", "second"]


def test_a_failure_has_its_last_line_and_exit_code(tmp_path: Path) -> None:
    run(tmp_path, "print('fine')")
    program = "import sys; print('many lines'); print('no such image'); sys.exit(3)"
    with pytest.raises(InputError, match=r"exit 3\): no such image; .*one\.txt") as found:
        run(tmp_path, program)
    assert found.value.code == "study.training"


def test_ctrl_c_ends_it(tmp_path: Path) -> None:
    program = "import time; time.sleep(60); open('survived', 'w')"
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, program, Interrupting())
    assert not (tmp_path / "survived").exists()


def test_epochs(tmp_path: Path) -> None:
    record = tmp_path / "training.json"
    assert epochs_done(record) == 0
    record.write_text(json.dumps({"epochs": 3}))
    assert epochs_done(record) == 3
