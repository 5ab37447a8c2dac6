"""What commands say on stdout."""

from __future__ import annotations

import json
import logging
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmccd.core import Report

logger = logging.getLogger(__name__)


def say(text: str) -> None:
    """One or more lines."""
    sys.stdout.write(text + "\n")


def say_json(content: Any) -> None:
    """One JSON document."""
    say(json.dumps(content, indent=2))


def say_result(report: Report, output: str) -> None:
    """A result for people: its warnings into the log, its volume on stdout."""
    for warning in report.warnings:
        logger.warning(warning)
    volumes, threshold = report.volumes_ml, report.threshold
    point = f" ({threshold.operating_point})" if threshold.operating_point else ""
    say(
        f"{volumes.anomalous:.1f} mL of {volumes.brain:.0f} mL above the threshold"
        f" {threshold.value:.4g}{point}; see {output}"
    )
