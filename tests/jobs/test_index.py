"""mmccd.jobs.index: the rows and links of a cohort's page, and what it must not show."""

from __future__ import annotations

from pathlib import Path

from tests.reports import report_of

from mmccd.core import Settings
from mmccd.jobs.account import Account
from mmccd.jobs.index import write_cohort_index
from mmccd.jobs.inputs import DICOM, NIFTI, Input
from mmccd.jobs.outcome import Outcome, summarise
from mmccd.jobs.task import Task, shown_in_a_list

WARNING = 'series 3 "Mr Smith" was taken'


def account(folder: Path, *names: str, kind: str = NIFTI) -> Account:
    """Cases that are done, each with its page and picture."""
    tasks = []
    for number, name in enumerate(names, 1):
        one = Input(folder / "in" / name, name, kind)
        task = Task(number, one, folder / name, shown_in_a_list(number, one), Settings())
        task.output.mkdir()
        for file in ("report.html", "thumbnail.jpg"):
            (task.output / file).write_text(f"{file} {number}")
        tasks.append(task)
    found = Account(tasks)
    for task in tasks:
        summary = summarise(report_of(lesion_count=4))
        outcome = Outcome(task.number, task.shown)
        found.note(outcome.ended(0, summary=summary, warnings=(WARNING,)))
    return found


def test_rows_and_links(tmp_path: Path) -> None:
    write_cohort_index(account(tmp_path, "p 1_ses-a", "p 1_ses-b"), tmp_path)
    text = (tmp_path / "index.html").read_text()
    assert 'href="p%201_ses-a/report.html"' in text
    assert 'src="p%201_ses-b/thumbnail.jpg"' in text
    assert ">12.3<" in text
    assert ">4<" in text
    assert "Mr Smith" in text, "the name of the file's own series"
    assert "<polyline" in text, "two visits of one patient"
    assert not (tmp_path / "index_files").exists()


def test_names_of_dicom_stay_out(tmp_path: Path) -> None:
    """Folders of archives are named after patients: the page shows neither them nor texts that
    quote headers, and its links work.
    """
    write_cohort_index(account(tmp_path, "SMITH_JOHN", "DOE_JANE", kind=DICOM), tmp_path)
    text = (tmp_path / "index.html").read_text()
    assert not [name for name in ("SMITH", "DOE", "Smith") if name in text]
    assert "DICOM study 2" in text
    assert 'href="index_files/2_report.html"' in text
    assert (tmp_path / "index_files" / "2_report.html").read_text() == "report.html 2"
    assert (tmp_path / "index_files" / "1_thumbnail.jpg").is_file()


def test_links_of_an_earlier_run_go(tmp_path: Path) -> None:
    found = account(tmp_path, "SMITH_JOHN", kind=DICOM)
    write_cohort_index(found, tmp_path)
    (tmp_path / "SMITH_JOHN" / "thumbnail.jpg").unlink()
    write_cohort_index(found, tmp_path)
    assert [path.name for path in (tmp_path / "index_files").iterdir()] == ["1_report.html"]


def test_what_has_no_result(tmp_path: Path) -> None:
    found = account(tmp_path, "a", "b")
    found.note(Outcome(1, "a").ended(4, "too small", "brain.too_small"))
    found.note(Outcome(2, "b"))
    write_cohort_index(found, tmp_path)
    text = (tmp_path / "index.html").read_text()
    assert "2 cases: 1 failed, 1 unfinished" in text
    assert "too small" in text
    assert "href" not in text, "a page of an earlier run is not that of this one"
