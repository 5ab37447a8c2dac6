"""docker/inventory/trim.py on modules that are made up; the real ones: test_image.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.docker.scripts import load

trim = load("inventory/trim")


def test_what_is_not_loaded_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_ITKUsedPython.abi3.so", "_ITKOtherPython.abi3.so", "itkOtherPython.py"):
        (tmp_path / name).write_bytes(b"12345")
    (tmp_path / "itkUsedPython.py").write_text("")
    (tmp_path / "__init__.py").write_text("")
    monkeypatch.setitem(trim.sys.modules, "itk.itkUsedPython", trim)
    real = Path.read_text
    maps = f"7f-80 r-xp 0 0 1 {tmp_path.resolve()}/_ITKUsedPython.abi3.so\n"

    def read(path: Path) -> str:
        return maps if str(path) == "/proc/self/maps" else real(path)

    monkeypatch.setattr(trim.Path, "read_text", read)
    assert trim.trim(tmp_path) == 10
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"_ITKUsedPython.abi3.so", "itkUsedPython.py", "__init__.py"}


def test_where_nothing_was_loaded_nothing_goes(tmp_path: Path) -> None:
    (tmp_path / "_ITKOtherPython.abi3.so").write_bytes(b"12345")
    with pytest.raises(SystemExit, match="nothing of it was loaded"):
        trim.trim(tmp_path)
    assert (tmp_path / "_ITKOtherPython.abi3.so").is_file()


@pytest.mark.slow
def test_every_way_into_itk_is_walked(tmp_path: Path) -> None:
    """Formats are read back, and N4 runs; walk() ends with an error else."""
    trim.walk(tmp_path)
    assert len(list(tmp_path.iterdir())) == 4
