"""Whether anything can be written of what was chosen, before any work is done."""

from __future__ import annotations

from pathlib import Path

from mmccd.core import OutputChoice, UnsuitableInputError, Volume


def check_there_is_an_output(image: Volume, choice: OutputChoice, path: Path) -> None:
    """Refuse an input of which no DICOM object can be made, where nothing else is wanted.

    Args:
        image: as it was read.
        choice: what is to be written.
        path: of the input, for the message.

    Raises:
        UnsuitableInputError: there would be no result.
    """
    if choice.images:
        return
    reason = "the input is no DICOM series"
    if image.headers:
        # highdicom takes a second to load.
        from mmccd.outputs.dicom.source import refusal

        found = refusal(image)
        if found is None:
            return
        reason = found
    raise UnsuitableInputError(
        f"{path}: DICOM objects alone were asked for, and none can be made: {reason}; or let images"
        " be written, too (--outputs both)",
        "dicom.no_objects",
    )
