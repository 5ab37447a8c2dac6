"""The figures as text, as Markdown tables, as a plot, and beside those of another run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from mmccd.benchmark.machines import Machine, documented_machines
from mmccd.core import PHASES, OutputError, make_folder

Table = tuple[str, list[str], list[list[str]]]
LARGEST_CHANGE = 0.2
_AXES = (
    ("strips", "strips"),
    ("steps", "sampling steps"),
    ("slices", "slices"),
    ("batch_size", "images a batch"),
)
_STAGES = (*PHASES, "total")
_ONCE = ("start", "load")
"""What a process does once, however many volumes it gets."""


def tables(figures: dict[str, Any], cohort: int | None = None) -> list[Table]:
    """(title, header, rows) of each part.

    Args:
        figures: of a run.
        cohort: of so many volumes the time is told, too.
    """
    return [
        _machine(figures),
        _beside(figures),
        _networks(figures),
        _loops(figures),
        _volumes(figures),
        *([_cohort(figures, cohort)] if cohort is not None else []),
        _sweep(figures),
    ]


def _machine(figures: dict[str, Any]) -> Table:
    machine, peaks = figures["machine"], figures["networks"]["peak_gflops"]
    bf16 = f"{peaks['bf16']:g} GFLOP/s" if "bf16" in peaks else "emulated, not measured"
    rows = [
        [
            "processor",
            (
                f"{machine['processor']}"
                f" ({machine['instructions']}{', AMX' if machine['amx'] else ''})"
            ),
        ],
        ["cores, threads", f"{machine['cores']}, {machine['threads']}"],
        ["memory", f"{machine['memory_gib']:g} GiB"],
        ["device", f"{machine['device']}{' (' + machine['gpu'] + ')' if machine['gpu'] else ''}"],
        ["matrix product in fp32", f"{peaks['fp32']:g} GFLOP/s"],
        ["matrix product in bf16", bf16],
        ["load before the run", f"{machine['load_before']}"],
        ["PyTorch", figures["versions"]["torch"]],
    ]
    return "Machine", ["", ""], rows


def _beside(figures: dict[str, Any]) -> Table:
    """The machine and those that the documentation knows, the quickest first."""
    here = Machine.of(figures)
    others = [machine for machine in documented_machines() if machine != here]
    rows = [
        [
            "this one" if machine is here else machine.name,
            machine.precision,
            f"{machine.peak_gflops:.0f}",
            f"{machine.ms_per_pass:.1f}",
            "" if machine is here else _pace(machine.ms_per_pass / here.ms_per_pass),
            _load(machine),
        ]
        for machine in sorted([here, *others], key=lambda machine: machine.ms_per_pass)
    ]
    title = (
        "Beside the machines of docs/benchmarks.md (ms: one slice through f and g;"
        " load*: other work ran, so it can do better)"
    )
    return title, ["machine", "with", "GFLOP/s", "ms", "this one is", "load"], rows


def _pace(ratio: float) -> str:
    """How much quicker, in words."""
    return f"{ratio:.1f}x quicker" if ratio >= 1 else f"{1 / ratio:.1f}x slower"


def _load(machine: Machine) -> str:
    """Of other work, marked where it counts."""
    if machine.load_before is None:
        return "unknown"
    return f"{machine.load_before:g}{'*' if machine.was_busy else ''}"


def _networks(figures: dict[str, Any]) -> Table:
    rows = [
        [
            row["network"],
            row["precision"],
            f"{row['gflop_per_pass']:.2f}",
            f"{row['ms_per_pass']:.1f}",
            f"{row['gflops']:.0f}",
            f"{row['share_of_peak']:.0%}",
        ]
        for row in figures["networks"]["rows"]
    ]
    return (
        "The networks, batches of 16",
        ["network", "precision", "GFLOP a pass", "ms a pass", "GFLOP/s", "of the matrix product"],
        rows,
    )


def _loops(figures: dict[str, Any]) -> Table:
    loops = figures["loops"]
    slowest = min(row["passes_per_s"] for row in loops["rows"])
    rows = [
        [
            row["network"],
            row["loop"],
            row["precision"],
            str(row["passes"]),
            f"{row['passes_per_s']:.1f}",
            f"{row['passes_per_s'] / slowest:.1f}",
        ]
        for row in sorted(loops["rows"], key=lambda row: row["passes_per_s"])
    ]
    title = (
        "Passes a second (largest difference of the maps of loop and cycle:"
        f" {loops['largest_difference']:.0e} of the maximum)"
    )
    return title, ["network", "loop", "precision", "passes", "passes/s", "times the slowest"], rows


def _volumes(figures: dict[str, Any]) -> Table:
    volumes, full = figures["volumes"], figures["full"]
    rows = [
        [
            volume["preset"],
            f"{volume['device']}, {volume['precision']}",
            *(_seconds(volume["seconds"], stage) for stage in _STAGES),
            f"{volume['peak_memory_gib']:.1f}",
        ]
        for volume in volumes
    ]
    rows.append(
        [
            "full (extrapolated, not run)",
            full["precision"],
            *(f"{full['hours']:g} h" if stage == "cycle" else "" for stage in _STAGES),
            "",
        ]
    )
    shape = " x ".join(map(str, volumes[0]["shape"]))
    title = (
        f"A volume of {shape} voxels, {volumes[0]['slices_with_brain']} slices with brain; seconds,"
        " and GiB of memory at most"
    )
    return title, ["preset", "device", *_STAGES, "GiB"], rows


def _seconds(seconds: dict[str, float], stage: str) -> str:
    """Of a stage; nothing in figures of a version that did not tell it apart."""
    return f"{seconds[stage]:.1f}" if stage in seconds else ""


def _cohort(figures: dict[str, Any], count: int) -> Table:
    """The time of many volumes in one process, which starts and loads the models once."""
    rows = []
    for volume in figures["volumes"]:
        seconds = volume["seconds"]
        once = sum(seconds.get(stage, 0.0) for stage in _ONCE)
        each = seconds["total"] - once
        rows.append([volume["preset"], f"{each:.1f} s", _long(once + count * each)])
    slices = figures["volumes"][0]["slices_with_brain"]
    title = (
        f"A cohort of {count} such volumes, one process (mmccd predict FOLDER); other volumes take"
        f" about their share of {slices} slices with brain"
    )
    return title, ["preset", "each", "all"], rows


def _long(seconds: float) -> str:
    """Minutes, hours or days, as people say them."""
    for unit, length in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"


def _sweep(figures: dict[str, Any]) -> Table:
    rows = [
        [
            row["varied"].replace("_", " "),
            str(row["value"]),
            str(row["passes"]),
            f"{row['seconds']:.2f}",
            f"{1000 * row['seconds'] / row['passes']:.1f}",
            f"{row['peak_memory_gib']:.2f}",
        ]
        for row in figures["sweep"]
    ]
    return (
        "One thing varied at a time",
        ["varied", "value", "passes", "s", "ms a pass", "GiB at most"],
        rows,
    )


def as_markdown(figures: dict[str, Any], cohort: int | None = None) -> str:
    """The tables in Markdown; see :func:`tables`."""
    parts = []
    for title, header, rows in tables(figures, cohort):
        lines = [f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows)]
        parts.append("\n".join([f"**{title}**", "", *lines]))
    return "\n\n".join(parts)


def as_text(figures: dict[str, Any], cohort: int | None = None) -> str:
    """The tables for a terminal; see :func:`tables`."""
    parts = []
    for title, header, rows in tables(figures, cohort):
        body = [header, *rows] if any(header) else rows
        widths = [max(len(row[column]) for row in body) for column in range(len(header))]
        lines = [
            "  "
            + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in body
        ]
        parts.append("\n".join([title, *lines]))
    ratios = figures["loops"]["ratios"]
    parts.append(
        f"the cycle passes {ratios['cycle_to_loop']:.1f} times as many slices a second as a plain"
        f" loop over single masks, and {ratios['cycle_to_paper_loop']:.1f} times as many as that"
        " loop with the paper's network"
    )
    return "\n\n".join(parts)


def compare(new: dict[str, Any], old: dict[str, Any]) -> tuple[str, bool]:
    """Ratios of a run beside those of another; only what does not depend on the machine's pace.

    Args:
        new: figures.
        old: those to compare with.

    Returns:
        (text, whether one changed for the worse by more than 20 %).
    """
    pairs = [
        (name, value, old["loops"]["ratios"].get(name))
        for name, value in new["loops"]["ratios"].items()
    ]
    before = {
        (row["network"], row["precision"]): row["share_of_peak"] for row in old["networks"]["rows"]
    }
    for row in new["networks"]["rows"]:
        name = (row["network"], row["precision"])
        pairs.append((f"share_of_peak {' '.join(name)}", row["share_of_peak"], before.get(name)))
    lines, worse = [], False
    for title, value, earlier in pairs:
        if earlier is None:
            lines.append(f"  {title:<24} {value:8.3f}   not in the other run")
            continue
        change = value / earlier - 1
        fell = change < -LARGEST_CHANGE
        worse = worse or fell
        lines.append(
            f"  {title:<24} {value:8.3f}   was {earlier:8.3f}  "
            f" {change:+.0%}{'   WARNING: worse by more than 20 %' if fell else ''}"
        )
    if new["machine"]["processor"] != old["machine"]["processor"]:
        lines.append(f"  the other run was on another processor: {old['machine']['processor']}")
    return "\n".join(["beside the other run", *lines]), worse


def plot_sweep(figures: dict[str, Any], path: Path) -> None:
    """Seconds (points and a line through the first and last one) and memory against what was
    varied, as PNG.
    """
    figure = Figure(figsize=(13, 3.4), layout="constrained")
    axes = figure.subplots(1, len(_AXES))
    for panel, (varied, label) in zip(axes, _AXES, strict=True):
        rows = [row for row in figures["sweep"] if row["varied"] == varied]
        values, seconds = [row["value"] for row in rows], [row["seconds"] for row in rows]
        panel.plot(values, seconds, "o-", color="tab:blue")
        if varied != "batch_size":
            _straight(panel, values, seconds)
        panel.set(xlabel=label, ylabel="s", ylim=(0, 1.15 * max(seconds)))
        memory = panel.twinx()
        memory.plot(
            values,
            [row["peak_memory_gib"] for row in rows],
            "s--",
            color="tab:orange",
            markersize=4,
        )
        memory.set(ylim=(0, 2 * max(row["peak_memory_gib"] for row in figures["sweep"])))
        memory.tick_params(axis="y", labelcolor="tab:orange")
        if panel is axes[-1]:
            memory.set_ylabel("peak memory, GiB", color="tab:orange")
    machine = figures["machine"]
    figure.suptitle(
        f"Time (blue) and peak memory (orange), {machine['processor']}, {machine['device']}, fp32",
        fontsize=10,
    )
    make_folder(path.parent)
    try:
        figure.savefig(path, dpi=110, format="png")
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror or error}); choose another --plot"
        ) from error


def _straight(panel: Any, values: Sequence[float], seconds: Sequence[float]) -> None:
    """A thin line from the first to the last point: where linear growth would lie."""
    panel.plot([values[0], values[-1]], [seconds[0], seconds[-1]], ":", color="grey", linewidth=1)
