"""Elements of a header as plain values, whatever a file makes of their types."""

from __future__ import annotations

import logging
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError

# pydicom and highdicom report oddities of a header, values included, on stderr; a value may be the
# patient's name.
for _name in ("pydicom", "highdicom", "openjpeg"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)

READ_ERRORS = (
    InvalidDicomError,
    BytesLengthException,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""What pydicom, highdicom and the codecs raise on damaged files. Their messages are never passed
on: they can quote the header.
"""


class Unvalidated:
    """Switches a validation of pydicom off while anybody wants it so. It is one setting for all
    threads: the last one that leaves puts back what the first one found.

    Args:
        setting: ``reading_validation_mode`` or ``writing_validation_mode``.
    """

    def __init__(self, setting: str) -> None:
        self._setting = setting
        self._lock = threading.Lock()
        self._inside = 0
        self._found = 0

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """For the time of the block."""
        settings = pydicom.config.settings
        with self._lock:
            if not self._inside:
                self._found = getattr(settings, self._setting)
                setattr(settings, self._setting, pydicom.config.IGNORE)
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if not self._inside:
                    setattr(settings, self._setting, self._found)


_unvalidated_reading = Unvalidated("reading_validation_mode")


@contextmanager
def quiet() -> Iterator[None]:
    """Read without validation and without warnings: both quote the header."""
    with _unvalidated_reading(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def values_of(dataset: Dataset, key: str) -> list[Any]:
    """An element's values; none where it is missing, empty or not what its type promises."""
    try:
        value = dataset.get(key)
    except READ_ERRORS:
        return []
    if value is None or (isinstance(value, str) and not value.strip()):
        return []
    return list(value) if isinstance(value, pydicom.multival.MultiValue | list | tuple) else [value]


def text_of(dataset: Dataset, key: str) -> str:
    """An element's first value; "" where there is none."""
    values = values_of(dataset, key)
    return str(values[0]).strip(" \0\t\r\n") if values else ""


def numbers_of(dataset: Dataset, key: str, count: int) -> NDArray[np.float64] | None:
    """An element's values, shape ``(count,)``; None where they are others, or not finite."""
    try:
        numbers = np.array([float(value) for value in values_of(dataset, key)], dtype=np.float64)
    except READ_ERRORS:
        return None
    return numbers if numbers.shape == (count,) and np.isfinite(numbers).all() else None


def number_of(dataset: Dataset, key: str) -> float | None:
    """An element's first value; None where it is not a finite number."""
    try:
        value = float(values_of(dataset, key)[0])
    except READ_ERRORS:
        return None
    return value if np.isfinite(value) else None
