"""mmccd.core.errors: one class per exit code, and the worst of several."""

from __future__ import annotations

import itertools

import pytest

from mmccd.core import errors

CODES = {
    errors.UsageError: 2,
    errors.InputError: 3,
    errors.UnsuitableInputError: 4,
    errors.OutputError: 5,
    errors.ModelError: 6,
    errors.ResourceError: 7,
    errors.CancelledError: 143,
}


@pytest.mark.parametrize(("error", "code"), CODES.items())
def test_exit_codes_of_the_contract(error: type[errors.MmccdError], code: int) -> None:
    assert error.exit_code == code
    assert issubclass(error, errors.MmccdError)
    assert str(error("scan.nii: is empty")) == "scan.nii: is empty"


def test_no_class_is_missing_here() -> None:
    ours = {
        error for error in errors.MmccdError.__subclasses__() if error.__module__ == errors.__name__
    }
    assert ours == set(CODES)
    assert errors.MmccdError.exit_code == 1


def test_the_worst_code_in_the_order_of_the_contract() -> None:
    order = [1, 6, 7, 5, 3, 4, 0]
    for better, worse in itertools.combinations(reversed(order), 2):
        assert errors.worst_exit_code([better, worse, better]) == worse
        assert errors.worst_exit_code([worse, better]) == worse


@pytest.mark.parametrize(("codes", "expected"), [([], 0), ([0, 0], 0), ([4], 4)])
def test_worst_code_of_few(codes: list[int], expected: int) -> None:
    assert errors.worst_exit_code(codes) == expected
