"""The extractors' names, for whoever only has to list them: nothing heavy is imported here."""

from __future__ import annotations


def extractor_names() -> tuple[str, ...]:
    """What can find the brain in a head."""
    return "mmccd", "hd-bet"
