"""The model card of exported weights, written from their card."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_NAMES = {"flair": "FLAIR", "t1": "T1", "t2": "T2"}
_SETTINGS = (
    "batch_size",
    "learning_rate",
    "optimizer",
    "ema_momentum",
    "warmup_iterations",
    "decay_share",
    "precision",
    "seed",
    "corruption",
    "strip_width",
    "veil_sd",
    "blind_share",
)


def model_card(card: Mapping[str, Any], file: str) -> str:
    """A page in Markdown.

    Args:
        card: of the weights, see :class:`~mmccd.bundle.Weights`.
        file: the weight file, relative to the bundle.
    """
    rows = "".join(f"| {name} | {text} |\n" for name, text in _rows(card, file))
    return (
        f"# Model card: {_title(card)}\n\n"
        "**Research use only, not a medical device.** "
        "Written by `mmccd export` from what the checkpoint says of its training.\n\n"
        f"| | |\n|---|---|\n{rows}{_resumed(card)}"
    )


def _title(card: Mapping[str, Any]) -> str:
    if "source" not in card:
        return str(card.get("task", "weights")).replace("_", " ")
    source, target = (_NAMES.get(card[key], card[key]) for key in ("source", "target"))
    return f"{source} to {target}"


def _rows(card: Mapping[str, Any], file: str) -> Iterator[tuple[str, str]]:
    yield "file", f"`{file}`, float16; SHA-256 `{card['sha256']}`"
    yield "network", _listed(card["network"])
    yield "data", _cell(card.get("data")) or "not said (`--data` of the training)"
    for name, value in card.get("fingerprints", {}).items():
        yield f"fingerprint of the {name} data", f"`{value}`"
    yield "licence of the data", _cell(card.get("licence")) or "not said (`--licence`)"
    if card.get("research_only"):
        yield "use", "research only: these weights may not ship"
    for modality, settings in card.get("normalisation", {}).items():
        yield f"normalisation of {_NAMES.get(modality, modality)}", _listed(settings)
    yield "training", _training(card)
    settings = {name: card[name] for name in _SETTINGS if card.get(name) is not None}
    if settings:
        yield "settings", _listed(settings)
    if card.get("validation"):
        yield "validation", _listed(card["validation"])
    if card.get("cycle"):
        yield "trained behind", ", ".join(f"{k} `{v}`" for k, v in card["cycle"].items())
    if card.get("command"):
        yield "command", f"`{_cell(card['command'])}`"
    if card.get("versions"):
        yield "versions", _listed(card["versions"])


def _training(card: Mapping[str, Any]) -> str:
    parts = [f"epoch {card['epoch']} of {card.get('max_epochs', 'unknown')}"]
    if "slices" in card:
        parts.append(f"{card['slices']} slices")
    if "minutes" in card:
        parts.append(f"{card['minutes']:.1f} minutes until then")
    return ", ".join(parts)


def _resumed(card: Mapping[str, Any]) -> str:
    """What changed on the way, where a training went on with other settings."""
    lines = [
        f"- after epoch {part['epoch']}, `{_cell(name)}`: {_cell(was)}, then {_cell(now)}\n"
        for part in card.get("resumed", ())
        for name, (was, now) in part["changed"].items()
    ]
    if not lines:
        return ""
    return (
        "\n## Not of one piece\n\nThe training was resumed with other data or settings:\n\n"
        + "".join(lines)
    )


def _listed(content: Mapping[str, Any]) -> str:
    return ", ".join(f"{_cell(key)} {_cell(value)}" for key, value in content.items())


def _cell(value: Any) -> str:
    """A value as a cell of a table."""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return f"({_listed(value)})"
    return " ".join(str(value).split()).replace("|", "\\|")
