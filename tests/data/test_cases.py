"""mmccd.data.cases: the data layouts, datalists and splits by patient."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from mmccd.core.errors import InputError, MmccdError, OutputError, UnsuitableInputError
from mmccd.data.cases import (
    SPLITS,
    Case,
    add_to_datalist,
    check_patients,
    find_cases,
    make_split,
    patient_of,
    refuse_test_patients,
    split_cases,
    write_datalist,
)

BRATS_2021 = {"flair": "_flair", "t1": "_t1", "t2": "_t2", "label": "_seg"}
BRATS_2023 = {"flair": "-t2f", "t1": "-t1n", "t2": "-t2w", "label": "-seg"}


def make_case(
    root: Path, name: str, suffixes: dict[str, str] = BRATS_2021, ending: str = ".nii.gz"
) -> dict[str, Path]:
    """Empty files of one case (nothing here opens them), and others that a BraTS folder holds."""
    folder = root / name
    folder.mkdir(parents=True)
    paths = {key: folder / f"{name}{suffix}{ending}" for key, suffix in suffixes.items()}
    for path in [
        *paths.values(),
        folder / f"{name}_t1ce{ending}",
        folder / f"{name}-t1c{ending}",
        folder / "notes.txt",
    ]:
        path.touch()
    return paths


def made_up_case(patient: int, visit: int) -> Case:
    """A case without files."""
    name = f"BraTS-GLI-{patient:05d}-{visit:03d}"
    return Case(name, {"flair": Path(f"{name}-t2f.nii.gz")}, None, patient_of(name))


def one_line(error: pytest.ExceptionInfo[MmccdError], *parts: str) -> None:
    """The message is a single line that holds all parts."""
    text = str(error.value)
    assert "\n" not in text
    for part in parts:
        assert part in text


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize(
    ("name", "suffixes"), [("BraTS2021_00003", BRATS_2021), ("BraTS-GLI-00003-000", BRATS_2023)]
)
def test_both_brats_layouts(
    tmp_path: Path, name: str, suffixes: dict[str, str], ending: str
) -> None:
    paths = make_case(tmp_path, name, suffixes, ending)
    (tmp_path / "empty").mkdir()
    (tmp_path / "README.txt").touch()
    label = paths.pop("label")
    (case,) = find_cases(tmp_path)
    assert (case.name, case.images, case.label) == (name, paths, label)


def test_cases_are_sorted_and_may_be_incomplete(tmp_path: Path) -> None:
    make_case(tmp_path, "b", {"flair": "_flair", "t1": "_t1"})
    make_case(tmp_path, "a", {"t2": "_t2"})
    first, second = find_cases(str(tmp_path))
    assert (first.name, set(first.images), first.label) == ("a", {"t2"}, None)
    assert (second.name, set(second.images)) == ("b", {"flair", "t1"})


@pytest.mark.parametrize(
    ("name", "patient"),
    [
        ("BraTS-GLI-00002-000", "BraTS-GLI-00002"),
        ("BraTS-GLI-00002-001", "BraTS-GLI-00002"),
        ("BraTS-MEN-00012-000", "BraTS-MEN-00012"),
        ("TCGA_CS_4942_19970222", "TCGA_CS_4942"),
        ("TCGA_CS_4942_19980101", "TCGA_CS_4942"),
        ("TCGA_DU_A5TY_19970709", "TCGA_DU_A5TY"),
        ("BraTS2021_00002", "BraTS2021_00002"),
        ("OPENMS_07", "OPENMS_07"),
    ],
)
def test_patient_of(name: str, patient: str) -> None:
    assert patient_of(name) == patient


@given(
    visits=st.dictionaries(st.integers(0, 99), st.integers(1, 3), max_size=25),
    seed=st.integers(0, 2**32),
    train=st.floats(0, 1),
    val=st.floats(0, 1),
)
def test_split_covers_all_cases_once_and_keeps_patients_together(
    visits: dict[int, int], seed: int, train: float, val: float
) -> None:
    cases = [
        made_up_case(patient, visit) for patient, count in visits.items() for visit in range(count)
    ]
    val *= 1 - train
    split = make_split(cases, (train, val, 1 - train - val), seed)
    assert tuple(split) == SPLITS
    assert sorted(name for names in split.values() for name in names) == sorted(
        case.name for case in cases
    )
    patients = [{patient_of(name) for name in names} for names in split.values()]
    assert sum(len(group) for group in patients) == len(visits)
    for group, share in zip(patients, (train, val, 1 - train - val), strict=True):
        assert abs(len(group) - share * len(visits)) <= 1


def test_split_depends_on_the_seed_only() -> None:
    cases = [made_up_case(patient, 0) for patient in range(40)]
    first, again, other = (
        make_split(cases, seed=1),
        make_split(cases[::-1], seed=1),
        make_split(cases, seed=2),
    )
    assert {split: sorted(names) for split, names in again.items()} == first
    assert other != first
    assert [len(names) for names in first.values()] == [24, 8, 8]


@pytest.mark.parametrize("fractions", [(0.5, 0.5), (0.5, 0.6, -0.1), (0.5, 0.2, 0.2)])
def test_fractions_that_are_none(fractions: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="sum to 1"):
        make_split([made_up_case(1, 0)], fractions)


def test_datalist_round_trip(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for name in (
        "BraTS-GLI-00001-000",
        "BraTS-GLI-00001-001",
        "BraTS-GLI-00002-000",
        "BraTS-GLI-00003-000",
    ):
        make_case(data, name, BRATS_2023)
    make_case(data, "BraTS-GLI-00004-000", {"flair": "-t2f"})
    cases = find_cases(data)
    split = {
        "train": ["BraTS-GLI-00001-000", "BraTS-GLI-00001-001", "BraTS-GLI-00004-000"],
        "val": ["BraTS-GLI-00002-000"],
        "test": ["BraTS-GLI-00003-000"],
    }
    write_datalist(cases, split, data / "datalist.json")
    assert find_cases(data / "datalist.json") == cases
    groups = split_cases(data / "datalist.json")
    assert {name: [case.name for case in group] for name, group in groups.items()} == split
    assert groups["train"][0] == cases[0]


def test_datalist_paths_are_relative_to_it_and_move_with_it(tmp_path: Path) -> None:
    make_case(tmp_path / "data" / "cases", "a")
    cases = find_cases(tmp_path / "data" / "cases")
    write_datalist(
        cases, {"train": ["a"], "val": [], "test": []}, tmp_path / "data" / "datalist.json"
    )
    entry = json.loads((tmp_path / "data" / "datalist.json").read_text())["training"][0]
    assert entry["flair"] == "cases/a/a_flair.nii.gz"
    (tmp_path / "data").rename(tmp_path / "moved")
    (case,) = find_cases(tmp_path / "moved" / "datalist.json")
    assert all(path.is_file() for path in [*case.images.values(), case.label] if path)


def test_datalist_elsewhere_names_absolute_paths(tmp_path: Path) -> None:
    make_case(tmp_path / "data", "a")
    cases = find_cases(tmp_path / "data")
    (tmp_path / "lists").mkdir()
    write_datalist(
        cases, {"train": ["a"], "val": [], "test": []}, tmp_path / "lists" / "datalist.json"
    )
    assert find_cases(tmp_path / "lists" / "datalist.json") == cases


@pytest.mark.parametrize("file", ["sub01_flair.nii.gz", "sub01-t2f.nii", "sub01.nii.gz"])
def test_foreign_datalist_gets_names_from_its_files(tmp_path: Path, file: str) -> None:
    path = tmp_path / "list.json"
    path.write_text(json.dumps({"training": [{"flair": f"images/{file}"}]}))
    (case,) = find_cases(path)
    assert (case.name, case.patient, case.images, case.label) == (
        "sub01",
        "sub01",
        {"flair": tmp_path / "images" / file},
        None,
    )


def test_unwritable_datalist(tmp_path: Path) -> None:
    with pytest.raises(OutputError) as error:
        write_datalist(
            [], {"train": [], "val": [], "test": []}, tmp_path / "nowhere" / "datalist.json"
        )
    one_line(error, "nowhere")


def test_split_file_wins_over_the_folders_own(tmp_path: Path) -> None:
    for name in ("a", "b"):
        make_case(tmp_path, name)
    (tmp_path / "split.json").write_text(json.dumps({"train": ["a", "b"]}))
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"train": ["b"], "test": ["a"]}))
    assert [case.name for case in split_cases(tmp_path)["train"]] == ["a", "b"]
    groups = split_cases(tmp_path, other)
    assert {split: [case.name for case in group] for split, group in groups.items()} == {
        "train": ["b"],
        "val": [],
        "test": ["a"],
    }


def test_patient_in_two_splits_is_refused(tmp_path: Path) -> None:
    for name in ("BraTS-GLI-00002-000", "BraTS-GLI-00002-001"):
        make_case(tmp_path, name, BRATS_2023)
    (tmp_path / "split.json").write_text(
        json.dumps({"train": ["BraTS-GLI-00002-000"], "test": ["BraTS-GLI-00002-001"]})
    )
    with pytest.raises(UnsuitableInputError) as error:
        split_cases(tmp_path)
    one_line(error, "BraTS-GLI-00002", "train", "test")


def test_patients_of_a_datalist_are_checked_too(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    entries = [{"flair": "a.nii.gz", "patient": "p1"}, {"flair": "b.nii.gz", "patient": "p1"}]
    path.write_text(json.dumps({"training": entries[:1], "validation": entries[1:]}))
    with pytest.raises(UnsuitableInputError, match="p1"):
        split_cases(path)
    path.write_text(json.dumps({"training": entries}))
    assert len(split_cases(path)["train"]) == 2


def test_two_visits_in_one_split_are_fine() -> None:
    check_patients(
        {"train": [made_up_case(1, 0), made_up_case(1, 1)], "test": [made_up_case(2, 0)]}
    )


def test_a_patient_of_the_test_split_is_refused_where_thresholds_are_chosen() -> None:
    """Another examination of a test patient is one, too."""
    refuse_test_patients([made_up_case(1, 0)], [made_up_case(2, 0), made_up_case(3, 0)])
    with pytest.raises(UnsuitableInputError) as error:
        refuse_test_patients([made_up_case(1, 0), made_up_case(2, 1)], [made_up_case(2, 0)])
    one_line(error, made_up_case(2, 1).name, "test split", "validation")


def nothing(root: Path) -> Path:
    return root / "nowhere"


def empty_folder(root: Path) -> Path:
    (root / "a").mkdir()
    return root


def file_with(text: str) -> Callable[[Path], Path]:
    """A datalist with this content."""

    def make(root: Path) -> Path:
        path = root / "list.json"
        path.write_text(text)
        return path

    return make


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (nothing, ["nowhere", "no such file or folder"]),
        (empty_folder, ["no case found"]),
        (file_with('{"training": [{"flair": "a.nii'), ["list.json", "JSON"]),
        (file_with("\x00\x01 this is an image"), ["list.json", "JSON"]),
        (file_with('["a", "b"]'), ["list.json", "list"]),
        (file_with('{"training": []}'), ["list.json", "no case"]),
        (file_with('{"training": [{"image": "a.nii.gz"}]}'), ["list.json", "flair", "image"]),
        (file_with('{"training": ["a_flair.nii.gz"]}'), ["list.json"]),
        (file_with('{"training": {"flair": "a_flair.nii.gz"}}'), ["list.json"]),
        (file_with('{"training": null}'), ["list.json"]),
        (file_with('{"training": [{"flair": 5}]}'), ["list.json"]),
    ],
    ids=[
        "missing",
        "empty",
        "cut off",
        "binary",
        "a list",
        "no entries",
        "unknown keys",
        "entries are strings",
        "entries are a dict",
        "null",
        "file is a number",
    ],
)
def test_data_that_cannot_be_found(
    tmp_path: Path, make: Callable[[Path], Path], parts: list[str]
) -> None:
    with pytest.raises(InputError) as error:
        find_cases(make(tmp_path))
    one_line(error, *parts)


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (None, ["split.json", "no such file"]),
        ('{"train": ["a"', ["split.json", "JSON"]),
        ('{"train": ["a", "z"]}', ["split.json", "z"]),
        ('["a"]', ["split.json", "list"]),
        ('{"train": 5}', ["split.json"]),
        ('{"train": null}', ["split.json"]),
        ('{"train": [["a"]]}', ["split.json"]),
    ],
    ids=["missing", "cut off", "unknown name", "a list", "a number", "null", "nested"],
)
def test_damaged_split_files(tmp_path: Path, content: str | None, parts: list[str]) -> None:
    make_case(tmp_path, "a")
    if content is not None:
        (tmp_path / "split.json").write_text(content)
    with pytest.raises(InputError) as error:
        split_cases(tmp_path)
    one_line(error, *parts)


def test_lgg_split(real_data: Path) -> None:
    groups = split_cases(real_data / "lgg")
    assert [len(groups[split]) for split in SPLITS] == [55, 17, 17]
    patients = [case.patient for group in groups.values() for case in group]
    assert len(patients) == len(set(patients)) == 89
    assert all(
        {"flair", "t1"} <= set(case.images) and case.label
        for group in groups.values()
        for case in group
    )


@pytest.mark.parametrize("suffixes", [BRATS_2021, BRATS_2023], ids=["2021", "2023"])
def test_brain_mask(tmp_path: Path, suffixes: dict[str, str]) -> None:
    """Found in both layouts, kept in a datalist, never an image."""
    name = "BraTS-GLI-00003-000"
    make_case(tmp_path, name, suffixes)
    (before,) = find_cases(tmp_path)
    assert before.brain is None
    mask = tmp_path / name / f"{name}{suffixes['label'].replace('seg', 'brain')}.nii.gz"
    mask.touch()
    (case,) = find_cases(tmp_path)
    assert case.brain == mask
    assert set(case.images) == {"flair", "t1", "t2"}
    write_datalist([case], {"train": [name], "val": [], "test": []}, tmp_path / "list.json")
    assert split_cases(tmp_path / "list.json")["train"][0].brain == mask


def test_phantoms_of_one_label_map_are_one_patient() -> None:
    assert (
        patient_of("phantom_training_seg_13_0042")
        == patient_of("phantom_training_seg_13_0043")
        == "phantom_training_seg_13"
    )
    assert patient_of("phantom_builtin_0042") != patient_of("phantom_builtin_0043")


class TestAddToDatalist:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        for number in range(4):
            make_case(tmp_path / "data", f"case{number}")
        return tmp_path / "data"

    def test_all_in_one_split_and_others_added(self, folder: Path, tmp_path: Path) -> None:
        path = tmp_path / "list.json"
        assert add_to_datalist(folder, path, split="val", only="case0") == {
            "train": 0,
            "val": 1,
            "test": 0,
        }
        assert add_to_datalist(
            folder, path, split="train", only="case1", repeat=8, append=True
        ) == {"train": 1, "val": 1, "test": 0}
        groups = split_cases(path)
        assert [(case.name, case.repeat) for case in groups["train"]] == [("case1", 8)]
        assert [(case.name, case.repeat) for case in groups["val"]] == [("case0", 1)]
        assert groups["train"][0].images["flair"] == folder / "case1" / "case1_flair.nii.gz"

    def test_a_case_moves(self, folder: Path, tmp_path: Path) -> None:
        """Added again with another split it is there once."""
        path = tmp_path / "list.json"
        add_to_datalist(folder, path, split="val", only="case0")
        assert add_to_datalist(folder, path, split="test", only="case0", append=True) == {
            "train": 0,
            "val": 0,
            "test": 1,
        }

    def test_without_append_the_file_is_new(self, folder: Path, tmp_path: Path) -> None:
        path = tmp_path / "list.json"
        add_to_datalist(folder, path, split="val", only="case0")
        assert add_to_datalist(folder, path, split="train", only="case1") == {
            "train": 1,
            "val": 0,
            "test": 0,
        }

    def test_random_split(self, folder: Path, tmp_path: Path) -> None:
        assert sum(add_to_datalist(folder, tmp_path / "list.json", seed=3).values()) == 4

    def test_no_such_case(self, folder: Path, tmp_path: Path) -> None:
        with pytest.raises(InputError) as error:
            add_to_datalist(folder, tmp_path / "list.json", only="case9")
        one_line(error, "case9", "case0", "choose")
        assert not (tmp_path / "list.json").exists()

    def test_a_patient_in_two_splits(self, tmp_path: Path) -> None:
        for visit in range(2):
            make_case(tmp_path / "data", f"BraTS-GLI-00001-00{visit}")
        path = tmp_path / "list.json"
        add_to_datalist(tmp_path / "data", path, split="train", only="BraTS-GLI-00001-000")
        before = path.read_text()
        with pytest.raises(UnsuitableInputError):
            add_to_datalist(
                tmp_path / "data", path, split="val", only="BraTS-GLI-00001-001", append=True
            )
        assert path.read_text() == before


@pytest.mark.parametrize("repeat", [0, -1, 1.5, "2", True])
def test_repeat_that_is_no_number_of_times(tmp_path: Path, repeat: object) -> None:
    path = tmp_path / "list.json"
    path.write_text(json.dumps({"training": [{"flair": "a_flair.nii.gz", "repeat": repeat}]}))
    with pytest.raises(InputError) as error:
        split_cases(path)
    one_line(error, "list.json", "repeat", "whole number")
