"""``python -m mmccd.training.cycle pack|train``: see docs/training.md."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mmccd.training.command_line import add_budget_options, run_command
from mmccd.training.cycle.commands import pack, train


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m mmccd.training.cycle", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="pack|train")
    one = commands.add_parser("pack", help="bring training data into small files")
    one.set_defaults(command=pack)
    one.add_argument("--output", type=Path, required=True, help="folder of the pack")
    one.add_argument(
        "--maps",
        nargs="+",
        metavar="FOLDER:SLICES[:LEFT_OUT]",
        help="label maps, slices of each, and how many of the last ones to leave out",
    )
    one.add_argument(
        "--scans",
        nargs=2,
        metavar=("IMAGES", "FOLDER:SLICES[:LEFT_OUT]"),
        help="T1 scans, the folder of their label maps, slices of each, and how many of the last"
        " maps to leave out",
    )
    one.add_argument("--cases", type=Path, help="data folder of real pairs")
    one.add_argument("--split_file", type=Path, help="its training split is taken")
    one.add_argument("--names", nargs="+", help="these cases instead of a split")
    one.add_argument("--source", default="flair")
    one.add_argument("--target", default="t2")
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--processes", type=int, default=1)
    two = commands.add_parser("train", help="train f and g")
    two.set_defaults(command=train)
    two.add_argument("--pack", type=Path, required=True, help="folder that 'pack' made")
    two.add_argument("--output", type=Path, required=True, help="gets f.pt, g.pt and their cards")
    two.add_argument("--source", default="flair")
    two.add_argument("--target", default="t2")
    two.add_argument("--networks", nargs="+", choices=("f", "g"), default=("f", "g"))
    two.add_argument("--factor", type=int, default=2, help="space-to-depth")
    two.add_argument("--channels", type=int, nargs="+", default=(64, 128, 192))
    add_budget_options(two)
    two.add_argument("--init_f", type=Path, help="weights to start f from")
    two.add_argument("--init_g", type=Path, help="weights to start g from")
    two.add_argument("--through", type=Path, help="a trained f, where g is trained alone")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the two; the exit code."""
    return run_command(_parser(), arguments, lambda options: options.command(options))


if __name__ == "__main__":
    sys.exit(main())
