"""mmccd.io.data_files: what a header may name."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmccd.core import InputError
from mmccd.io.data_files import MOST_HEADER, check_data_files
from mmccd.io.read import read_volume

NRRD = b"NRRD0004\ntype: uint8\ndimension: 3\nsizes: 4 4 4\nencoding: raw\n"
META = b"ObjectType = Image\nNDims = 3\nDimSize = 4 4 4\nElementType = MET_UCHAR\n"


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("NRRD", NRRD + b"\n" + bytes(64)),
        ("NRRD", NRRD + b"data file: voxels.raw\n"),
        ("NRRD", NRRD + b"datafile: below/voxels.raw\n\n"),
        ("NRRD", NRRD + b"data file: LIST\na.raw\nb.raw\n"),
        ("MetaImage", META + b"ElementDataFile = LOCAL\n" + bytes(64)),
        ("MetaImage", META + b"ElementDataFile = voxels.raw\n"),
        ("MetaImage", META + b"ElementDataFile = LOCAL\n" + bytes(2 * MOST_HEADER)),
    ],
)
def test_beside_the_header(tmp_path: Path, kind: str, content: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(content)
    check_data_files(path, kind)


@pytest.mark.parametrize(
    "name", [b"/etc/passwd", b"../voxels.raw", b"a/../../b", b"C:\\x", b"\\\\h\\x"]
)
@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("NRRD", NRRD + b"data file: %s\n"),
        ("NRRD", NRRD + b"# more\r\nDataFile:%s\r\n"),
        ("NRRD", NRRD + b"data file: LIST 2\na.raw\n%s\n"),
        ("MetaImage", META + b"ElementDataFile = %s\n"),
        ("MetaImage", META + b"ElementDataFile=LIST\na.raw\n%s\n"),
    ],
)
def test_elsewhere(tmp_path: Path, kind: str, content: bytes, name: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(content % name)
    with pytest.raises(InputError, match="outside its own folder") as caught:
        check_data_files(path, kind)
    assert caught.value.code == "input.outside"


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("NRRD", NRRD + b"# %s\ndata file: /etc/passwd\n" % (b"x" * MOST_HEADER)),
        (
            "MetaImage",
            META + b"Comment = %s\nElementDataFile = /etc/passwd\n" % (b"x" * MOST_HEADER),
        ),
    ],
)
def test_behind_a_header_that_is_too_long(tmp_path: Path, kind: str, content: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(content)
    with pytest.raises(InputError, match="no end"):
        check_data_files(path, kind)


@pytest.mark.parametrize("ending", ["nii.gz", "dcm", "nhdr", "mhd"])
def test_whatever_the_file_is_called(tmp_path: Path, ending: str) -> None:
    """Another file of the machine is not read as voxels."""
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(range(64)))
    folder = tmp_path / "upload"
    folder.mkdir()
    for line in (b"data file: %s\n", b"data file: ../%s\n"):
        path = folder / f"a.{ending}"
        path.write_bytes(NRRD + line % str(secret).encode())
        with pytest.raises(InputError):
            read_volume(path, "flair")
