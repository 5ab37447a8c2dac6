"""What a run finds out of the ordinary: a stable code for programs, a sentence for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["refusal", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """Something that whoever uses a result should know.

    Attributes:
        code: stable name (docs/checks.md lists them all); programs read it, and never the text.
        text: one sentence: what was found, what was expected, the way out.
        severity: ``refusal`` makes an input unsuitable, unless its user wants it all the same;
            ``warning`` puts the result in doubt; ``note`` says how it came about.
    """

    code: str
    text: str
    severity: Severity = "warning"

    @property
    def refuses(self) -> bool:
        """Whether it makes the input unsuitable."""
        return self.severity == "refusal"
