"""The notebooks run from the first cell to the last, and hold no outputs in the repository."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest
from tests.conftest import PROJECT

NOTEBOOKS = sorted((PROJECT / "notebooks").glob("*.ipynb"))
SECONDS = 3600
"""Of a cell; a busy machine takes long."""


def test_there_are_two() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["predict_and_look", "train_on_phantoms"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
class TestNotebook:
    def test_is_clean(self, path: Path) -> None:
        """A valid notebook without outputs, whose first cell of code installs."""
        content: dict[str, Any] = json.loads(path.read_text())
        nbformat.validate(nbformat.from_dict(content))
        code = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
        assert all(not cell["outputs"] and cell["execution_count"] is None for cell in code)
        assert '"pip", "install"' in "".join(code[0]["source"])
        for cell in content["cells"]:
            for line in "".join(cell["source"]).splitlines():
                assert cell["cell_type"] == "markdown" or len(line) <= 100, line

    def test_has_words_for_its_parts(self, path: Path) -> None:
        content = json.loads(path.read_text())
        text = "".join("".join(cell["source"]) for cell in content["cells"])
        assert "Research use only, not a medical device." in text

    @pytest.mark.slow
    def test_runs(self, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MMCCD_NOTEBOOK_QUICK", "1")
        monkeypatch.setenv("MPLBACKEND", "agg")
        notebook = nbformat.read(path, as_version=4)
        client = nbclient.NotebookClient(
            notebook,
            timeout=SECONDS,
            kernel_name="python3",
            resources={"metadata": {"path": str(tmp_path)}},
        )
        client.execute()
        printed = "".join(
            output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", [])
        )
        assert {"predict_and_look": "report.html", "train_on_phantoms": "model.pt"}[
            path.stem
        ] in printed
