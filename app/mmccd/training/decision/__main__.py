"""``python -m mmccd.training.decision``: see docs/training.md."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mmccd.training.command_line import add_budget_options, run_command
from mmccd.training.decision.commands import PROGRAM, train


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=PROGRAM, description="Train the decision network.")
    parser.add_argument("--pack", type=Path, required=True, help="see mmccd.training.cycle pack")
    parser.add_argument("--output", type=Path, required=True, help="gets d.pt and its card")
    parser.add_argument("--source", default="flair")
    parser.add_argument("--target", default="t2", help="of the cycle whose x' d sees")
    parser.add_argument("--bundles", help="folder of the bundles with that cycle")
    parser.add_argument("--no_cycle", action="store_true", help="d sees x only")
    parser.add_argument("--veil_sd", type=float, default=0.5, help="of the cycle")
    parser.add_argument("--blind_share", type=float, default=0.33)
    parser.add_argument("--init", type=Path, help="weights to start from")
    parser.add_argument(
        "--validation",
        nargs="+",
        default=[],
        metavar="NAME=FOLDER[@SPLIT_FILE]",
        help="labelled cases to measure on (of a split file, its validation cases); the first"
        " set decides which weights are taken",
    )
    parser.add_argument("--per_case", type=int, default=6, help="slices measured of a case")
    parser.add_argument("--validate_every", type=int, default=500, help="iterations between")
    add_budget_options(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Train; the exit code."""
    return run_command(_parser(), arguments, train)


if __name__ == "__main__":
    sys.exit(main())
