"""mmccd.outputs.index.curves: the visits of a patient over time."""

from __future__ import annotations

import pytest
from tests.outputs.index.cases import case, cohort

from mmccd.outputs.index.curves import HEIGHT, WIDTH, curves


def test_one_patient_of_several_visits() -> None:
    (found,) = curves(cohort())
    assert found.patient == "sub-7"
    assert [point.label for point in found.points] == ["1", "2", "3", "10"]
    assert [point.volume_ml for point in found.points] == [4.0, 6.5, 9.0, 11.0]
    assert (found.change_ml, found.top_ml, found.by_date) == (7.0, 20.0, False)
    assert all(0 < point.x < WIDTH and 0 < point.y < HEIGHT for point in found.points)
    heights = [point.y for point in found.points]
    assert heights == sorted(heights, reverse=True), "more is higher"


def test_dates_are_as_far_apart_as_they_are() -> None:
    days = ("2020-01-01", "20200111", "2020-04-10")
    cases = [case(f"p1_{day}", 1.0, patient="p1", visit=day) for day in days]
    (found,) = curves(cases)
    first, second, third = (point.x for point in found.points)
    assert found.by_date
    assert (second - first) / (third - first) == pytest.approx(0.1)


def test_runs_of_one_visit_are_no_follow_up() -> None:
    cases = [case(f"sub-1_run-{n}", 1.0, patient="sub-1", visit="") for n in (1, 2)]
    assert curves(cases) == []


def test_two_runs_of_a_visit_stand_above_each_other() -> None:
    cases = [
        case(f"sub-1_ses-{visit}_run-{run}", 1.0 + run, patient="sub-1", visit=visit)
        for visit, run in (("a", 1), ("a", 2), ("b", 1))
    ]
    (found,) = curves(cases)
    assert found.points[0].x == found.points[1].x < found.points[2].x


def test_labels_leave_room() -> None:
    cases = [case(f"p_{n}", 1.0, patient="p", visit=str(n)) for n in range(30)]
    (found,) = curves(cases)
    assert len(found.marked) <= 4
    assert (found.marked[0], found.marked[-1]) == (found.points[0], found.points[-1])


def test_nothing_found_is_a_line_at_the_bottom() -> None:
    cases = [case(f"p_{n}", 0.0, patient="p", visit=str(n)) for n in range(2)]
    (found,) = curves(cases)
    assert {point.y for point in found.points} == {HEIGHT - 30}
