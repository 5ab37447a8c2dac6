"""JSON files of a bundle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mmccd.core import ModelError


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file.

    Raises:
        ModelError: the file is missing or damaged, or holds something else.
    """
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise ModelError(
            f"{path}: no such file; expected a complete bundle; restore it from the distribution",
            code="bundle.missing",
        ) from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ModelError(
            f"{path}: cannot be read ({error}); restore it from the distribution",
            code="bundle.damaged",
        ) from error
    if not isinstance(content, dict):
        raise ModelError(
            f"{path}: holds a {type(content).__name__}, expected an object; restore it from the"
            " distribution",
            code="bundle.damaged",
        )
    return content
