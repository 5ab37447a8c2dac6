"""mmccd: its public face, and where its version stands."""

from __future__ import annotations

import configparser
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import mmccd
from mmccd import core, io, pipeline


def test_names_of_the_readme() -> None:
    assert mmccd.AnomalyPipeline is pipeline.AnomalyPipeline
    assert mmccd.read_volume is io.read_volume
    assert (mmccd.Volume, mmccd.Result) == (core.Volume, core.Result)
    assert (mmccd.Settings, mmccd.MmccdError) == (core.Settings, core.MmccdError)
    assert "Not for diagnosis" in mmccd.NOTICE
    assert set(mmccd.__all__) >= {"AnomalyPipeline", "NOTICE", "Settings", "__version__"}
    with pytest.raises(AttributeError, match="no_such_name"):
        mmccd.no_such_name  # type: ignore[attr-defined]  # noqa: B018


def test_importing_it_costs_and_touches_nothing() -> None:
    code = (
        "import logging, sys, warnings; before = list(warnings.filters);"
        "import mmccd; from mmccd import core;"
        "assert warnings.filters == before; assert not logging.root.handlers;"
        "loaded = {'torch', 'monai', 'numpy', 'matplotlib', 'pydantic'} & set(sys.modules);"
        "sys.exit(bool(loaded))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_types_are_published(project: Path) -> None:
    assert (project / "app" / "mmccd" / "py.typed").is_file()
    setup = configparser.ConfigParser()
    setup.read(project / "setup.cfg")
    assert "py.typed" in setup["options.package_data"]["*"]


def test_the_version_stands_in_one_place(project: Path) -> None:
    """setup.cfg; manifests of other programs repeat it."""
    setup = configparser.ConfigParser()
    setup.read(project / "setup.cfg")
    version = setup["metadata"]["version"]
    assert mmccd.__version__ == version
    manifest = yaml.safe_load((project / "app" / "app.yaml").read_text())
    assert manifest["application"]["version"] == version
    assert yaml.safe_load((project / "CITATION.cff").read_text())["version"] == version
