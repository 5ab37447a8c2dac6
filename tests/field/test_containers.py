"""Files that are wrapped in another way than their names say, archives, odd names, broken links."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from tests.io.dicom_files import write_series

from mmccd.apps.parser import Form
from mmccd.core.errors import InputError
from mmccd.io import read_volume
from mmccd.jobs.find import find_inputs
from mmccd.jobs.inputs import Input
from mmccd.jobs.view import view_of

PLAIN = nib.Nifti1Image(
    np.arange(120, dtype=np.int16).reshape(6, 5, 4), np.diag([2.0, 2, 5, 1])
).to_bytes()


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "A.NII.GZ", "a.Nii", "a.nii.bz2", "odd"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_the_content_decides(tmp_path: Path, pack: Callable[[bytes], bytes], name: str) -> None:
    (tmp_path / name).write_bytes(pack(PLAIN))
    assert read_volume(tmp_path / name).data.max() == 119


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_damage_is_said(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    (tmp_path / "a.nii.gz").write_bytes(pack(PLAIN)[:-12])
    with pytest.raises(InputError):
        read_volume(tmp_path / "a.nii.gz")


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (b"\x28\xb5\x2f\xfd", "compressed with zstd.*unpack it"),
        (b"7z\xbc\xaf\x27\x1c", "7z archive.*unpack it"),
        (b"PK\x03\x04", "zip archive.*unpack it"),
    ],
)
def test_others_are_named(tmp_path: Path, start: bytes, said: str) -> None:
    (tmp_path / "a.nii.gz").write_bytes(start + bytes(600))
    with pytest.raises(InputError, match=said):
        read_volume(tmp_path / "a.nii.gz")


def test_far_more_than_promised_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmccd.io.nifti._MOST_BEHIND", 1000)
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(PLAIN + bytes(2000)))
    with pytest.raises(InputError, match="far more"):
        read_volume(tmp_path / "a.nii.gz")


def zipped(path: Path, **files: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_a_zip_with_one_image(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", **{"x/a.nii": PLAIN, "__MACOSX/x/._a.nii": b"shadow"})
    (one,), cohort = find_inputs([str(path)], "flair")
    assert (one.name, cohort) == ("a", False)
    with view_of(one) as place:
        assert read_volume(place).data.max() == 119
    assert not place.exists()


@pytest.mark.parametrize(("kind", "alone"), [("zip", True), ("zip", False), ("tar.gz", True)])
def test_an_archive_with_a_study(tmp_path: Path, kind: str, alone: bool) -> None:
    study = tmp_path / "study"
    write_series(study)
    folder = tmp_path / "input"
    folder.mkdir()
    path = folder / f"patient.{kind}"
    if kind == "zip":
        zipped(path, **{f"s/{file.name}": file.read_bytes() for file in study.iterdir()})
    else:
        with tarfile.open(path, "w:gz" if kind == "tar.gz" else "w") as archive:
            archive.add(study, "s")
    (one,), _ = find_inputs([str(path if alone else folder)], "flair")
    assert one.kind == "DICOM"
    with view_of(one) as place:
        np.testing.assert_array_equal(read_volume(place).data, read_volume(study).data)


@pytest.mark.parametrize("name", ["../a.nii", "/a.nii", "..\\a.nii"])
def test_paths_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    refused(zipped(tmp_path / "a.zip", **{name: PLAIN}), "leads out")


def test_links_in_an_archive_are_left_out(tmp_path: Path) -> None:
    link = tarfile.TarInfo("a.nii")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.addfile(link)
    refused(tmp_path / "a.tar", "holds no file")


def test_damaged_and_ambiguous_archives_are_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", **{"a.nii": PLAIN, "b.nii": PLAIN})
    refused(path, "2 NIfTI images")
    path.write_bytes(path.read_bytes()[:400])
    refused(path, "cannot be unpacked")


def test_what_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmccd.io.archives.MOST_BYTES", 1000)
    refused(zipped(tmp_path / "a.zip", **{"a.nii": bytes(2000)}), "holds more than")
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        entry = tarfile.TarInfo("a.nii")
        entry.size = 2000
        archive.addfile(entry, io.BytesIO(bytes(2000)))
    refused(tmp_path / "a.tar", "holds more than")


def refused(path: Path, said: str) -> None:
    with pytest.raises(InputError, match=said), view_of(Input(path, "a")):
        pass


def test_a_broken_link_is_said(tmp_path: Path) -> None:
    link = tmp_path / "cases" / "a.nii.gz"
    link.parent.mkdir()
    link.symlink_to(tmp_path / "nowhere.nii.gz")
    for word in (link, link.parent):
        with pytest.raises(InputError, match="1 of 1 file is a link to what is not there"):
            find_inputs([str(word)], "flair")
    with pytest.raises(InputError, match="a link whose file is not there"):
        read_volume(link)


def test_words_behind_two_hyphens_are_no_flags() -> None:
    def command(word: str, force: bool = False) -> None: ...

    form = Form.of_function("mmccd command", command)
    assert form.parse(["--force", "--", "-odd-name.nii"]) == {
        "word": "-odd-name.nii",
        "force": True,
    }
