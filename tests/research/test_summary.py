"""mmccd.research.summary: one table over presets and seeds."""

from __future__ import annotations

import json
from pathlib import Path

from mmccd.research.summary import FIGURES, write_summary


def write(path: Path, dice: float | None) -> Path:
    """A file of one method on one set; all other figures are 1."""
    values = {name: {"value": 1.0} for name in FIGURES} | {"dice": {"value": dice}}
    content = {
        "methods": [{"method": "rule", "title": "The rule"}],
        "summaries": [{"set": None, "method": "rule", **values}],
    }
    path.write_text(json.dumps(content))
    return path


def test_seeds_become_mean_and_spread(tmp_path: Path) -> None:
    tables = {
        "fast": [write(tmp_path / "0.json", 0.5), write(tmp_path / "1.json", 0.7)],
        "full": [write(tmp_path / "2.json", None)],
    }
    write_summary(tmp_path, tables)
    rows = (tmp_path / "summary.md").read_text().splitlines()[-2:]
    assert rows[0].startswith("| fast | all | The rule | 1.000 ± 0.000 | 0.600 ± 0.141 |")
    assert rows[1].startswith("| full | all | The rule | 1.000 | - |")
    assert "0.600 $\\pm$ 0.141" in (tmp_path / "summary.tex").read_text()
