"""mmccd.benchmark.machines: what the documentation has measured, and another machine beside it."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import PROJECT

from mmccd.benchmark.machines import Machine, as_json, documented_machines
from mmccd.benchmark.report import as_markdown, as_text

STORED = sorted((PROJECT / "docs" / "benchmarks").glob("*.json"))
AMX = PROJECT / "docs" / "benchmarks" / "machine_amx.json"


@pytest.fixture
def figures() -> dict[str, Any]:
    """Of the machine with AMX; to be changed."""
    return json.loads(AMX.read_text())


def test_the_data_are_those_of_the_documentation() -> None:
    text = resources.files("mmccd.benchmark").joinpath("machines.json").read_text()
    assert text == as_json(STORED), "run the command at the head of mmccd/benchmark/machines.py"
    assert len(documented_machines()) == len(STORED) >= 2


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_each_machine_has_a_row_in_the_page(path: Path) -> None:
    page = (PROJECT / "docs" / "benchmarks.md").read_text().splitlines()
    (row,) = (line for line in page if f"({path.relative_to(PROJECT / 'docs')}) |" in line)
    machine = Machine.of(json.loads(path.read_text()))
    assert f"| {machine.load_before:.2f} |" in row
    assert f"{machine.peak_gflops:.0f} in {machine.precision}" in row
    assert f"{machine.ms_per_pass:.1f} in {machine.precision}" in row


def test_the_quicker_precision_counts(figures: dict[str, Any]) -> None:
    machine = Machine.of(figures)
    assert (machine.precision, machine.peak_gflops) == ("bf16", 1993.9)
    assert machine.ms_per_pass == pytest.approx(3.65 + 4.23)
    for row in figures["networks"]["rows"]:
        row["ms_per_pass"] *= 10 if row["precision"] == "bf16" else 1
    assert Machine.of(figures).precision == "fp32"


def test_a_gpu_gives_the_name(figures: dict[str, Any]) -> None:
    assert Machine.of(figures).name == "Intel Xeon, AMX, 2 cores"
    figures["machine"]["gpu"] = "NVIDIA H100"
    assert Machine.of(figures).name == "NVIDIA H100"


@pytest.mark.parametrize(("load", "busy"), [(0.4, False), (1.0, True), (None, False)])
def test_busy(figures: dict[str, Any], load: float | None, busy: bool) -> None:
    figures["machine"]["load_before"] = load
    assert Machine.of(figures).was_busy is busy


def rows(text: str) -> list[str]:
    """Of the table of machines."""
    block = text[text.index("Beside the machines") :].split("\n\n")[0]
    return block.splitlines()[2:]


def test_this_machine_stands_among_the_others(figures: dict[str, Any]) -> None:
    """By its pace; the others say how much quicker or slower it is."""
    for row in figures["networks"]["rows"]:
        row["ms_per_pass"] = 10.0
    figures["machine"] |= {"load_before": 3.5, "processor": "A New One"}
    first, here, last = rows(as_text(figures))
    assert "Xeon" in first and "2.5x slower" in first, "20 / 7.88 ms"
    assert here.strip().startswith("this one") and here.endswith(" 3.5*")
    assert "quicker" not in here and "slower" not in here
    assert "AVX2" in last and "1.9x quicker" in last, "37.71 / 20 ms"
    assert "| this one |" in as_markdown(figures)
    assert max(map(len, rows(as_text(figures)))) <= 80


@pytest.mark.parametrize(
    ("processor", "name"),
    [
        ("Intel(R) Core(TM) i7-1185G7 CPU @ 3.00GHz", "Intel Core i7-1185G7, AVX512, 1 core"),
        ("AMD Ryzen 9 5950X 16-Core Processor", "AMD Ryzen 9 5950X 16-Core, AVX512, 1 core"),
        ("arm", "arm, AVX512, 1 core"),
    ],
)
def test_names_of_processors(figures: dict[str, Any], processor: str, name: str) -> None:
    figures["machine"] |= {"processor": processor, "amx": False, "cores": 1}
    assert Machine.of(figures).name == name


def test_a_documented_machine_stands_there_once(figures: dict[str, Any]) -> None:
    lines = rows(as_text(figures))
    assert len(lines) == len(STORED)
    assert sum("this one" in line.split("  ")[1] for line in lines) == 1


def test_machines_are_sorted() -> None:
    assert as_json(STORED) == as_json(STORED[::-1])
    quickest, *others = documented_machines()
    assert all(quickest.ms_per_pass <= other.ms_per_pass for other in others)
