"""A study that grows after it was done, what makes a study complete, and what is fetched of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.apps.pacs.fakes import (
    UID,
    Application,
    FakeArchive,
    FakeSeries,
    Make,
    record,
)

from mmccd.apps.pacs.archive import ArchivedSeries, UnavailableError
from mmccd.apps.pacs.settings import PacsSettings
from mmccd.apps.pacs.wanted import images
from mmccd.core import UnsuitableInputError
from mmccd.io import never_flair


class TestGrowth:
    """Done again where the choice could be another one, with the earlier report beside it."""

    def test_late_instances(
        self, tmp_path: Path, archive: FakeArchive, application: Application, make: Make
    ) -> None:
        """More objects of the series: done again once, under other objects; the earlier report is
        fetched with the images, and both results stay.
        """
        assert make().once() == 0
        first = record(tmp_path)
        (count,) = first["images"].values()
        assert count == 6
        archive.studies[UID].series[0].files = archive.files = [*archive.files, b"late"]
        service = make()
        assert [service.once(), service.once(), service.once()] == [0, 0, 0]
        assert application.seen == [6, 8], "seven images and our report"
        assert archive.fetched()[-1] == "2.25.12", "the report"
        assert len(archive.studies[UID].stored) == 2
        assert list(record(tmp_path)["images"].values()) == [7]

    def test_a_look_that_fails(
        self, tmp_path: Path, archive: FakeArchive, make: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A study that is done stays done, and is looked at again later."""
        service = make()
        assert service.once() == 0

        def down(study: str) -> list[ArchivedSeries]:
            raise UnavailableError("HTTP 500")

        with monkeypatch.context() as patched:
            patched.setattr(service.source, "series", down)
            with pytest.raises(UnavailableError):
                service.once()
        assert (record(tmp_path)["state"], record(tmp_path)["troubles"]) == ("done", 1)
        assert service.once() == 0
        assert (record(tmp_path)["state"], record(tmp_path)["troubles"]) == ("done", 0)

    def test_a_better_flair(
        self, archive: FakeArchive, application: Application, make: Make
    ) -> None:
        assert make().once() == 0
        late = FakeSeries(f"{UID}.6", archive.files, description="t2 space dark-fluid sag")
        archive.studies[UID].series.append(late)
        service = make()
        assert [service.once(), service.once()] == [0, 0]
        assert len(application.seen) == 2
        assert len(archive.studies[UID].stored) == 2

    def test_what_cannot_change_the_choice(
        self, tmp_path: Path, archive: FakeArchive, application: Application, make: Make
    ) -> None:
        """Our own results, and a series that is no FLAIR."""
        service = make()
        assert [service.once(), service.once()] == [0, 0]
        archive.studies[UID].series.append(FakeSeries(f"{UID}.7", [b"x"] * 30, "DWI b1000"))
        archive.studies[UID].series.append(FakeSeries(f"{UID}.8", [b"x"], modality="PR"))
        assert [service.once(), make().once()] == [0, 0]
        assert application.seen == [6]
        assert record(tmp_path)["state"] == "done"

    def test_the_same_results_are_not_stored_again(
        self,
        archive: FakeArchive,
        application: Application,
        make: Make,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """The choice was the same after all."""
        service = make()
        service.once()
        monkeypatch.setattr("mmccd.apps.pacs.service.series_of", lambda files: {"2.25.10"})
        archive.studies[UID].series.append(FakeSeries(f"{UID}.6", archive.files, "survey"))
        assert service.once() == 0
        assert len(application.seen) == 2
        assert len([path for path in archive.asked if path.startswith("store")]) == 1

    def test_a_study_that_grows_while_its_results_wait(
        self, archive: FakeArchive, application: Application, make: Make
    ) -> None:
        """They are stored first, and superseded then."""
        archive.store_status = 409
        service = make()
        assert service.once() == 5
        archive.studies[UID].series[0].files = archive.files = [*archive.files, b"late"]
        assert service.once() == 0
        assert application.seen == [6]
        archive.store_status = 200
        (parcel,) = service.outbox.parcels()
        for errand in parcel.errands.values():
            errand.due = ""
        parcel.write()
        service.once()
        service.once()
        assert application.seen == [6, 8]
        assert len(archive.studies[UID].stored) == 2


class TestSettled:
    """Two rules for when a study is complete."""

    def test_quiet(self, archive: FakeArchive, application: Application, make: Make) -> None:
        service = make(settle_s=3600)
        assert [service.once(), service.once()] == [0, 0]
        assert application.seen == []

    def test_equal_in_two_looks(
        self, archive: FakeArchive, application: Application, make: Make
    ) -> None:
        service = make(settle_s=3600, settled="looks")
        service.once()
        archive.studies[UID].series[0].promised = 5
        service.once()
        assert application.seen == []
        service.once()
        assert application.seen == [6]


class TestWanted:
    """What is fetched; where there is a doubt, it is."""

    def of(self, *told: tuple[str, str], **settings: str) -> list[str]:
        series = [
            ArchivedSeries(str(number), "MR", "Scanners", 30, description, body_part, "North")
            for number, (description, body_part) in enumerate(told)
        ]
        chosen = PacsSettings(url="http://here", state=Path("/state"), **settings)
        return [one.description for one in images(series, chosen)]

    @pytest.mark.parametrize(
        ("description", "never"),
        [
            ("t1_mprage_sag", True),
            ("T1 tra", True),
            ("DWI b1000", True),
            ("ep2d_diff_ADC", True),
            ("TOF 3D", True),
            ("t2_tirm_tra", False),
            ("t2 tra", False),
            ("t1 tirm tra", False),
            ("FLAIR", False),
            ("t2_space_dark-fluid", False),
            ("", False),
            ("Head routine", False),
        ],
    )
    def test_descriptions(self, description: str, never: bool) -> None:
        assert never_flair(description) is never

    def test_candidates(self) -> None:
        assert self.of(("t1 mprage", ""), ("flair", ""), ("t2 tra", ""), ("", "")) == [
            "flair",
            "t2 tra",
            "",
        ]
        assert self.of(("t1 mprage", ""), ("flair", ""), fetch="all") == ["t1 mprage", "flair"]

    @pytest.mark.parametrize(
        ("told", "found"),
        [
            ([("t2 sag", "KNEE"), ("pd", "KNEE")], False),
            ([("t2 sag", "LSPINE")], False),
            ([("t2 sag", "KNEE"), ("t2 sag", "")], True),
            ([("t2 sag", "KNEE"), ("t2 head", "KNEE")], True),
            ([("t2 sag", "BRAIN")], True),
            ([("FLAIR", "SPINE")], True),
            ([("t1", "BRAIN"), ("dwi", "BRAIN")], False),
        ],
    )
    def test_studies_without_a_brain_or_a_flair(
        self, told: list[tuple[str, str]], found: bool
    ) -> None:
        if found:
            assert self.of(*told)
            return
        with pytest.raises(UnsuitableInputError, match="MMCCD_PACS_FETCH=all") as error:
            self.of(*told)
        assert error.value.code == "series.no_candidate"

    def test_what_is_asked_for(self) -> None:
        told = ("FLAIR a", "HEAD"), ("FLAIR b", "")
        assert self.of(*told, description="flair B$") == ["FLAIR b"]
        assert self.of(*told, body_part="^(head|brain)$") == ["FLAIR a"]
        assert len(self.of(*told, institution="north")) == 2
        with pytest.raises(UnsuitableInputError, match="MMCCD_PACS_INSTITUTION"):
            self.of(*told, institution="south")

    def test_nothing_is_downloaded_of_a_knee(
        self, tmp_path: Path, archive: FakeArchive, application: Application, make: Make
    ) -> None:
        archive.studies[UID].series[0].body_part = "KNEE"
        assert make().once() == 4
        assert archive.fetched() == application.seen == []
        assert (record(tmp_path)["state"], record(tmp_path)["code"]) == (
            "refused",
            "series.no_candidate",
        )
