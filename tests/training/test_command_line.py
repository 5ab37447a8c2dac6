"""mmccd.training.command_line: what a card says of the command."""

from __future__ import annotations

from mmccd.training.command_line import without_paths


def test_commands_lose_the_paths_of_a_machine() -> None:
    words = [
        "train",
        "--pack=/a/pack",
        "--maps",
        "/b/maps:5:1",
        "--data",
        "x / y",
        "sub/out",
        "a=/b/c@/d/e.json",
    ]
    assert without_paths(words) == [
        "train",
        "--pack=pack",
        "--maps",
        "maps:5:1",
        "--data",
        "x / y",
        "sub/out",
        "a=c@e.json",
    ]
