"""mmccd.apps.parser: forms from signatures and models, and what they refuse. The words of mmccd are
tested in tests/apps/cli.
"""

from __future__ import annotations

from typing import Annotated

import pytest

from mmccd.apps.parser import Form, Only
from mmccd.core import Setting, Settings, UsageError


def command(
    first: Annotated[str, Setting("a word", ("one", "two"))],
    *others: str,
    settings: Annotated[Settings, Only("seed", preset="fast")],
    path: Annotated[str | None, Setting("a file", is_path=True, short="-p")] = None,
    count: int = 2,
    loud: bool = False,
) -> None:
    """Take words."""


FORM = Form.of_function("mmccd command", command)


def test_what_is_given_comes_back() -> None:
    values = FORM.parse(["one", "x", "--count=3", "y", "-p", "f", "--loud", "--seed", "5"])
    settings = values.pop("settings")
    assert values == {"first": "one", "others": ("x", "y"), "count": 3, "path": "f", "loud": True}
    assert (settings.seed, settings.preset) == (5, "fast")


def test_a_commands_own_default_can_be_replaced() -> None:
    assert FORM.parse(["one", "x", "--preset", "full"])["settings"].preset == "full"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["three", "x"], "FIRST three: unknown; expected one of one, two"),
        (["one"], "command: OTHERS is missing; see 'mmccd command --help'"),
        ([], "FIRST is missing"),
        (["one", "x", "--device", "cpu"], "unknown flag --device"),
        (["one", "x", "-p"], "-p needs a path"),
        (["one", "x", "-p", "--loud"], "-p needs a path"),
        (["one", "x", "--count", "-p", "f"], "--count needs a value"),
        (["one", "x", "-p", "a", "--path", "b"], "--path is given twice"),
        (["one", "x", "--loud=perhaps"], "neither true nor false"),
        (["one", "x", "--count", "many"], "--count: 'many' is not a whole number"),
        (
            ["one", "x", "--preset", "turbo"],
            "--preset turbo: cannot be used; expected one of balanced",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_refused(words: list[str], text: str) -> None:
    with pytest.raises(UsageError) as found:
        FORM.parse(words)
    assert text in str(found.value)


def test_help() -> None:
    assert FORM.usage == "usage: mmccd command FIRST OTHERS [OTHERS ...] [FLAGS]"
    text = " ".join(FORM.help().split())  # wherever lines end: terminals are of all widths
    assert "-p, --path PATH" in text
    assert "how thorough the method is (balanced, cycle, fast, full; default fast)" in text
    assert "--device" not in text


def test_of_a_model() -> None:
    form = Form.of_model("program", Settings)
    assert form.texts(["--seed", "3", "--force"]) == {"seed": "3", "force": "true"}
    with pytest.raises(UsageError, match="unexpected 'word'"):
        form.texts(["word"])


def test_a_flag_that_takes_many_words() -> None:
    def command(
        place: str, label: Annotated[str | None, Setting("labels", many=True)] = None
    ) -> None:
        """Probe."""

    form = Form.of_function("mmccd probe", command)
    assert form.parse(["p", "--label", "a", "b"]) == {"place": "p", "label": "a b"}
    assert form.parse(["--label=a", "p"]) == {"place": "p", "label": "a"}
    assert "--label LABEL [LABEL ...]" in form.help()
    with pytest.raises(UsageError, match="--label needs a value"):
        form.parse(["p", "--label"])
