"""mmccd.apps.pacs against an archive that misbehaves: a few lines of HTTP on this machine."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from tests.apps.pacs.fakes import UID, Application, FakeArchive, Make, record, value
from tests.apps.pacs.orthanc import free_port
from tests.io.dicom_files import SECRETS

from mmccd.apps.map.health import is_healthy
from mmccd.apps.pacs.archive import (
    ArchiveError,
    ExchangeError,
    FullError,
    NotAllowedError,
    OutageError,
    UnavailableError,
    UnreachableError,
)
from mmccd.apps.pacs.ledger import Ledger
from mmccd.apps.pacs.multipart import BrokenBodyError, boundary_of, pack, save_parts
from mmccd.apps.pacs.run import run
from mmccd.apps.pacs.settings import PacsSettings, read_pacs_settings
from mmccd.apps.pacs.web import Archive
from mmccd.core.errors import (
    CancelledError,
    ModelError,
    ResourceError,
    UnsuitableInputError,
    UsageError,
)


class TestService:
    """What is done with studies, and what is remembered."""

    def test_a_study_is_done_once(
        self, tmp_path: Path, archive: FakeArchive, application: Application, make: Make
    ) -> None:
        service = make()
        assert [service.once(), service.once()] == [0, 0]
        assert application.seen == [6]
        assert is_healthy(tmp_path / "state", datetime.now(UTC)), (
            "the container's health check reads this file"
        )
        assert not is_healthy(tmp_path / "state", datetime.now(UTC) + timedelta(minutes=3))
        (tmp_path / "state" / "status.json").unlink()
        assert make().once() == 0
        assert application.seen == [6], "the archive says that it is done"
        assert record(tmp_path)["state"] == "done"

    def test_it_waits_until_the_study_is_complete(
        self, archive: FakeArchive, application: Application, make: Make
    ) -> None:
        service = make(settle_s=3600)
        service.once()
        service.once()
        assert application.seen == []
        service = make(settle_s=0)
        archive.promised = 5
        service.once()
        assert application.seen == [6]

    def test_an_unsuitable_study_is_refused_until_it_changes(
        self, tmp_path: Path, archive: FakeArchive, application: Application, make: Make
    ) -> None:
        application.error = UnsuitableInputError("no FLAIR")
        assert make().once() == 4
        assert (record(tmp_path)["state"], record(tmp_path)["exit_code"]) == ("refused", 4)
        assert make().once() == 0
        assert len(application.seen) == 1
        archive.promised = 5
        assert make().once() == 4
        assert make(retry=True).once() == 4
        assert len(application.seen) == 3

    def test_one_bad_study_does_not_stop_the_next(
        self, tmp_path: Path, archive: FakeArchive, application: Application, make: Make
    ) -> None:
        archive.add(UID + ".2")
        application.error = ResourceError("too large")
        assert make().once() == 7
        assert len(application.seen) == 2

    def test_attempts_end(self, tmp_path: Path, application: Application, make: Make) -> None:
        """A study that was given up is in the exit code for as long as it is listed."""
        application.error = ResourceError("too large")
        service = make(attempts=2)
        assert [service.once() for _ in range(4)] == [7, 7, 7, 7]
        assert record(tmp_path)["state"] == "given up"
        assert len(application.seen) == 2

    def test_a_failure_is_not_tried_again_at_once(
        self, archive: FakeArchive, application: Application, make: Make
    ) -> None:
        application.error = ResourceError("too large")
        service = make(retry_s=3600)
        assert [service.once(), service.once()] == [7, 0]

    @pytest.mark.parametrize(("cut", "promised"), [(200, 6), (0, 7)])
    def test_a_series_that_arrives_in_part_is_refused(
        self, archive: FakeArchive, application: Application, make: Make, cut: int, promised: int
    ) -> None:
        archive.cut, archive.promised = cut, promised
        assert make().once() == 3
        assert application.seen == []

    def test_a_study_that_is_too_large(
        self, tmp_path: Path, archive: FakeArchive, application: Application, make: Make
    ) -> None:
        archive.files = [b"x" * 2**20] * 3
        service = make(max_mib=2)
        assert [service.once(), service.once()] == [7, 0], "it is not fetched again"
        assert "MMCCD_PACS_MAX_MIB" in record(tmp_path)["message"]
        assert record(tmp_path)["state"] == "refused"
        assert application.seen == []

    @pytest.mark.parametrize(
        "error",
        [
            ModelError("no weights"),
            UsageError("no such device"),
            CancelledError("SIGTERM"),
            KeyboardInterrupt(),
        ],
    )
    def test_what_is_not_the_study_s_fault(
        self, tmp_path: Path, application: Application, make: Make, error: BaseException
    ) -> None:
        application.error = error
        with pytest.raises(type(error)):
            make().once()
        assert (record(tmp_path)["state"], record(tmp_path)["attempts"]) == ("waiting", 0)

    def test_two_services_cannot_share_a_folder(self, make: Make) -> None:
        service = make()
        with pytest.raises(UsageError, match="another service"):
            Ledger(service.settings).open()

    def test_a_damaged_state_file(self, tmp_path: Path, make: Make) -> None:
        (tmp_path / "state").mkdir()
        (tmp_path / "state" / "status.json").write_text('{"studies": ')
        assert make().once() == 0

    def test_it_goes_on_while_the_archive_is_down(
        self,
        archive: FakeArchive,
        application: Application,
        make: Make,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """Waits grow while looking fails; the study is done when the archive is back."""
        archive.query_status = 503
        service, waits = make(poll_s=10.0), []

        def wait(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 3:
                archive.query_status = 200
            if len(waits) == 5:
                raise CancelledError("SIGTERM")

        monkeypatch.setattr(service, "_wait", wait)
        with pytest.raises(CancelledError):
            service.forever()
        assert waits == [20, 40, 80, 10, 10]
        assert application.seen == [6]
        assert "HTTP 503" in caplog.text


class TestArchive:
    """Errors are one line that names the archive, and no study."""

    def test_queries(self, tmp_path: Path, archive: FakeArchive) -> None:
        client = Archive(PacsSettings(url=archive.url, state=tmp_path, days=7))
        (study,) = client.studies(date(2024, 3, 5))
        assert (study.uid, study.instances) == (UID, 6)
        assert "StudyDate=20240227-" in archive.asked[0]
        (series,) = client.series(UID)
        assert client.fetch(UID, [series], tmp_path, lambda: None) == 6
        files = sorted(path for path in tmp_path.iterdir() if path.suffix == ".dcm")
        assert [path.read_bytes() for path in files] == archive.files

    @pytest.mark.parametrize(
        ("status", "kind", "text"),
        [
            (401, NotAllowedError, "MMCCD_PACS_USER"),
            (403, NotAllowedError, "not allowed"),
            (302, UnavailableError, "redirected"),
            (500, UnavailableError, "HTTP 500"),
            (429, UnavailableError, "HTTP 429"),
            (507, FullError, "HTTP 507"),
            (404, ExchangeError, "HTTP 404"),
        ],
    )
    def test_bad_answers(
        self,
        tmp_path: Path,
        archive: FakeArchive,
        status: int,
        kind: type[ArchiveError],
        text: str,
    ) -> None:
        """An outage is told from what concerns one study."""
        archive.query_status = archive.store_status = status
        client = Archive(PacsSettings(url=archive.url, state=tmp_path))
        for ask, code in ((lambda: client.series(UID), 3), (lambda: client.store(UID, []), 5)):
            with pytest.raises(kind, match=text) as found:
                ask()
            assert (type(found.value), found.value.exit_code) == (kind, code)
            assert UID not in str(found.value)
            assert isinstance(found.value, OutageError) == (kind is not ExchangeError)

    def test_a_full_archive_says_so_in_its_answer(
        self, tmp_path: Path, archive: FakeArchive
    ) -> None:
        client = Archive(PacsSettings(url=archive.url, state=tmp_path))
        for reason, kind in ((0xA700, FullError), (0x0110, ExchangeError)):
            archive.store_answer = {"00081198": {"Value": [{"00081197": value(reason)}]}}
            with pytest.raises(kind, match="refused 1 of 0"):
                client.store(UID, [])

    def test_a_token_is_read_anew(self, tmp_path: Path, archive: FakeArchive) -> None:
        token = tmp_path / "token"
        client = Archive(PacsSettings(url=archive.url, state=tmp_path, token_file=str(token)))
        with pytest.raises(NotAllowedError, match="cannot be read"):
            client.series(UID)
        for text in ("first", "second"):
            token.write_text(f"{text}\n")
            client.series(UID)
            assert archive.authorization == f"Bearer {text}"

    def test_certificates_are_checked_on_both_sides(
        self, tmp_path: Path, archive: FakeArchive
    ) -> None:
        if shutil.which("openssl") is None:
            pytest.skip("openssl is not installed")
        key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
        words = [
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=here",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
        ]
        subprocess.run(
            ["openssl", *words, "-keyout", str(key), "-out", str(certificate)],
            check=True,
            capture_output=True,
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        archive.socket = context.wrap_socket(archive.socket, server_side=True)
        url = archive.url.replace("http:", "https:")
        with pytest.raises(UnreachableError, match="MMCCD_PACS_CA_FILE"):
            Archive(PacsSettings(url=url, state=tmp_path)).series(UID)
        settings = PacsSettings(url=url, state=tmp_path, ca_file=str(certificate))
        (series,) = Archive(settings).series(UID)
        assert series.modality == "MR"
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(certificate)
        with pytest.raises(UnreachableError):
            Archive(settings).series(UID)
        ours = {"cert_file": str(certificate), "key_file": str(key)}
        (series,) = Archive(settings.model_copy(update=ours)).series(UID)
        assert series.modality == "MR"

    def test_what_is_no_dicomweb(self, tmp_path: Path, archive: FakeArchive) -> None:
        archive.store_answer = {"no": "list"}
        client = Archive(PacsSettings(url=archive.url, state=tmp_path))
        nobody = PacsSettings(url=f"http://127.0.0.1:{free_port()}", state=tmp_path)
        with pytest.raises(UnreachableError, match="cannot be reached"):
            Archive(nobody).store(UID, [])
        archive.files = [b"not a list"]
        with pytest.raises(UnavailableError, match="something else than DICOM JSON"):
            client._query(f"studies/{UID}/series/{UID}.5", {})

    def test_an_archive_that_is_down(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """``--once`` ends with 3 and one line; the state file says so, too."""
        monkeypatch.setattr("signal.signal", lambda *words: None)
        url = f"http://127.0.0.1:{free_port()}/dicom-web"
        assert run(["--once", "--url", url, "--state", str(tmp_path / "state")], {}) == 3
        errors = [line for line in capsys.readouterr().err.splitlines() if " ERROR " in line]
        assert len(errors) == 1
        assert "cannot be reached" in errors[0]
        status = json.loads((tmp_path / "state" / "status.json").read_text())
        assert (status["state"], status["exit_code"]) == ("failed", 3)

    def test_wrong_credentials(
        self,
        tmp_path: Path,
        archive: FakeArchive,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("signal.signal", lambda *words: None)
        archive.query_status = 401
        variables = {"MMCCD_PACS_USER": "someone", "MMCCD_PACS_PASSWORD": "secret-word"}
        assert (
            run(["--once", f"--url={archive.url}", "--state", str(tmp_path / "state")], variables)
            == 3
        )
        text = capsys.readouterr().err + (tmp_path / "state" / "status.json").read_text()
        assert "HTTP 401" in text
        assert not [secret for secret in (*SECRETS, "secret-word") if secret in text]


class TestSettings:
    """Words, variables, and what is refused."""

    GOOD = {"MMCCD_PACS_URL": "https://pacs.example/dicom-web/", "MMCCD_PACS_STATE": "/state"}

    def test_words_win_over_variables(self, tmp_path: Path) -> None:
        (tmp_path / "password").write_text("one two\n")
        variables = {
            "MMCCD_PACS_USER": "me",
            "MMCCD_PACS_PASSWORD_FILE": str(tmp_path / "password"),
            "MMCCD_PACS_DAYS": "3",
        }
        settings = read_pacs_settings(
            ["--days", "5", "--once"], {**self.GOOD, **variables, "MMCCD_PACS_POLL_S": ""}
        )
        assert (settings.url, settings.days, settings.once) == (
            "https://pacs.example/dicom-web",
            5,
            True,
        )
        assert (settings.poll_s, settings.password) == (30.0, "one two")
        assert "one two" not in repr(settings)

    @pytest.mark.parametrize(
        ("words", "variables", "text"),
        [
            (["--days", "many"], {}, "--days many: cannot be used; expected a whole number from 0"),
            (
                ["--poll-s", "nan"],
                {},
                "--poll-s nan: cannot be used; expected a number of seconds from 1",
            ),
            (["--attempts=0"], {}, "from 1 to 100"),
            (["--once=maybe"], {}, "true or false"),
            (["--once", "--once"], {}, "given twice"),
            (["--url"], {}, "needs a value"),
            (["--password", "x"], {}, "unknown"),
            (["here"], {}, "unexpected 'here'"),
            ([], {"MMCCD_PACS_URL": ""}, "no archive"),
            ([], {"MMCCD_PACS_STATE": ""}, "no state folder"),
            ([], {"MMCCD_PACS_URL": "ftp://pacs.example"}, "cannot be used"),
            (
                [],
                {"MMCCD_PACS_URL": "https://me:word@pacs.example"},
                "has a user or password in it",
            ),
            ([], {"MMCCD_PACS_USER": "me"}, "belong together"),
            ([], {"MMCCD_PACS_PASSWORD_FILE": "/no/such/file"}, "cannot be read"),
            ([], {"MMCCD_PACS_CA_FILE": "/no/such/file"}, "no such file"),
            ([], {"MMCCD_PACS_TOKEN_FILE": "/no/such/file"}, "expected a bearer token"),
            ([], {"MMCCD_PACS_CERT_FILE": "/no/such/file"}, "a certificate in PEM format"),
            (
                [],
                {
                    "MMCCD_PACS_TOKEN_FILE": __file__,
                    "MMCCD_PACS_USER": "me",
                    "MMCCD_PACS_PASSWORD": "word",
                },
                "expected one of them",
            ),
            ([], {"MMCCD_PACS_DAY": "3"}, "unknown setting"),
        ],
    )
    def test_what_is_refused(self, words: list[str], variables: dict[str, str], text: str) -> None:
        with pytest.raises(UsageError, match=text) as found:
            read_pacs_settings(words, {**self.GOOD, **variables})
        assert "word@" not in str(found.value)

    def test_exit_codes_of_the_front_end(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("signal.signal", lambda *words: None)
        assert run(["--help"], {}) == 0
        assert run([], {}) == 2
        assert run([], {**self.GOOD, "MMCCD_PRESET": "quick"}) == 2
        assert "MMCCD_PRESET" in capsys.readouterr().err


class TestMultipart:
    """Parts come out as they went in, in pieces of any size."""

    @pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10_000])
    def test_round_trip(self, tmp_path: Path, size: int) -> None:
        contents = [b"", b"\r\n--", b"--\r\n\r\n", bytes(range(256)) * 5]
        body, kind = pack(contents)
        pieces = (body[start : start + size] for start in range(0, len(body), size))
        assert save_parts(pieces, boundary_of(kind), tmp_path, first=3) == len(contents)
        assert [path.read_bytes() for path in sorted(tmp_path.iterdir())] == contents
        assert sorted(path.name for path in tmp_path.iterdir())[0] == "000003.dcm"

    def test_what_is_cut_off(self, tmp_path: Path) -> None:
        body, kind = pack([b"one", b"two"])
        for length in range(len(body) - 4):
            with pytest.raises(BrokenBodyError):
                save_parts(iter([body[:length]]), boundary_of(kind), tmp_path)

    @pytest.mark.parametrize(
        "kind", ["", "text/html", "multipart/related", "application/dicom; boundary=x"]
    )
    def test_other_types(self, kind: str) -> None:
        with pytest.raises(BrokenBodyError):
            boundary_of(kind)
