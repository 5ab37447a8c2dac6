"""What the command lines of trainings from packs share."""

from __future__ import annotations

import argparse
import logging
import re
import shlex
import signal
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import monai
import torch

import mmccd
from mmccd.core import MmccdError
from mmccd.models import choose_device, choose_precision
from mmccd.training.budget import BudgetTrainer

_PATH = re.compile(r"(^|[=@])(/[^@=]+)")


def add_budget_options(
    parser: argparse.ArgumentParser, learning_rate: float = 6e-4, batch_size: int = 96
) -> None:
    """Options of :class:`~mmccd.training.budget.Budget`, and what the card says of the data."""
    parser.add_argument("--seconds", type=float, default=540.0, help="time budget in all")
    parser.add_argument("--iterations", type=int, help="budget in iterations instead of seconds")
    parser.add_argument("--batch_size", type=int, default=batch_size)
    parser.add_argument("--learning_rate", type=float, default=learning_rate)
    parser.add_argument("--warmup", type=int, default=200, help="iterations of rising rate")
    parser.add_argument("--real_share", type=float, default=0.2)
    parser.add_argument("--scan_share", type=float, default=0.35)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto", choices=("auto", "fp32", "bf16"))
    parser.add_argument("--compile", action="store_true", help="compile the networks (on a GPU)")
    parser.add_argument("--data", default="", help="for the card: what the pack was made of")
    parser.add_argument("--licence", default="", help="for the card")
    parser.add_argument("--research", action="store_true", help="for the card: may not ship")


def budget_of(options: Namespace) -> dict[str, Any]:
    """Fields of :class:`~mmccd.training.budget.Budget`, and the shares of real and of scan
    slices.
    """
    names = ("seconds", "iterations", "batch_size", "learning_rate", "warmup", "seed")
    shares = ("real_share", "scan_share")
    device = choose_device(options.device)
    return {
        **{name: getattr(options, name) for name in (*names, *shares)},
        "precision": choose_precision(options.precision, device),
        "compile": options.compile,
    }


def card_of_run(program: str, options: Namespace, device: torch.device) -> dict[str, Any]:
    """Of a card: what was run, where, on what, and what may be done with it.

    Args:
        program: as it is started.
        options: of its command line; ``words`` are the command line itself.
        device: where it ran.
    """
    return {
        "data": options.data,
        "licence": options.licence,
        "device": str(device),
        "command": f"{program} " + shlex.join(without_paths(options.words)),
        "versions": {
            "mmccd": mmccd.__version__,
            "torch": torch.__version__,
            "monai": monai.__version__,
        },
        "research_only": options.research,
    }


def run_command(
    parser: argparse.ArgumentParser,
    arguments: Sequence[str] | None,
    command: Callable[[Namespace], None],
) -> int:
    """Parse a command line and do what it says; an error is one line.

    Args:
        parser: of the options; they get the ``words`` of the command line, too.
        arguments: those words; None: the process's own.
        command: what to do.

    Returns:
        The exit code.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    words = sys.argv[1:] if arguments is None else list(arguments)
    options = parser.parse_args(words, Namespace(words=words))
    try:
        command(options)
    except MmccdError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


@contextmanager
def stopping_at_sigterm(trainer: BudgetTrainer) -> Iterator[None]:
    """SIGTERM ends the training early; what it reached is written."""
    before = signal.signal(signal.SIGTERM, lambda *_: trainer.stop())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def without_paths(words: list[str]) -> list[str]:
    """Absolute paths of this machine shortened to their last part, also behind ``NAME=`` and
    ``@``.
    """
    return [_PATH.sub(lambda found: found[1] + Path(found[2]).name, word) for word in words]
