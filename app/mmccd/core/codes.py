"""All codes of errors and findings, and what each means: ``codes.json`` says it, one a line."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import resources


@lru_cache(maxsize=1)
def all_codes() -> dict[str, tuple[str, str]]:
    """What each code is (``warning``, ``exit 4``) and what was found, by code, sorted."""
    text = (resources.files("mmccd.core") / "codes.json").read_text(encoding="utf-8")
    return {code: (kind, found) for code, (kind, found) in json.loads(text).items()}
