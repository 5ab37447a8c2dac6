"""Objects from series of any geometry: valid, and where the voxels are."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings, strategies as st
from tests.outputs.dicom.geometries import (
    PLANES,
    Geometry,
    errors,
    long_numbers,
    misplaced_mm,
    random_geometry,
    said_by_dciodvfy,
    write_objects,
)

QUICK, MANY = 6, 24
OFF_MM = 0.001
NO_SHRINKING = (Phase.explicit, Phase.generate)


def angle() -> st.SearchStrategy[float]:
    """Not turned, turned a little, turned a lot."""
    return st.sampled_from([0.0, 1e-4, 45.0]) | st.floats(-60.0, 60.0)


def geometries() -> st.SearchStrategy[Geometry]:
    return st.builds(
        Geometry,
        plane=st.sampled_from(sorted(PLANES)),
        angles=st.tuples(angle(), angle(), angle()),
        flips=st.tuples(st.booleans(), st.booleans(), st.booleans()),
        spacing=st.tuples(st.floats(0.3, 2.0), st.floats(0.3, 2.0), st.floats(0.5, 7.0)),
        shape=st.tuples(st.integers(10, 24), st.integers(10, 24), st.integers(5, 10)),
        origin=st.tuples(*[st.floats(-300.0, 300.0)] * 3),
        multi_frame=st.booleans(),
        seed=st.integers(0, 9),
    )


def check(geometry: Geometry) -> None:
    with tempfile.TemporaryDirectory() as name:
        result, paths = write_objects(geometry, Path(name))
        assert len(paths) > 3, result.report.warnings
        assert misplaced_mm(result, Path(name) / "dicom" / "segmentation.dcm") < OFF_MM
        for path in paths:
            assert long_numbers(path) == [], path.name
            if shutil.which("dciodvfy"):
                assert errors(said_by_dciodvfy(path)) == [], path.name


@settings(max_examples=QUICK, deadline=None, derandomize=True, database=None, phases=NO_SHRINKING)
@given(geometries())
def test_any_geometry(geometry: Geometry) -> None:
    check(geometry)


@pytest.mark.slow
@settings(
    max_examples=MANY,
    deadline=None,
    database=None,
    phases=NO_SHRINKING,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(geometries())
def test_many_geometries(geometry: Geometry) -> None:
    check(geometry)


def test_directions_have_all_their_digits() -> None:
    """Else the long numbers would not be tried."""
    affines = [random_geometry(seed).affine for seed in range(20)]
    assert sum(len(repr(float(affine[0, 0]))) > 16 for affine in affines) > 10
