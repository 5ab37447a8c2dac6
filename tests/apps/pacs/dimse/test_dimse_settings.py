"""Words that name DIMSE, and those that do not go together."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from mmccd.apps.pacs.dimse.settings import DimseSettings, Peer
from mmccd.apps.pacs.run import run, tell_of_thread
from mmccd.apps.pacs.settings import read_pacs_settings, usage
from mmccd.core import UsageError

URL = ["--url", "http://pacs.example/dicom-web"]
PEER = ["--peer", "PACS@pacs.example:104"]
STORE = ["--store", "PACS@pacs.example:104"]
LISTEN = ["--listen", "11112"]


def read(*words: str, **variables: str) -> DimseSettings:
    return read_pacs_settings(["--state", "x", *words], variables)


@pytest.mark.parametrize(
    "words",
    [
        URL,
        [*URL, *STORE],
        [*URL, *STORE, "--commit", *LISTEN],
        ["--source", "get", *PEER, *STORE],
        ["--source", "get", *PEER, *URL],
        ["--source", "get", *PEER, *STORE, "--commit", *LISTEN],
        ["--source", "move", *PEER, *STORE, *LISTEN],
        ["--source", "move", *PEER, *URL, *LISTEN, "--allow", "PACS@10.0.0.0/8"],
        ["--source", "receive", "--allow", "CT1,CT2@10.1.2.3", *STORE, *LISTEN],
        ["--source", "move", *PEER, *STORE, *LISTEN, "--once"],
    ],
)
def test_what_goes_together(words: list[str]) -> None:
    read(*words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "no archive; give --url"),
        (["--source", "move", *STORE, *LISTEN], "--source move needs the archive that is asked"),
        (["--source", "get", *STORE], "--source get needs the archive that is asked"),
        (["--source", "get", *PEER], "results have nowhere to go"),
        ([*URL, *PEER], "--peer means nothing with --source web"),
        (["--source", "move", *PEER, *STORE], "--source move needs a port"),
        (["--source", "receive", *STORE, "--allow", "A"], "--source receive needs a port"),
        (["--source", "receive", *STORE, *LISTEN], "needs to know who may send"),
        (["--source", "receive", *STORE, *LISTEN, "--allow", " , "], "needs to know who may send"),
        (
            ["--source", "receive", *STORE, *LISTEN, "--allow", "A", "--once"],
            "--once means nothing",
        ),
        (["--source", "get", *PEER, *STORE, *URL], "--url means nothing with --source get"),
        ([*URL, "--commit"], "--commit needs an archive that results are stored in by DIMSE"),
        ([*URL, *STORE, "--commit"], "--commit needs a port"),
        ([*URL, *LISTEN], "--listen means nothing with --source web"),
        (["--source", "get", *PEER, *STORE, *LISTEN], "--listen means nothing with --source get"),
        ([*URL, "--allow", "A"], "--allow means nothing without --listen"),
        ([*URL, *STORE, "--tls-ca", "x"], "--tls-ca means nothing without --tls"),
        ([*URL, "--tls"], "--tls is for DIMSE"),
        ([*URL, *STORE, "--tls", "--tls-cert", __file__], "belong together"),
        ([*URL, *STORE, "--tls", "--commit", *LISTEN], "needs a certificate of ours"),
        ([*URL, *STORE, "--tls", "--tls-ca", "/no/such"], "--tls-ca: no such file"),
    ],
)
def test_what_does_not(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """In one line, with exit code 2."""
    with pytest.raises(UsageError, match=message):
        read(*words)
    assert run(["--state", str(tmp_path / "state"), *words], {}) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--source", "ftp"], "one of web, move, get, receive"),
        (["--peer", "PACS"], "AE@HOST:PORT"),
        (["--peer", "PACS@host"], "AE@HOST:PORT"),
        (["--peer", "PACS@host:0"], "a port from 1 to 65535"),
        (["--store", "PACS@host:65536"], "a port from 1 to 65535"),
        (["--peer", "A TITLE THAT IS TOO LONG@host:104"], "AE@HOST:PORT"),
        (["--ae-title", "A\\B"], "an AE title"),
        (["--ae-title", "seventeen letters"], "an AE title"),
        (["--listen", "port"], "PORT or ADDRESS:PORT"),
        (["--listen", "0"], "a port from 1 to 65535"),
        (["--allow", "A@host"], "AE titles with commas"),
        (["--allow", "A@10.0.0.0/33"], "AE titles with commas"),
        (["--allow", "A,B@"], "AE titles with commas"),
        (["--associations", "0"], "from 1 to 100"),
        (["--silence-s", "0"], "from 1"),
        (["--commit-s", "0"], "from 1"),
        (["--keep-days", "0"], "from 1"),
    ],
)
def test_values_that_cannot_be_used(words: list[str], expected: str) -> None:
    with pytest.raises(UsageError, match=f"{words[0]} .*expected .*{expected}"):
        read(*URL, *words)


def test_variables() -> None:
    found = read(
        MMCCD_PACS_SOURCE="receive",
        MMCCD_PACS_LISTEN="[::1]:104",
        MMCCD_PACS_ALLOW="CT 1, CT2",
        MMCCD_PACS_STORE="PACS@[fe80::1]:11112",
        MMCCD_PACS_COMMIT="true",
    )
    assert found.listens == ("::1", 104)
    assert found.store_peer == Peer("PACS", "fe80::1", 11112)
    assert str(found.store_peer) == "PACS@[fe80::1]:11112"
    assert [one.title for one in found.callers] == ["CT 1", "CT2", "PACS"]
    assert found.commit is True


def test_an_address_is_not_undone_by_the_title_alone() -> None:
    """The archive may call, but from where --allow says."""
    found = read("--source", "move", *PEER, *STORE, *LISTEN, "--allow", "PACS@10.0.0.1")
    (one,) = found.callers
    assert str(one.network) == "10.0.0.1/32"


def test_a_thread_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """What it says may have a patient's data in it."""
    error = ValueError("Mustermann")
    words = (ValueError, error, None, threading.current_thread())
    tell_of_thread(threading.ExceptHookArgs(words))
    assert "defect in a thread: ValueError" in caplog.text
    assert "Mustermann" not in caplog.text


def test_help() -> None:
    text = usage()
    assert "--source move|get|receive" in text
    assert text.index("--url") < text.index("--once") < text.index("--peer")
