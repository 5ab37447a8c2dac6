"""Machines that docs/benchmarks.md documents, as data, and another one beside them.

machines.json is made of the figures that the documentation holds:

python -m mmccd.benchmark.machines docs/benchmarks/*.json > app/mmccd/benchmark/machines.json
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Machine:
    """What was measured on one machine, with its quicker precision.

    Attributes:
        name: the GPU where one was measured, else processor, instructions and cores.
        load_before: number of processes that ran or waited before the run, mean over a minute;
            None where the system does not tell.
        precision: ``bf16`` where it was the quicker one, else ``fp32``.
        peak_gflops: of a product of square matrices in that precision.
        ms_per_pass: of f and g together, in batches of 16.
    """

    name: str
    load_before: float | None
    precision: str
    peak_gflops: float
    ms_per_pass: float

    @classmethod
    def of(cls, figures: dict[str, Any]) -> Machine:
        """Of the figures of a run."""
        machine, networks = figures["machine"], figures["networks"]
        passes: dict[str, float] = {}
        for row in networks["rows"]:
            passes[row["precision"]] = passes.get(row["precision"], 0.0) + row["ms_per_pass"]
        precision = min(passes, key=lambda name: passes[name])
        return cls(
            _name(machine),
            machine["load_before"],
            precision,
            networks["peak_gflops"][precision],
            round(passes[precision], 2),
        )

    @property
    def was_busy(self) -> bool:
        """Whether other work ran, so that the machine can do better than its figures."""
        return self.load_before is not None and self.load_before >= 1


def _name(machine: dict[str, Any]) -> str:
    """Short enough for a table in a terminal of 80 columns."""
    if machine["gpu"]:
        return str(machine["gpu"])
    maker = re.sub(r"\((?:R|TM)\)|\bProcessor\b|\bCPU\b|@.*", "", machine["processor"])
    instructions = "AMX" if machine["amx"] else machine["instructions"]
    plural = "" if machine["cores"] == 1 else "s"
    return f"{' '.join(maker.split())}, {instructions}, {machine['cores']} core{plural}"


def documented_machines() -> list[Machine]:
    """Those of machines.json, the quickest first."""
    text = resources.files(__package__).joinpath("machines.json").read_text()
    return [Machine(**entry) for entry in json.loads(text)]


def as_json(paths: list[Path]) -> str:
    """What machines.json holds, from files of ``mmccd benchmark --output``."""
    machines = [Machine.of(json.loads(path.read_text())) for path in paths]
    machines.sort(key=lambda machine: machine.ms_per_pass)
    return json.dumps([asdict(machine) for machine in machines], indent=1) + "\n"


def main() -> None:
    """The command line."""
    sys.stdout.write(as_json([Path(word) for word in sys.argv[1:]]))


if __name__ == "__main__":
    main()
