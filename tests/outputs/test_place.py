"""mmccd.outputs.place: a link, or a copy."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmccd.outputs.place import place_file


def test_a_link_or_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = tmp_path / "a", tmp_path / "deep" / "b"
    source.write_text("one")
    place_file(source, target)
    assert source.samefile(target)
    place_file(source, target)

    def refuse(*_: object) -> None:
        raise OSError

    monkeypatch.setattr("os.link", refuse)
    source.unlink()
    source.write_text("two")
    place_file(source, target)
    assert target.read_text() == "two"
    assert not source.samefile(target)
    assert sorted(path.name for path in target.parent.iterdir()) == ["b"]
