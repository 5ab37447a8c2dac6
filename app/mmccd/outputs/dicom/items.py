"""Items of sequences that several objects have."""

from __future__ import annotations

from typing import Any

from pydicom.dataset import Dataset


def reference_to(header: Dataset) -> Dataset:
    """The reference to an object (PS3.3, table 10-11)."""
    item = Dataset()
    item.ReferencedSOPClassUID = header.SOPClassUID
    item.ReferencedSOPInstanceUID = header.SOPInstanceUID
    return item


def coded(code: Any) -> Dataset:
    """A code of pydicom's dictionary as an item (PS3.3, table 8.8-1)."""
    item = Dataset()
    item.CodeValue = code.value
    item.CodingSchemeDesignator = code.scheme_designator
    item.CodeMeaning = code.meaning
    return item
