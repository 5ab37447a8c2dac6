"""Results that are stored by C-STORE, and promised to be kept: Orthanc, dcmtk's storescp, and
archives that misbehave.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    Comprehensive3DSRStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)
from pynetdicom import AE, build_context, evt
from pynetdicom.presentation import build_role
from tests.apps.pacs.dimse.parties import (
    HERE,
    STUDY,
    peer,
    running,
    same_objects,
    settings,
    study,
)
from tests.apps.pacs.orthanc import free_port, running_orthanc

from mmccd.apps.pacs.archive import (
    ArchiveError,
    Destination,
    ExchangeError,
    FullError,
    NotAllowedError,
    UnavailableError,
    UnreachableError,
)
from mmccd.apps.pacs.dimse.commitment import FILE
from mmccd.apps.pacs.dimse.uids import COMMIT, COMMIT_INSTANCE, OWN
from mmccd.apps.pacs.dimse.ways import opened

KINDS = (
    (SegmentationStorage, "SEG"),
    (Comprehensive3DSRStorage, "SR"),
    (SecondaryCaptureImageStorage, "OT"),
)


@pytest.fixture
def results(tmp_path: Path) -> list[Path]:
    """One object of each kind."""
    files = []
    for number, (kind, modality) in enumerate(KINDS):
        folder = tmp_path / f"result-{number}"
        found = study(folder, slices=1, SOPClassUID=kind, Modality=modality)[0]
        dataset = pydicom.dcmread(found)
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"{STUDY}.9{number}"
        dataset.file_meta.MediaStorageSOPClassUID = kind
        dataset.save_as(found)
        files.append(found)
    return files


@contextlib.contextmanager
def destination(port: int, folder: Path, listen: int = 0, **words: Any) -> Iterator[Destination]:
    """Where results go, with ``--source web``."""
    given = {"url": "http://127.0.0.1:9/x", "store": f"PACS@{HERE}:{port}", "silence_s": 3, **words}
    if given.get("commit"):
        given["listen"] = f"{HERE}:{listen or free_port()}"
    with opened(settings(folder / "state", **given)) as ways:
        (one,) = ways.destinations
        yield one


class TestOrthanc:
    @pytest.mark.parametrize("commit", [False, True])
    def test_stored_and_committed(
        self, tmp_path: Path, results: list[Path], commit: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        listen = free_port()
        modality = {
            "AET": "MMCCD",
            "Host": HERE,
            "Port": listen,
            "AllowStorageCommitment": True,
            "AllowStore": True,
        }
        words = {"DicomAet": "PACS", "DicomModalities": {"mmccd": modality}}
        with running_orthanc(tmp_path / "archive", **words) as archive:
            with destination(archive.dicom, tmp_path, listen, commit=commit, commit_s=20) as one:
                one.store(STUDY, results)
                one.store(STUDY, results)  # objects that are there count as stored
            found = archive.ask("instances")
            assert len(found) == 3
            for number, name in enumerate(found):
                (tmp_path / f"{number}.dcm").write_bytes(archive.read(f"instances/{name}/file"))
        same_objects(sorted(tmp_path.glob("*.dcm")), results)
        assert STUDY not in caplog.text
        if commit:
            text = (tmp_path / "state" / FILE).read_text()
            assert '"kept": {}' in text and '"asked": {}' in text
            assert STUDY not in text


def test_storescp(tmp_path: Path, results: list[Path]) -> None:
    """One that takes implicit VR alone: objects are sent in that form."""
    port = free_port()
    (tmp_path / "taken").mkdir()
    words = ["storescp", "-aet", "PACS", "+xi", "-od", tmp_path / "taken", "-pm", port]
    with running(words, port), destination(port, tmp_path) as one:
        one.store(STUDY, results)
    taken = sorted((tmp_path / "taken").iterdir())
    same_objects(taken, results)
    forms = {pydicom.dcmread(path).file_meta.TransferSyntaxUID for path in taken}
    assert forms == {ImplicitVRLittleEndian}


@contextlib.contextmanager
def storing(code: int | list[int]) -> Iterator[int]:
    codes = list(code) if isinstance(code, list) else [code] * 9
    with peer(OWN, [(evt.EVT_C_STORE, lambda event: codes.pop(0))]) as port:
        yield port


class TestAnswers:
    @pytest.mark.parametrize("code", [0xB000, 0xB006, 0xB007, 0x0111])
    def test_stored_all_the_same(
        self, tmp_path: Path, results: list[Path], code: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        """With a warning, or because they were there."""
        with storing(code) as port, destination(port, tmp_path) as one:
            one.store(STUDY, results)
        assert (f"with a warning (status {code:04X})" in caplog.text) == (code >= 0xB000)

    @pytest.mark.parametrize(
        ("codes", "kind", "message"),
        [
            ([0xA700], FullError, "has no room .status A700"),
            ([0, 0xA701], FullError, "has no room .status A701"),
            ([0x0124], NotAllowedError, "does not let us store"),
            ([0, 0xA900, 0], ExchangeError, "refused 1 of 3 objects .status A900"),
            ([0xC000, 0, 0xC123], ExchangeError, "refused 2 of 3 objects .status C000, C123"),
            ([0x0110, 0x0110, 0x0122], ExchangeError, "refused 3 of 3 objects"),
        ],
    )
    def test_refused(
        self,
        tmp_path: Path,
        results: list[Path],
        codes: list[int],
        kind: type[ArchiveError],
        message: str,
    ) -> None:
        with (
            storing(codes) as port,
            destination(port, tmp_path) as one,
            pytest.raises(kind, match=message) as found,
        ):
            one.store(STUDY, results)
        assert found.value.exit_code == 5

    def test_a_kind_that_is_not_taken(self, tmp_path: Path, results: list[Path]) -> None:
        handlers = [(evt.EVT_C_STORE, lambda event: 0)]
        with (
            peer([SegmentationStorage], handlers) as port,
            destination(port, tmp_path) as one,
            pytest.raises(ExchangeError, match="objects of the class (Compre|Secondary)"),
        ):
            one.store(STUDY, results)

    def test_one_that_is_silent(self, tmp_path: Path, results: list[Path]) -> None:
        handlers = [(evt.EVT_C_STORE, lambda event: time.sleep(5) or 0)]
        with (
            peer(OWN, handlers) as port,
            destination(port, tmp_path, silence_s=1) as one,
            pytest.raises(UnreachableError, match="storing an object was broken off"),
        ):
            one.store(STUDY, results)

    def test_one_that_ends_the_connection(self, tmp_path: Path, results: list[Path]) -> None:
        handlers = [(evt.EVT_C_STORE, lambda event: event.assoc.abort() or 0)]
        with (
            peer(OWN, handlers) as port,
            destination(port, tmp_path) as one,
            pytest.raises(UnreachableError),
        ):
            one.store(STUDY, results)

    def test_nobody_is_there(self, tmp_path: Path, results: list[Path]) -> None:
        with (
            destination(free_port(), tmp_path) as one,
            pytest.raises(UnreachableError, match="cannot be reached") as found,
        ):
            one.store(STUDY, results)
        assert found.value.exit_code == 5

    def test_a_result_that_is_none(self, tmp_path: Path) -> None:
        (tmp_path / "x.dcm").write_text("no DICOM")
        with (
            storing(0) as port,
            destination(port, tmp_path) as one,
            pytest.raises(ExchangeError, match=r"x.dcm \(InvalidDicomError\) cannot be read"),
        ):
            one.store(STUDY, [tmp_path / "x.dcm"])


class Keeper:
    """An archive that promises to keep as it is told.

    Attributes:
        listen: where its answers go; 0: on the association of the question.
        wait_s: before it answers.
        failed: number of objects that it does not keep.
        silent: whether it answers at all.
    """

    def __init__(self) -> None:
        self.listen, self.wait_s, self.failed, self.silent, self.status = 0, 0.0, 0, False, 0
        self.stored: list[str] = []
        self.asked: list[Dataset] = []
        self.answers: list[int] = []

    @contextlib.contextmanager
    def running(self) -> Iterator[int]:
        handlers = [
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_N_ACTION, self._action),
            (evt.EVT_DIMSE_SENT, self._sent),
        ]
        with peer([*OWN, COMMIT], handlers) as port:
            yield port

    def _store(self, event: Any) -> int:
        self.stored.append(str(event.request.AffectedSOPInstanceUID))
        return 0

    def _action(self, event: Any) -> tuple[int, None]:
        assert event.action_type == 1
        self.asked.append(event.action_information)
        return self.status, None

    def _sent(self, event: Any) -> None:
        """When the question has been answered."""
        if "N_ACTION_RSP" not in type(event.message).__name__ or self.silent or self.status:
            return
        threading.Thread(target=self.answer, args=(event.assoc,)).start()

    def answer(self, association: Any = None, asked: Dataset | None = None) -> None:
        time.sleep(self.wait_s)
        said = asked or self.asked[-1]
        objects = list(said.ReferencedSOPSequence)
        answer = Dataset()
        answer.TransactionUID = said.TransactionUID
        kept = objects[self.failed :]
        if kept:
            answer.ReferencedSOPSequence = kept
        if self.failed:
            answer.FailedSOPSequence = objects[: self.failed]
            for item in answer.FailedSOPSequence:
                item.FailureReason = 0x0112
        words = (answer, 2 if self.failed else 1, COMMIT, COMMIT_INSTANCE)
        if not self.listen:
            self.answers.append(association.send_n_event_report(*words)[0].Status)
            return
        roles = [build_role(COMMIT, scp_role=True)]
        one = AE("PACS").associate(
            HERE, self.listen, [build_context(COMMIT)], "MMCCD", ext_neg=roles
        )
        assert one.is_established
        assert one.accepted_contexts[0].as_scp, "the role that was asked for is given"
        self.answers.append(one.send_n_event_report(*words)[0].Status)
        one.release()


@pytest.fixture
def keeper() -> Keeper:
    return Keeper()


class TestCommitment:
    @pytest.mark.parametrize("where", ["same", "new"])
    def test_it_promises(
        self, tmp_path: Path, results: list[Path], keeper: Keeper, where: str
    ) -> None:
        """On the same association, or on one of its own."""
        listen = free_port()
        keeper.listen = listen if where == "new" else 0
        with (
            keeper.running() as port,
            destination(port, tmp_path, listen, commit=True, commit_s=8) as one,
        ):
            one.store(STUDY, results)
        assert len(keeper.stored) == 3
        assert keeper.answers == [0]
        asked = {str(one.ReferencedSOPClassUID) for one in keeper.asked[0].ReferencedSOPSequence}
        assert asked == {str(kind) for kind, _ in KINDS}

    def test_it_does_not_keep_all(
        self, tmp_path: Path, results: list[Path], keeper: Keeper, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Then only what it does not keep is stored again."""
        keeper.failed = 2
        with (
            keeper.running() as port,
            destination(port, tmp_path, commit=True, commit_s=8) as one,
        ):
            with pytest.raises(ExchangeError, match="does not keep 2 of 3 objects") as found:
                one.store(STUDY, results)
            assert found.value.exit_code == 5
            assert len(keeper.stored) == 3
            keeper.failed = 0
            one.store(STUDY, results)
        assert len(keeper.stored) == 5
        assert len(set(keeper.stored[3:]) | set(keeper.stored[:3])) == 3

    def test_it_does_not_promise_in_time(
        self, tmp_path: Path, results: list[Path], keeper: Keeper
    ) -> None:
        """Stored again later, after a restart, too; unless the promise comes meanwhile."""
        keeper.silent, keeper.listen = True, free_port()
        with keeper.running() as port:
            words = {"commit": True, "commit_s": 1}
            with (
                destination(port, tmp_path, keeper.listen, **words) as one,
                pytest.raises(ExchangeError, match="has not promised within 1 s to keep 3"),
            ):
                one.store(STUDY, results)
            with destination(port, tmp_path, keeper.listen, **words) as one:
                with pytest.raises(ExchangeError, match="has not promised"):
                    one.store(STUDY, results)
                assert len(keeper.stored) == 6
                keeper.answer(asked=keeper.asked[0])  # to the first question, before the restart
            assert keeper.answers == [0]
            with destination(port, tmp_path, keeper.listen, **words) as one:
                one.store(STUDY, results)
                assert len(keeper.stored) == 6, "nothing is sent again"

    def test_promises_that_nobody_has_asked_for(
        self, tmp_path: Path, results: list[Path], keeper: Keeper, caplog: pytest.LogCaptureFixture
    ) -> None:
        keeper.silent, keeper.listen = True, free_port()
        with (
            keeper.running() as port,
            destination(port, tmp_path, keeper.listen, commit=True, commit_s=1) as one,
        ):
            with pytest.raises(ExchangeError):
                one.store(STUDY, results)
            keeper.asked[0].TransactionUID = "1.2.3"
            keeper.answer()
            assert keeper.answers == [0x0112]
            with pytest.raises(ExchangeError):
                one.store(STUDY, results)
        assert "that nobody has asked for" in caplog.text

    @pytest.mark.parametrize("code", [0x0110, 0x0213])
    def test_it_does_not_take_the_question(
        self, tmp_path: Path, results: list[Path], keeper: Keeper, code: int
    ) -> None:
        keeper.status = code
        with (
            keeper.running() as port,
            destination(port, tmp_path, commit=True) as one,
            pytest.raises(UnavailableError, match=f"status {code:04X}"),
        ):
            one.store(STUDY, results)

    def test_it_does_not_know_commitment(self, tmp_path: Path, results: list[Path]) -> None:
        with (
            storing(0) as port,
            destination(port, tmp_path, commit=True) as one,
            pytest.raises(UnavailableError, match="takes nothing of what was proposed"),
        ):
            one.store(STUDY, results)

    @pytest.mark.parametrize("text", ["", "{", '{"version": 2}', '{"version": 1, "asked": 3}'])
    def test_a_damaged_file(
        self, tmp_path: Path, results: list[Path], keeper: Keeper, text: str
    ) -> None:
        (tmp_path / "state").mkdir()
        (tmp_path / "state" / FILE).write_text(text)
        with keeper.running() as port, destination(port, tmp_path, commit=True) as one:
            one.store(STUDY, results)
        assert len(keeper.stored) == 3


def forms(paths: Sequence[Path]) -> set[str]:
    return {str(pydicom.dcmread(path).file_meta.TransferSyntaxUID) for path in paths}


def test_results_are_explicit(results: list[Path]) -> None:
    """What the tests above send is what the service makes."""
    assert forms(results) == {ExplicitVRLittleEndian}
