"""mmccd.jobs.inputs: names of what is judged."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmccd.jobs.inputs import DICOM, Input, each_once, safe_name, stem


def test_each_once_with_a_name_of_its_own(tmp_path: Path) -> None:
    parts = ("x/head.nii", "y/head.nii.gz", "z/HEAD.nii", "x/../x/head.nii")
    paths = [tmp_path / part for part in parts]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    found = each_once(Input(path, stem(path)) for path in paths)
    assert [one.name for one in found] == ["head", "head-2", "HEAD-3"]


def test_studies_of_one_folder_are_not_one() -> None:
    files = [(Path("a"),), (Path("b"),)]
    assert len(each_once(Input(Path("/in"), "s", DICOM, files=part) for part in files)) == 2


def test_reserved_names() -> None:
    (one,) = each_once([Input(Path("cohort.nii"), "Cohort")], ("cohort",))
    assert one.name == "Cohort-2"


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("..", "case"),
        ("-rf", "rf"),
        ("a b/c", "a_b_c"),
        ("Gehirn-Ü", "Gehirn-Ü"),
        (".hidden", "hidden"),
        ("=1+1", "1_1"),
        ("x" * 80, "x" * 64),
        ("\U00020000" * 64, "\U00020000" * 50),
        ("A\u0308", "Ä"),
    ],
)
def test_safe_name(name: str, safe: str) -> None:
    assert safe_name(name) == safe


def test_stem() -> None:
    assert [stem(Path(name)) for name in ("a.nii", "b.NII.GZ", "c.dcm")] == ["a", "b", "c.dcm"]


def test_there_and_back() -> None:
    one = Input(Path("/in"), "s", DICOM, Path("/m.nii"), (Path("/in/a"), Path("/in/b")))
    assert Input.from_dict(one.as_dict()) == one
