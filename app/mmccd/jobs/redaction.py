"""Texts without anything of the patient."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from mmccd.jobs.task import Task

_DAY = r"(?:no date|\d{4}-\d\d-\d\d), "
_UID = re.compile(rf"\((?:{_DAY})?(?:no valid )?UID[0-9. ]*\)|\b\d+(?:\.\d+){{4,}}\b")
"""What is marked as a UID, with the date of its study, and what has five parts or more: versions
have fewer.
"""


class Redactor:
    """Takes out of a text what may name a patient: paths (archives name folders after patients) and
    UIDs.

    Args:
        names: what stands for each path.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = sorted(names.items(), key=lambda item: -len(item[0]))

    @classmethod
    def of(cls, tasks: Iterable[Task]) -> Redactor:
        """One that knows what each task hides."""
        return cls({str(path): task.shown for task in tasks for path in task.hidden_paths})

    def also(self, path: object, name: str) -> Redactor:
        """One that knows another path as well."""
        return Redactor({**dict(self.names), str(path): name})

    def __call__(self, text: str) -> str:
        """The text on one line, cleaned."""
        for path, name in self.names:
            text = text.replace(path, name)
        return " ".join(_UID.sub("(UID)", text).split())
