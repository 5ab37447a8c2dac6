"""``mmccd doctor``."""

from __future__ import annotations

import os
from typing import Annotated

from mmccd import core
from mmccd.apps.cli.say import say_fitted, say_json
from mmccd.apps.parser import Only
from mmccd.core import Setting

SHARED = Only("bundles")
Json = Annotated[bool, Setting("print it as JSON")]
Archive = Annotated[
    str | None,
    Setting(
        "root of an archive's DICOMweb service: say what of it works for the service beside it,"
        " with its MMCCD_PACS_* variables",
        unit="url",
        page="archive.md#connect-it",
    ),
]


def doctor(
    settings: Annotated[core.Settings, SHARED], archive: Archive = None, json: Json = False
) -> int:
    """Tell what this machine can do, and which bundles, weights and calibrations are found.

    Examples:
        mmccd doctor
        mmccd doctor --archive https://pacs.example/dicom-web
        mmccd doctor --json
    """
    from mmccd.apps.cli.doctor import describe, examine, examine_archive

    findings = examine(settings.bundles)
    if archive is not None:
        findings["archive"] = examine_archive(archive, os.environ)
        findings["exit_code"] = findings["exit_code"] or findings["archive"]["exit_code"]
    if json:
        say_json(findings)
    else:
        say_fitted("\n".join([describe(findings), *findings.get("archive", {}).get("lines", ())]))
    return int(findings["exit_code"])
