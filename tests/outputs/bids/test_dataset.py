"""mmccd.outputs.bids.dataset: description, tables, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmccd.core import OutputError
from mmccd.outputs.bids.dataset import check_dataset, description, write_dataset, write_table


def test_the_raw_data_set_is_no_place(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="is the raw data set"):
        check_dataset(tmp_path / "x" / "..", tmp_path)


@pytest.mark.parametrize("made_by", [[{"Name": "fMRIPrep"}], [], None])
def test_nor_is_that_of_another_program(tmp_path: Path, made_by: object) -> None:
    content = {"Name": "x", "GeneratedBy": made_by}
    (tmp_path / "dataset_description.json").write_text(json.dumps(content))
    with pytest.raises(OutputError, match="fMRIPrep" if made_by else "somebody else"):
        check_dataset(tmp_path, tmp_path / "raw")


def test_ours_is(tmp_path: Path) -> None:
    write_dataset(tmp_path, tmp_path / "raw")
    check_dataset(tmp_path, tmp_path / "raw")


def test_what_is_known_of_the_raw_data(tmp_path: Path) -> None:
    known = {"Name": "MS", "DatasetDOI": "doi:10.1/2", "DatasetVersion": 3}
    (tmp_path / "dataset_description.json").write_text(json.dumps(known))
    found = description(tmp_path / "derivatives" / "mmccd", tmp_path)
    assert found["Name"] == "Anomaly segmentation of MS"
    assert found["SourceDatasets"] == [{"URL": "bids:raw:", "DOI": "doi:10.1/2"}]
    assert found["DatasetLinks"] == {"raw": "../.."}
    assert found["DatasetType"] == "derivative"


def test_a_table(tmp_path: Path) -> None:
    columns = {"a": {"Description": "one"}, "b": {"Description": "two", "Units": "mL"}}
    rows = [{"a": "x\ty", "b": 0.0}, {"a": None, "b": None, "c": 1}]
    write_table(tmp_path / "participants", rows, columns)
    assert (tmp_path / "participants.tsv").read_text() == "a\tb\nx y\t0.0\nn/a\tn/a\n"
    assert json.loads((tmp_path / "participants.json").read_text()) == columns
