"""mmccd.evaluation.sets.find: where data sets are, and who may choose thresholds for them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.evaluation.sets.conftest import MakeFolder

from mmccd.core.errors import InputError, UnsuitableInputError, UsageError
from mmccd.evaluation.sets.find import find_sets, find_validation


def write_list(path: Path, **groups: list[str]) -> Path:
    content = {
        group: [{"name": name, "flair": f"{name}.nii.gz"} for name in names]
        for group, names in groups.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def found(*words: Path) -> dict[str, list[str]]:
    return {
        one.name: [case.name for case in one.cases] for one in find_sets([str(w) for w in words])
    }


class TestSets:
    def test_folders_and_datalists(self, make_folder: MakeFolder, tmp_path: Path) -> None:
        """Every case of each, whatever split it is in; a datalist of the usual name is called as
        its folder.
        """
        folder = make_folder("ms", "b", "a")
        named = write_list(tmp_path / "lists" / "old.json", training=["x"], test=["y"])
        usual = write_list(tmp_path / "young" / "datalist.json", validation=["z"])
        assert found(named, folder, usual) == {"old": ["x", "y"], "ms": ["a", "b"], "young": ["z"]}

    def test_a_folder_of_data_sets(self, make_folder: MakeFolder, tmp_path: Path) -> None:
        """By name; what holds neither cases nor a datalist is passed over."""
        make_folder("all/ms", "a")
        make_folder("all/gliomas", "b")
        write_list(tmp_path / "all" / "healthy" / "datalist.json", test=["c"])
        (tmp_path / "all" / "notes").mkdir()
        assert found(tmp_path / "all") == {"gliomas": ["b"], "healthy": ["c"], "ms": ["a"]}

    def test_a_folder_with_a_datalist_alone(self, tmp_path: Path) -> None:
        write_list(tmp_path / "one" / "datalist.json", test=["c"])
        assert found(tmp_path / "one") == {"one": ["c"]}

    def test_two_of_one_name(self, make_folder: MakeFolder) -> None:
        first, second = make_folder("x/ms", "a"), make_folder("y/ms", "b")
        with pytest.raises(UsageError, match="two data sets are called ms"):
            found(first, second)

    def test_none(self) -> None:
        with pytest.raises(UsageError, match="no data set is named"):
            find_sets([])

    def test_nothing_there(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"nowhere"):
            found(tmp_path / "nowhere")
        (tmp_path / "empty" / "folder").mkdir(parents=True)
        with pytest.raises(InputError, match="no data set found"):
            found(tmp_path / "empty")


class TestValidation:
    def test_the_validation_split(self, make_folder: MakeFolder, tmp_path: Path) -> None:
        folder = make_folder("lgg", "a", "b", "c")
        (folder / "split.json").write_text(json.dumps({"train": ["a"], "val": ["c"], "test": []}))
        listed = write_list(tmp_path / "listed.json", training=["a"], validation=["b"])
        (tmp_path / "in").mkdir()
        write_list(tmp_path / "in" / "datalist.json", training=["a"], validation=["d"])
        for place, name, case in (
            (folder, "lgg", "c"),
            (listed, "listed", "b"),
            (tmp_path / "in", "in", "d"),
        ):
            chosen = find_validation(str(place), [])
            assert (chosen.name, [one.name for one in chosen.cases]) == (name, [case])

    def test_all_cases_without_splits(self, make_folder: MakeFolder) -> None:
        chosen = find_validation(str(make_folder("lgg", "a", "b")), [])
        assert [case.name for case in chosen.cases] == ["a", "b"]

    def test_a_reported_patient_is_refused(self, make_folder: MakeFolder) -> None:
        """Another examination of a patient who is reported."""
        reported = find_sets([str(make_folder("mine", "BraTS-GLI-00002-001"))])
        chosen = make_folder("lgg", "BraTS-GLI-00002-000")
        with pytest.raises(UnsuitableInputError, match=r"BraTS-GLI-00002, who is reported in mine"):
            find_validation(str(chosen), reported)

    def test_no_validation_case(self, tmp_path: Path) -> None:
        listed = write_list(tmp_path / "listed.json", training=["a"])
        with pytest.raises(UnsuitableInputError, match="validation split is empty"):
            find_validation(str(listed), [])
