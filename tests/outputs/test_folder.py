"""mmccd.outputs.folder: complete, or nothing."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from mmccd.core.errors import OutputError
from mmccd.outputs.folder import DICOM, MARKER, NAMES, STAGING, check_output, staged_output

ORDINARY = [name for name in NAMES if name != MARKER]


class RunError(Exception):
    """Something that goes wrong in a run."""


def write_all(folder: Path, text: str = "new", names: tuple[str, ...] = NAMES) -> None:
    """Every file of ours."""
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)


def content(folder: Path) -> dict[str, str]:
    """Every file below a folder, hidden ones too."""
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """The output of an earlier run, beside a file of the user's."""
    folder = tmp_path / "out"
    folder.mkdir()
    write_all(folder, "old")
    (folder / "notes.txt").write_text("mine")
    return folder


OLD = {**dict.fromkeys(NAMES, "old"), "notes.txt": "mine"}
NEW = {**dict.fromkeys(NAMES, "new"), "notes.txt": "mine"}


@pytest.mark.parametrize("parts", [["out"], ["new", "and", "deep"]])
def test_success_in_a_folder_that_is_made(tmp_path: Path, parts: list[str]) -> None:
    folder = tmp_path.joinpath(*parts)
    with staged_output(folder) as staging:
        assert staging.parent == folder, "it is staged inside: the folder may be a mount point"
        write_all(staging)
        assert [path.name for path in folder.iterdir()] == [STAGING], (
            "nothing is visible before the end"
        )
    assert content(folder) == dict.fromkeys(NAMES, "new")
    assert not (folder / STAGING).exists()


@pytest.mark.parametrize("parts", [["out"], ["new", "and", "deep"]])
@pytest.mark.parametrize("error", [RunError, KeyboardInterrupt, SystemExit])
def test_failure_leaves_nothing(
    tmp_path: Path, parts: list[str], error: type[BaseException]
) -> None:
    with pytest.raises(error), staged_output(tmp_path.joinpath(*parts)) as staging:
        write_all(staging)
        raise error
    assert list(tmp_path.iterdir()) == []


def test_failure_keeps_a_folder_that_was_there(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(RunError), staged_output(tmp_path / "there" / "made") as staging:
        write_all(staging)
        raise RunError
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    assert list((tmp_path / "there").iterdir()) == []


def test_an_incomplete_run_is_a_defect(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=MARKER), staged_output(tmp_path / "out") as staging:
        write_all(staging, names=tuple(ORDINARY))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", NAMES)
def test_files_of_ours_are_not_replaced(tmp_path: Path, name: str) -> None:
    write_all(tmp_path, "old", (name,))
    with pytest.raises(OutputError, match="--force") as caught, staged_output(tmp_path):
        pytest.fail("the block must not run")
    assert caught.value.exit_code == 5
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert content(tmp_path) == {name: "old"}
    with pytest.raises(OutputError):
        check_output(tmp_path, force=False)
    check_output(tmp_path, force=True)


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / MARKER).write_text("mine too")
    others = {"notes.txt": "mine", f"raw/{MARKER}": "mine too"}
    with pytest.raises(RunError), staged_output(tmp_path) as staging:
        write_all(staging)
        raise RunError
    assert content(tmp_path) == others
    with staged_output(tmp_path) as staging:
        write_all(staging)
    assert content(tmp_path) == {**others, **dict.fromkeys(NAMES, "new")}


def test_force_keeps_old_files_until_the_new_ones_are_complete(earlier: Path) -> None:
    with pytest.raises(RunError), staged_output(earlier, force=True) as staging:
        write_all(staging)
        assert {name: text for name, text in content(earlier).items() if STAGING not in name} == OLD
        raise RunError
    assert content(earlier) == OLD
    with staged_output(earlier, force=True) as staging:
        write_all(staging)
    assert content(earlier) == NEW


def test_force_removes_old_files_that_the_new_run_does_not_have(earlier: Path) -> None:
    with staged_output(earlier, force=True) as staging:
        write_all(staging, names=(MARKER,))
    assert content(earlier) == {MARKER: "new", "notes.txt": "mine"}
    assert not (earlier / DICOM).exists()


def test_other_files_in_the_dicom_folder_are_left_alone(earlier: Path) -> None:
    (earlier / DICOM / "mine.dcm").write_text("mine")
    with staged_output(earlier, force=True) as staging:
        write_all(staging, names=(MARKER,))
    assert content(earlier) == {MARKER: "new", "notes.txt": "mine", f"{DICOM}/mine.dcm": "mine"}


def test_a_file_where_the_dicom_folder_belongs(tmp_path: Path) -> None:
    (tmp_path / DICOM).write_text("mine")
    with pytest.raises(OutputError, match="holds a file dicom where a folder of ours belongs"):
        check_output(tmp_path, force=True)


def test_the_report_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[str] = []
    replace = Path.replace

    def record(self: Path, target: Path) -> Path:
        moved.append(str(Path(target).relative_to(tmp_path)))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", record)
    with staged_output(tmp_path) as staging:
        write_all(staging)
    assert moved[-1] == MARKER
    assert sorted(moved) == sorted(NAMES)


@pytest.mark.parametrize(
    "outcome", [contextlib.nullcontext(), pytest.raises(RunError)], ids=["success", "failure"]
)
def test_stale_staging_is_removed(
    tmp_path: Path, outcome: contextlib.AbstractContextManager[object]
) -> None:
    stale = tmp_path / STAGING
    (stale / "sub").mkdir(parents=True)
    (stale / "half.nii.gz").write_text("of a run that was killed")
    with outcome, staged_output(tmp_path) as staging:
        assert list(staging.iterdir()) == []
        write_all(staging)
        if not isinstance(outcome, contextlib.nullcontext):
            raise RunError
    assert not stale.exists()


@pytest.mark.parametrize("parts", [["x" * 300], ["new", "x" * 300]])
def test_a_name_that_no_file_system_takes(tmp_path: Path, parts: list[str]) -> None:
    with pytest.raises(OutputError), staged_output(tmp_path.joinpath(*parts)):
        pytest.fail("the block must not run")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("parts", [["file"], ["file", "out"], ["file", "deep", "out"]])
def test_a_file_in_place_of_a_folder(tmp_path: Path, parts: list[str]) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError) as caught, staged_output(tmp_path.joinpath(*parts)):
        pytest.fail("the block must not run")
    assert str(tmp_path.joinpath(*parts)) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert content(tmp_path) == {"file": "mine"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.parametrize("parts", [[], ["out"]])
def test_a_folder_that_is_read_only(tmp_path: Path, parts: list[str]) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError), staged_output(tmp_path.joinpath(*parts)):
            pytest.fail("the block must not run")
        assert list(tmp_path.iterdir()) == []
    finally:
        tmp_path.chmod(0o700)


@contextlib.contextmanager
def no_large_files() -> Iterator[None]:
    """The system refuses to write past 4 kB of any file, as a full disk would; that holds for
    pytest's own log too, so not around a test.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_in_the_run(earlier: Path) -> None:
    with (
        no_large_files(),
        pytest.raises((OSError, OutputError)),
        staged_output(earlier, force=True) as staging,
    ):
        write_all(staging, names=(MARKER,))
        (staging / ORDINARY[0]).write_bytes(bytes(100_000))
    assert content(earlier) == OLD


@pytest.mark.parametrize("what", ["mkdir", "iterdir"])
def test_a_full_disk_in_the_bookkeeping(
    earlier: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    original = getattr(Path, what)

    def full(self: Path, *args: object, **kwargs: object) -> object:
        if self.name == STAGING:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))
        return original(self, *args, **kwargs)

    monkeypatch.setattr(Path, what, full)
    with (
        pytest.raises(OutputError, match="No space left") as caught,
        staged_output(earlier, force=True) as staging,
    ):
        write_all(staging)
    monkeypatch.undo()
    assert "\n" not in str(caught.value)
    assert content(earlier) == OLD
