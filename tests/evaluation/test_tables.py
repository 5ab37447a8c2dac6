"""mmccd.evaluation.tables: what the rows look like on paper."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmccd.evaluation.bootstrap import Samples, rank_counts
from mmccd.evaluation.candidates import Candidate
from mmccd.evaluation.protocols import Judgement
from mmccd.evaluation.returned import ReturnedFigure, ReturnedImages
from mmccd.evaluation.tables import (
    TableRow,
    difference_markdown,
    gain_markdown,
    grid_markdown,
    markdown,
    per_case_csv,
    returned_json,
    returned_markdown,
    row_json,
)
from mmccd.evaluation.variants import Variant
from mmccd.imaging.normalisation import Normalisation
from mmccd.methods.base import Context
from mmccd.methods.registry import find_method
from mmccd.postprocessing.settings import Postprocessing

THRESHOLDS = {"validation": 0.7, "best_of_100": 0.6}
SAMPLES = Samples(rank_counts([np.array([True, False])], [np.array([1.0, 0.0])]))


def make_row(
    name: str = "dae",
    variant: str = "none",
    polarity: int = 1,
    thresholds: dict[str, float] | None = None,
    **changes: Any,
) -> TableRow:
    figures = {
        "auprc": 0.5,
        "auroc": 0.75,
        "dice_at_validation_threshold": 0.25,
        "dice_at_validation_threshold_sd": 0.125,
        "best_possible_dice": math.nan,
        "best_possible_dice_mean": 1.0,
        "best_possible_dice_sd": 0.0,
        "auroc_with_background": 0.9,
    }
    for threshold in ("best_of_100", "validation"):
        for number, key in enumerate(("dice", "jaccard", "precision", "recall", "assd_mm")):
            figures[f"{key}_at_{threshold}_threshold_mean"] = 0.1 * number + (
                0.05 if threshold == "validation" else 0.0
            )
    cases = [{"case": "a", "auprc": 0.5}, {"case": "b", "auprc": math.nan}]
    method = find_method(name.partition(":")[0])()
    source = "t1" if name == "intensity" else "flair"
    candidate = Candidate(
        name, name.upper(), method, Context(source), Normalisation(), {"method": name}
    )
    row = Judgement({**figures, **changes}, thresholds or THRESHOLDS, cases, SAMPLES)
    chosen, interval = Variant(variant, Postprocessing()), {"auprc": [0.4, 0.6]}
    return TableRow(candidate, chosen, polarity, row, 0.25, intervals=interval)


def test_slice_table() -> None:
    header, rule, line = markdown("slice", [make_row()]).splitlines()
    assert header.startswith("| Method | post-processing | AUPRC (pooled) |")
    assert header.count("|") == rule.count("|") == line.count("|")
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells == [
        "DAE",
        "none",
        ".500 [.400, .600]",
        ".750",
        ".250",
        ".050 ± .125",
        "-",
        "1.00 ± .000",
    ]


def test_papers_table_names_both_thresholds() -> None:
    text = markdown("paper", [make_row()])
    first, second = text.split("Threshold: ")[1:]
    assert first.startswith("best of 100 levels on the reported cases themselves")
    assert second.startswith("best pooled Dice on the validation cases")
    assert (
        "| Method | post-processing | Dice | AUC | Jaccard | Precision | Recall | ASSD (mm) |"
        in first
    )
    assert "| DAE | none | .000 | .900 | .100 | .200 | .300 | .400 |" in first
    assert "| DAE | none | .050 ± .125 | .900 | .150 | .250 | .350 | .450 |" in second


def test_own_threshold_stands_where_a_method_has_one() -> None:
    """Rows without it have none; a table without such a row has no column for it."""
    own = {"dice_at_own_threshold": 0.375}
    lines = markdown("slice", [make_row(), make_row("rule", **own)]).splitlines()
    column = [cell.strip() for cell in lines[0].split("|")].index("Dice at own threshold (pooled)")
    assert [line.split("|")[column].strip() for line in lines[2:]] == ["-", ".375"]
    assert "own threshold" not in markdown("slice", [make_row()])


def test_lesions_in_every_table() -> None:
    """At each threshold that has a Dice; with their interval."""
    figures = {
        f"lesion_{figure}_at_{name}_threshold": value
        for name in ("validation", "healthy", "own", "best_of_100")
        for figure, value in (("recall", 0.8), ("precision", 0.25))
    }
    row = make_row("rule", thresholds={**THRESHOLDS, "own": 1.2}, **figures)
    row.intervals["lesion_recall_at_own_threshold"] = [0.7, 0.9]
    header, _, line = markdown("strict", [row]).splitlines()
    for name in ("validation", "healthy-only", "own"):
        for figure in ("recall", "precision"):
            assert f"| lesion {figure} at {name} threshold |" in header
    assert "| .800 [.700, .900] | .250 |" in line
    assert "lesion recall at own threshold" in markdown("slice", [row])
    assert markdown("paper", [row]).count("| Lesion recall | Lesion precision |") == 3
    assert "lesion" not in markdown("strict", [make_row()]).lower()


def test_papers_table_at_own_thresholds() -> None:
    figures = {
        f"{key}_at_own_threshold_mean": 0.5
        for key in ("dice", "jaccard", "precision", "recall", "assd_mm")
    }
    rule = make_row("rule", thresholds={**THRESHOLDS, "own": 1.2}, **figures)
    third = markdown("paper", [make_row(), rule]).split("Threshold: ")[3]
    assert third.startswith("the method's own")
    assert "RULE" in third
    assert "DAE" not in third


@pytest.mark.parametrize(("polarity", "side"), [(1, "bright"), (-1, "dark")])
def test_side_is_told_where_there_was_a_choice(polarity: int, side: str) -> None:
    assert make_row("intensity", polarity=polarity).title == f"INTENSITY, {side}"
    assert make_row("dae").title == "DAE"
    assert row_json(make_row("intensity", polarity=polarity))["anomalous"] == side


def test_differences_to_the_first_method() -> None:
    assert difference_markdown([make_row(), make_row(variant="median")]) == "", "one method only"
    gain = {"auprc": {"mean": 0.05, "interval": [-0.01, 0.11], "share_better": 0.9}}
    text = difference_markdown([make_row("intensity"), replace(make_row("dae"), differences=gain)])
    assert text.startswith("Difference to INTENSITY, bright with the same post-processing")
    assert text.splitlines()[-1] == "| DAE | none | +0.050 [-0.010, +0.110], 0.90 | - | - |"


def test_gain_over_the_constant() -> None:
    gain = {"auprc": {"mean": 0.05, "interval": [-0.01, 0.11], "share_better": 0.9}}
    rows = [replace(make_row("dae"), gains=gain), make_row("constant")]
    text = gain_markdown(rows)
    assert text.startswith("Gain over the constant with the same post-processing")
    assert text.splitlines()[-1] == "| DAE | none | +0.050 [-0.010, +0.110], 0.90 | - | - |"
    assert gain_markdown(rows[::-1]) == "", "the first row is what all are compared with anyway"
    assert gain_markdown([make_row("dae")]) == "", "no row of a constant"
    assert row_json(rows[0])["gain_over_constant"] == gain


def returned(correlation: float, removal: float = math.nan) -> ReturnedImages:
    figures = {
        "correlation": ReturnedFigure(correlation, [0.0, 0.5], 2),
        "spread": ReturnedFigure(0.5, [0.25, 0.75], 2),
        "error": ReturnedFigure(1.5, [1.0, 2.0], 2),
        "removal": ReturnedFigure(removal, [], 0),
    }
    cases = {
        name: {"correlation": value, "spread": 0.5, "error": 1.5, "removal": math.nan}
        for name, value in (("a", correlation), ("b", math.nan))
    }
    return ReturnedImages(figures, cases)


def test_returned_images() -> None:
    """A line for each method, whatever the post-processing; none without such an image."""
    dae = [replace(make_row("dae", name), returned=returned(0.25)) for name in ("none", "median")]
    rows = [make_row("rule"), *dae, replace(make_row("constant"), returned=returned(0.0, 1.0))]
    lines = returned_markdown(rows).splitlines()
    assert lines[0].startswith("The returned image: ")
    assert lines[2:] == [
        "| Method | correlation | spread | error | removal |",
        "|---|---|---|---|---|",
        "| DAE | .250 [.000, .500] | .500 [.250, .750] | 1.50 [1.00, 2.00] | - |",
        "| CONSTANT | .000 [.000, .500] | .500 [.250, .750] | 1.50 [1.00, 2.00] | 1.00 |",
    ]
    assert returned_markdown([make_row("rule")]) == ""


def test_returned_images_for_a_card() -> None:
    content = returned_json([make_row("rule"), replace(make_row("dae"), returned=returned(0.25))])
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    assert list(content) == ["dae"]
    assert content["dae"]["correlation"] == {
        "mean": 0.25,
        "interval_95": [0.0, 0.5],
        "cases": 2,
    }
    assert content["dae"]["removal"] == {"mean": None, "interval_95": [], "cases": 0}


def test_returned_images_of_each_case() -> None:
    rows = [make_row("rule"), replace(make_row("dae"), returned=returned(0.25))]
    lines = list(csv.DictReader(io.StringIO(per_case_csv(rows))))
    assert [line["returned_correlation"] for line in lines] == ["", "", "0.25", ""]


def test_grid_over_two_settings() -> None:
    rows = [
        make_row(f"mmccd:steps={steps}:stride={stride}", auprc=steps / 10 + stride / 1000)
        for steps in (1, 2)
        for stride in (16, 8)
    ]
    lines = grid_markdown(rows).splitlines()
    assert lines[2:] == [
        "| steps \\ stride | 8 | 16 |",
        "|---|---|---|",
        "| 1 | .108 (0.25) | .116 (0.25) |",
        "| 2 | .208 (0.25) | .216 (0.25) |",
    ]
    more = grid_markdown([*rows, make_row("constant", auprc=0.125)]).splitlines()
    assert more[: len(lines)] == lines
    assert more[-1] == "| CONSTANT | none | .125 [.400, .600] |"


def test_grid_over_one_setting_is_a_list() -> None:
    text = grid_markdown([make_row("mmccd:steps=1"), make_row("mmccd:steps=2")])
    assert len(text.splitlines()) == 4


def test_cases_as_csv() -> None:
    lines = list(csv.DictReader(io.StringIO(per_case_csv([make_row(), make_row("ae", "median")]))))
    assert [
        (line["method"], line["postprocessing"], line["case"], line["auprc"]) for line in lines
    ] == [
        ("dae", "none", "a", "0.5"),
        ("dae", "none", "b", ""),
        ("ae", "median", "a", "0.5"),
        ("ae", "median", "b", ""),
    ]


def test_cases_with_more_figures_than_others() -> None:
    plain, own = make_row(), make_row("rule")
    own.judgement.cases[0]["dice_at_own_threshold"] = 0.5
    lines = list(csv.DictReader(io.StringIO(per_case_csv([plain, own]))))
    assert [line["dice_at_own_threshold"] for line in lines] == ["", "", "0.5", ""]


def test_json_has_null_for_what_does_not_exist(tmp_path: Path) -> None:
    content = json.loads(json.dumps(row_json(make_row()), allow_nan=False))
    assert content["figures"]["best_possible_dice"] is None
    assert (content["figures"]["auprc"], content["thresholds"]) == (0.5, THRESHOLDS)
    assert content["postprocessing"] == {
        "name": "none",
        "median_size": 1,
        "min_component_ml": 0.0,
        "units": "error",
        "across_mm": 0.0,
        "erosion_pixels": 0,
    }
