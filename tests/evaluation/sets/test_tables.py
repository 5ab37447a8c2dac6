"""mmccd.evaluation.sets.tables: the one table, line by line."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

from mmccd.evaluation.sets.result import SetsResult
from mmccd.evaluation.sets.tables import sets_csv, sets_json, sets_latex, sets_markdown


def test_table(result: SetsResult) -> None:
    lines = sets_markdown(result).splitlines()
    assert "- HISTOGRAM: threshold 0.5, 2 % of the healthy voxels of chosen are above" in lines
    assert "- RULE: threshold 1.2, its own" in lines
    assert "- INTENSITY: no threshold of its own, and no validation set was named" in lines
    assert "- taken as healthy, without a label file: second/d" in lines
    start = lines.index("| Set | Case | true mL | HISTOGRAM | RULE | INTENSITY |")
    table = lines[start + 2 :]
    assert table[:2] == [
        "| first | a | 2.0 | .750, .500, 3.0 mL | .750, .250, 3.0 mL | .750, -, - |",
        "| first | b | 2.0 | .750, .250, 3.0 mL | .750, .250, 3.0 mL | .750, -, - |",
    ]
    assert table[2].startswith(
        "| **first** | **mean of 2 with a lesion** | 2.0 |"
        " .750 [.750, .750], .375 [.250, .500], 3.0 [3.0, 3.0] mL | "
    )
    assert table[2].endswith(" .750 [.750, .750], -, - |")
    assert table[3] == (
        "| **first** | **lesion by lesion** |  |"
        " recall .500 [.500, .500], precision .250 [.250, .250] |"
        " recall .500 [.500, .500], precision .250 [.250, .250] | recall -, precision - |"
    )
    assert table[5:8] == [
        "| second | d | healthy | 0.5 mL | 0.0 mL | - |",
        (
            "| **second** | **mean of 1 with a lesion** | 2.0 | .750, .750, 3.0 mL |"
            " .750, 1.00, 3.0 mL | .750, -, - |"
        ),
        "| **second** | **mean of 1 healthy** | healthy | 0.5 mL | 0.0 mL | - |",
    ]
    assert table[9].startswith("| **all** | **mean of 3 with a lesion** | 2.0 | .750 [")
    columns = lines[start].count("|")
    assert {line.count("|") for line in lines[start : start + 14]} == {columns}


def test_differences(result: SetsResult) -> None:
    lines = sets_markdown(result).splitlines()
    assert "HISTOGRAM minus RULE, case by case." in lines
    assert lines[-3:-1] == [
        "| first | +0.125 [+0.000, +0.250] | 1 of 2 |",
        "| second | -0.250 | 0 of 1 |",
    ]
    assert lines[-1].startswith("| all | +0.000 [")
    assert lines[-1].endswith("] | 1 of 3 |")
    alone = replace(result, methods=[result.methods[1]])
    assert "minus" not in sets_markdown(alone)


def test_csv(result: SetsResult) -> None:
    lines = list(csv.DictReader(io.StringIO(sets_csv(result))))
    assert len(lines) == 3 * 4
    assert [line["method"] for line in lines[::4]] == ["histogram", "rule", "intensity"]
    first, healthy = lines[0], lines[3]
    assert (first["set"], first["case"], first["kind"], first["dice"]) == (
        "first",
        "a",
        "lesion",
        "0.5",
    )
    assert [first[key] for key in ("lesions", "lesions_found", "marks", "marks_right")] == [*"2141"]
    assert (healthy["kind"], healthy["dice"], healthy["marked_ml"]) == ("healthy", "", "0.5")


def test_json(result: SetsResult) -> None:
    content = json.loads(json.dumps(sets_json(result), allow_nan=False))
    assert content["sets"][1] == {
        "set": "second",
        "cases": 2,
        "with_lesion": 1,
        "healthy": 1,
        "without_label": ["d"],
        "left_out": [],
    }
    assert [one["threshold_from"] for one in content["methods"]] == ["healthy", "own", "none"]
    assert [one["set"] for one in content["summaries"][::3]] == ["first", "second", None]
    assert content["summaries"][2]["dice"] == {"value": None, "interval_95": []}
    assert [one["ahead"] for one in content["difference_to_rule"]] == [1, 0, 1]
    assert len(content["cases"]) == 12
    assert (content["preset"], content["validation"]) == ("fast", "chosen")


def test_means(result: SetsResult) -> None:
    """The second table of the page, and all of the one for LaTeX."""
    lines = sets_markdown(result).splitlines()
    start = lines.index(
        "| Set | Method | AUPRC | Dice | mL marked, lesion | mL marked, healthy | Lesion recall |"
        " Lesion precision |"
    )
    assert lines[start + 2 + 3 * 3] == ""
    assert lines[start + 2] == (
        "| first | HISTOGRAM | .750 [.750, .750] | .375 [.250, .500] | 3.0 [3.0, 3.0] | - |"
        " .500 [.500, .500] | .250 [.250, .250] |"
    )
    latex = sets_latex(result)
    assert r"first & HISTOGRAM & .750 [.750, .750] & .375 [.250, .500]" in latex
    assert latex.startswith("% needs \\usepackage{booktabs}\n\\begin{table}")


def test_a_row_for_each_operating_point(result: SetsResult) -> None:
    first = result.methods[0]
    choices = [replace(first.choice, point=point) for point in ("balanced", "sensitive")]
    methods = [
        replace(
            first,
            choice=choice,
            cases=[replace(case, method=f"histogram@{choice.point}") for case in first.cases],
        )
        for choice in choices
    ]
    found = replace(result, methods=[*methods, *result.methods[1:]])
    text = sets_markdown(found)
    assert "- HISTOGRAM, sensitive: threshold 0.5, 1 % of the healthy voxels" in text
    assert "HISTOGRAM, balanced minus RULE, case by case." in text
    listed = [(one["method"], one["operating_point"]) for one in sets_json(found)["methods"]]
    assert listed[:2] == [("histogram@balanced", "balanced"), ("histogram@sensitive", "sensitive")]
