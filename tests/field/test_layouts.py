"""Folders of NIfTI files as archives and other tools lay them out: which of them are judged."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from mmccd.core.errors import InputError, UnsuitableInputError
from mmccd.data.cases import find_cases
from mmccd.jobs.find import find_inputs, find_studies


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def link(root: Path, name: str) -> None:
    """A link whose file is not there, as in a data set of DataLad that was not fetched."""
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).symlink_to(root / ".git" / "annex" / "objects" / "abc")


def names_of(*words: object) -> tuple[list[str], bool]:
    inputs, is_cohort = find_inputs([str(word) for word in words], "flair")
    return [one.name for one in inputs], is_cohort


def files_of(*words: object) -> list[str]:
    return [one.path.name for one in find_inputs([str(word) for word in words], "flair")[0]]


@pytest.fixture
def bids(tmp_path: Path) -> Path:
    """One subject without sessions, one with two."""
    root = touch(
        tmp_path / "bids",
        *(f"sub-01/anat/sub-01_{kind}.nii.gz" for kind in ("FLAIR", "T1w", "T2w")),
        *(
            f"sub-02/{ses}/anat/sub-02_{ses}_{kind}.nii.gz"
            for ses in ("ses-1", "ses-2")
            for kind in ("FLAIR", "T1w", "acq-fast_ce-gd_T1w")
        ),
        "sub-02/ses-1/func/sub-02_ses-1_task-rest_bold.nii.gz",
        "sub-02/ses-1/anat/._sub-02_ses-1_FLAIR.nii.gz",
        "derivatives/masks/sub-01/anat/sub-01_FLAIR.nii.gz",
        "derivatives/masks/sub-01/anat/sub-01_desc-brain_mask.nii.gz",
        "participants.tsv",
        "sub-01/anat/sub-01_FLAIR.json",
    )
    (root / "dataset_description.json").write_text(json.dumps({"Name": "x"}))
    return root


class TestBids:
    def test_a_whole_data_set(self, bids: Path) -> None:
        names = ["sub-01_FLAIR", "sub-02_ses-1_FLAIR", "sub-02_ses-2_FLAIR"]
        assert files_of(bids) == [f"{name}.nii.gz" for name in names]
        assert names_of(bids) == (["sub-01", "sub-02_ses-1", "sub-02_ses-2"], True)

    @pytest.mark.parametrize("part", ["sub-01", "sub-01/anat", "sub-02/ses-1", "sub-02/ses-1/anat"])
    def test_a_part_with_one_flair_is_one_input(self, bids: Path, part: str) -> None:
        names, is_cohort = names_of(bids / part)
        assert len(names) == 1
        assert not is_cohort

    def test_a_subject_with_sessions(self, bids: Path) -> None:
        assert names_of(bids / "sub-02") == (["sub-02_ses-1", "sub-02_ses-2"], True)

    def test_below_rawdata(self, bids: Path, tmp_path: Path) -> None:
        (tmp_path / "project").mkdir()
        bids.rename(tmp_path / "project" / "rawdata")
        assert len(names_of(tmp_path / "project")[0]) == 3

    def test_contrasts_of_a_session_belong_together(self, bids: Path) -> None:
        first, second, _ = find_cases(bids)
        assert set(first.images) == {"flair", "t1", "t2"}
        assert second.images["t1"].name == "sub-02_ses-1_T1w.nii.gz"
        assert [case.patient for case in find_cases(bids)] == ["sub-01", "sub-02", "sub-02"]

    def test_two_flairs_of_a_session_are_two_cases(self, bids: Path) -> None:
        touch(bids, "sub-01/anat/sub-01_run-2_FLAIR.nii.gz")
        assert names_of(bids / "sub-01") == (["sub-01", "sub-01_run-2"], True)

    def test_without_a_flair(self, tmp_path: Path) -> None:
        touch(tmp_path, "sub-01/anat/sub-01_T1w.nii.gz")
        with pytest.raises(InputError, match="no case has flair"):
            find_inputs([str(tmp_path)], "flair")

    def test_subjects_without_a_flair_are_said(
        self, bids: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (bids / "sub-03").mkdir()
        with caplog.at_level(logging.WARNING):
            names_of(bids)
        assert "1 folders in it hold no flair" in caplog.text

    def test_what_was_not_fetched_is_said(self, bids: Path) -> None:
        link(bids, "sub-03/anat/sub-03_FLAIR.nii.gz")
        with pytest.raises(
            InputError, match="1 of 4 files is a link to what is not there"
        ) as error:
            find_inputs([str(bids)], "flair")
        assert "sub-03" not in str(error.value)


class TestChannels:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return touch(
            tmp_path / "set",
            *(f"imagesTs/case_{n}_{c:04d}.nii.gz" for n in (1, 2) for c in range(4)),
            *(f"labelsTr/case_{n}.nii.gz" for n in (1, 2)),
        )

    @pytest.mark.parametrize("place", [".", "imagesTs", "imagesTs/*.nii.gz"])
    def test_they_are_refused(self, folder: Path, place: str) -> None:
        with pytest.raises(
            UnsuitableInputError, match="numbers of channels .*_0003.nii.gz"
        ) as error:
            find_inputs([str(folder / place)], "flair")
        assert error.value.code == "input.channels"
        assert "case_" not in str(error.value)

    def test_of_one_case(self, tmp_path: Path) -> None:
        touch(tmp_path, *(f"x_{c:04d}.nii.gz" for c in range(4)))
        with pytest.raises(UnsuitableInputError, match="channels"):
            find_inputs([str(tmp_path)], "flair")

    def test_the_description_names_the_flair(self, folder: Path) -> None:
        content = {"channel_names": {"0": "T1", "1": "FLAIR", "2": "T2", "3": "T1c"}}
        (folder / "dataset.json").write_text(json.dumps(content))
        with pytest.raises(UnsuitableInputError, match=r"imagesTs/\*_0001.nii.gz'$"):
            find_inputs([str(folder)], "flair")

    def test_the_pattern_works(self, folder: Path) -> None:
        names, is_cohort = names_of(folder / "imagesTs" / "*_0003.nii.gz")
        assert (names, is_cohort) == (["case_1_0003", "case_2_0003"], True)

    @pytest.mark.parametrize(
        "names",
        [
            [f"case_{n}_0000" for n in range(3)],
            [f"patient_{n:04d}" for n in range(12)],
            [f"patient_{n:04d}" for n in (17, 18, 19)],
        ],
        ids=["one channel", "patients", "later patients"],
    )
    def test_numbers_of_patients_are_none(self, tmp_path: Path, names: list[str]) -> None:
        touch(tmp_path, *(f"{name}.nii.gz" for name in names))
        assert names_of(tmp_path) == (names, True)

    def test_named_files_of_one_name_are_none(self, tmp_path: Path) -> None:
        touch(tmp_path, "p_0000.nii", "p_0001.nii")
        assert names_of(tmp_path / "p_0000.nii", tmp_path / "p_0001.nii")[1]

    def test_mounted(self, folder: Path) -> None:
        with pytest.raises(UnsuitableInputError, match="channels"):
            find_studies(folder)


BRATS = ["_flair.nii.gz", "_FLAIR.nii", "-t2f.nii.gz", "_Flair.nii.gz", "-T2F.nii.gz", "_flair.NII"]


class TestBrats:
    @pytest.mark.parametrize("ending", BRATS)
    def test_of_several_years(self, tmp_path: Path, ending: str) -> None:
        touch(tmp_path, f"A/A{ending}", "A/A_t1ce.nii.gz", "A/A_seg.nii.gz", f"B/B{ending}")
        assert names_of(tmp_path) == (["A", "B"], True)

    def test_in_folders_of_grades(self, tmp_path: Path) -> None:
        touch(tmp_path, "HGG/A/A_flair.nii.gz", "HGG/A/A_brain.nii.gz", "LGG/B/B_flair.nii.gz")
        inputs, is_cohort = find_inputs([str(tmp_path)], "flair")
        assert is_cohort
        assert [(one.name, one.brain is not None) for one in inputs] == [("A", True), ("B", False)]

    def test_one_name_in_two_folders(self, tmp_path: Path) -> None:
        touch(tmp_path, "HGG/A/A_flair.nii.gz", "LGG/A/A_flair.nii.gz")
        assert names_of(tmp_path) == (["HGG_A", "LGG_A"], True)

    def test_folders_of_visits(self, tmp_path: Path) -> None:
        touch(tmp_path, *(f"P{p}/ses-{v}/ses-{v}_flair.nii.gz" for p in (1, 2) for v in (1, 2)))
        assert names_of(tmp_path)[0] == ["P1_ses-1", "P1_ses-2", "P2_ses-1", "P2_ses-2"]
        assert [case.patient for case in find_cases(tmp_path)] == ["P1", "P1", "P2", "P2"]

    def test_links_that_lead_nowhere(self, tmp_path: Path) -> None:
        touch(tmp_path, "A/A_flair.nii.gz")
        link(tmp_path, "B/B_flair.nii.gz")
        with pytest.raises(InputError, match="1 of 2 files is a link"):
            find_inputs([str(tmp_path)], "flair")
        link(tmp_path, "C")
        with pytest.raises(InputError, match="holds 1 link to what is not there"):
            find_inputs([str(tmp_path)], "flair")

    def test_other_contrasts_may_be_missing(self, tmp_path: Path) -> None:
        touch(tmp_path, "A/A_flair.nii.gz")
        link(tmp_path, "A/A_t1.nii.gz")
        assert names_of(tmp_path) == (["A"], True)


class TestFiles:
    def test_masks_are_no_flairs(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        masks = ("a_mask", "a_seg", "a_brain", "a_brain_mask", "b-label", "b_lesion_mask", "bMASK")
        touch(tmp_path, "a.nii.gz", "b.nii.gz", *(f"{name}.nii.gz" for name in masks))
        with caplog.at_level(logging.INFO):
            assert names_of(tmp_path) == (["a", "b"], True)
        assert "2 of 9 NIfTI files are taken for FLAIRs" in caplog.text

    def test_stripped_images_are_no_masks(self, tmp_path: Path) -> None:
        touch(tmp_path, "a_brain.nii.gz", "b_brain.nii.gz")
        assert names_of(tmp_path)[0] == ["a_brain", "b_brain"]

    def test_masks_alone(self, tmp_path: Path) -> None:
        touch(tmp_path, "a_mask.nii.gz", "b_mask.nii.gz")
        with pytest.raises(InputError, match="2 NIfTI files, named as masks"):
            find_inputs([str(tmp_path)], "flair")

    @pytest.mark.parametrize("name", ["p1_FLAIR", "FLAIR", "p1_T2-FLAIR", "p1-t2f", "p1_FLAIR_bet"])
    def test_named_as_flair_among_others(self, tmp_path: Path, name: str) -> None:
        touch(tmp_path, f"{name}.nii.gz", "p1_T1w.nii.gz", "p1_t2.nii.gz", f"{name}_mask.nii.gz")
        assert files_of(tmp_path) == [f"{name}.nii.gz"]

    def test_hidden_files(self, tmp_path: Path) -> None:
        touch(tmp_path, "a.nii.gz", "._a.nii.gz", ".b.nii.gz", "sub/._c_flair.nii.gz")
        assert names_of(tmp_path) == (["a"], True)

    def test_in_folders_of_patients(self, tmp_path: Path) -> None:
        touch(
            tmp_path,
            *(
                f"{p}/week-{w}/{kind}.nii.gz"
                for p in "ab"
                for w in (1, 2)
                for kind in ("FLAIR", "T1")
            ),
            "labels/x_flair.nii",
            "a/week-1/mask.nii.gz",
        )
        names, is_cohort = names_of(tmp_path)
        assert is_cohort
        assert names == [
            "a_week-1_FLAIR",
            "a_week-2_FLAIR",
            "b_week-1_FLAIR",
            "b_week-2_FLAIR",
            "x_flair",
        ]

    def test_in_folders_without_the_word(self, tmp_path: Path) -> None:
        touch(tmp_path, "Mustermann/scan.nii.gz", "b/scan.nii.gz")
        with pytest.raises(
            InputError, match=r"2 NIfTI files .* pattern, such as '.*/\*\*/"
        ) as error:
            find_inputs([str(tmp_path)], "flair")
        assert "Mustermann" not in str(error.value)

    def test_one_stem_twice(self, tmp_path: Path) -> None:
        touch(tmp_path, "a.nii.gz", "a.nii", "A.nii.gz")
        names = names_of(tmp_path)[0]
        assert len({name.lower() for name in names}) == 3

    def test_one_name_twice_in_a_datalist(self, tmp_path: Path) -> None:
        touch(tmp_path, "x/FLAIR.nii.gz", "y/FLAIR.nii.gz")
        entries = [{"flair": f"{folder}/FLAIR.nii.gz"} for folder in "xy"]
        (tmp_path / "list.json").write_text(json.dumps({"test": entries}))
        assert len(set(names_of(tmp_path / "list.json")[0])) == 2

    @pytest.mark.parametrize(
        ("name", "shown"),
        [
            ("-x y.nii.gz", "x_y"),
            ("Ü ß.nii.gz", "Ü_ß"),
            ("患者.nii.gz", "患者"),
            ("--.nii", "case"),
        ],
    )
    def test_names_can_be_folders(self, tmp_path: Path, name: str, shown: str) -> None:
        touch(tmp_path, name)
        assert names_of(tmp_path) == ([shown], True)

    def test_links_that_lead_nowhere(self, tmp_path: Path) -> None:
        touch(tmp_path, "a_flair.nii.gz")
        link(tmp_path, "b_flair.nii.gz")
        link(tmp_path, "b_t1.nii.gz")
        for find in (lambda: find_inputs([str(tmp_path)], "flair"), lambda: find_studies(tmp_path)):
            with pytest.raises(InputError, match="1 of 2 files is a link"):
                find()
        with pytest.raises(InputError, match="is a link"):
            find_inputs([str(tmp_path / "b_flair.nii.gz")], "flair")

    def test_an_empty_folder_is_left_to_the_reader(self, tmp_path: Path) -> None:
        assert not names_of(tmp_path)[1]
