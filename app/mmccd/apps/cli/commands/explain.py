"""``mmccd explain``."""

from __future__ import annotations

from typing import Annotated

from mmccd.apps.cli.say import say_fitted
from mmccd.apps.parser import suggestion
from mmccd.core import Setting, UsageError, all_codes

_PAGES = {
    "brain": "brain.md",
    "brain_mask": "brain.md",
    "bundle": "bundles.md",
    "calibration": "evaluation.md#thresholds-and-the-normal-range",
    "checkpoint": "training.md",
    "dicom": "dicom.md",
    "image": "command_line.md#input",
    "input": "command_line.md#input",
    "mgh": "command_line.md#input",
    "model": "bundles.md",
    "nifti": "command_line.md#input",
    "nrrd": "command_line.md#input",
    "output": "command_line.md#what-predict-writes",
    "pack": "training.md",
    "preset": "bundles.md",
    "resource": "faq.md#how-much-memory",
    "study": "training.md#a-study-in-one-command",
    "training": "training.md",
    "usage": "command_line.md",
    "weights": "bundles.md",
}
"""Pages that say more, by the first half of a code; that of the checks is for all others."""
Code = Annotated[str, Setting("of an error, or of a finding in report.json: brain.too_small")]


def explain(code: Code) -> None:
    """Tell what the code of an error or a finding means.

    Examples:
        mmccd explain brain.too_small
        mmccd explain contrast.not_flair
    """
    known = all_codes()
    if code not in known:
        raise UsageError(
            f"explain: {code!r} is no code of ours{suggestion(code, known)}; docs/checks.md#codes"
            " lists them all"
        )
    kind, found = known[code]
    page = _PAGES.get(code.partition(".")[0], "checks.md")
    say_fitted(f"{code} ({kind}): {found}.\nMore: docs/{page}; all codes: docs/checks.md#codes")
