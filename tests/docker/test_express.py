"""docker/express/mmccd.json against the specification of clinical workflows (MONAI Deploy Workflow
Manager) and the arguments of its Docker plug-in; it has not been run there, for want of a daemon.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml
from tests.conftest import PROJECT
from tests.docker.scripts import load

from mmccd.apps.map.settings import read_settings
from mmccd.core import PREFIX

prepare = load("prepare")
ENV = "env_"
REQUIRED = ("server_url", "entrypoint", "command", "container_image", "temp_storage_container_path")
LONGEST_NAME, LONGEST_DESCRIPTION = 15, 200


@pytest.fixture(scope="module")
def workflow() -> dict[str, Any]:
    return dict(json.loads((PROJECT / "docker" / "express" / "mmccd.json").read_text()))


@pytest.fixture(scope="module")
def tasks(workflow: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {task["id"]: task for task in workflow["tasks"]}


def test_names(workflow: dict[str, Any], tasks: dict[str, Any]) -> None:
    assert 0 < len(workflow["name"]) <= LONGEST_NAME
    assert len(workflow["description"]) <= LONGEST_DESCRIPTION
    assert re.fullmatch(r"\d+\.\d+\.\d+", workflow["version"])
    assert len(tasks) == len(workflow["tasks"])
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,50}", name) for name in tasks)


def test_each_task_has_what_its_kind_needs(tasks: dict[str, Any]) -> None:
    kinds = [task["type"] for task in tasks.values()]
    assert kinds == ["router", "docker", "export"]
    for task in tasks.values():
        assert task["description"]
        if task["type"] == "docker":
            assert set(REQUIRED) <= set(task["args"])
            assert all(isinstance(text, str) and text for text in task["args"].values())
        if task["type"] != "router":
            assert set(task["artifacts"]) == {"input", "output"}


def test_every_destination_exists(workflow: dict[str, Any], tasks: dict[str, Any]) -> None:
    named = [one["name"] for task in tasks.values() for one in task.get("task_destinations", ())]
    assert set(named) == set(tasks) - {workflow["tasks"][0]["id"]}, "each task is reached, once"
    exports = workflow["informatics_gateway"]["export_destinations"]
    assert [one["name"] for one in tasks["export"]["export_destinations"]] == exports


def test_what_is_exported_is_the_application_s_output(tasks: dict[str, Any]) -> None:
    (made,) = tasks["mmccd"]["artifacts"]["output"]
    (sent,) = tasks["export"]["artifacts"]["input"]
    assert sent["value"] == f"{{{{ context.executions.mmccd.artifacts.{made['name']} }}}}"
    assert made["mandatory"] is True


def test_folders_are_those_of_the_image(tasks: dict[str, Any]) -> None:
    """The plug-in mounts an artifact at the path that the argument of its name has."""
    arguments = tasks["mmccd"]["args"]
    config = yaml.safe_load((PROJECT / "app" / "app.yaml").read_text())
    image = prepare.app_manifest(config)["environment"]
    artifacts = tasks["mmccd"]["artifacts"]
    for artifact in (*artifacts["input"], *artifacts["output"]):
        assert artifact["name"] in arguments
    for name, text in arguments.items():
        if name.startswith(f"{ENV}HOLOSCAN_"):
            assert text.rstrip("/") == image[name.removeprefix(ENV)]


def test_the_settings_are_ours(tasks: dict[str, Any]) -> None:
    arguments = tasks["mmccd"]["args"]
    ours = {
        name.removeprefix(ENV): text
        for name, text in arguments.items()
        if name.startswith(ENV + PREFIX)
    }
    settings = read_settings(None, ours)
    limit_s = 60 * int(arguments["task_timeout_minutes"])
    assert 0 < settings.timeout_s < limit_s, "our limit, which says why, comes before theirs"


def test_the_entrypoint_runs_as_the_plug_in_splits_it(tasks: dict[str, Any]) -> None:
    """It splits both at commas; an empty command would be an empty word to the application."""
    arguments = tasks["mmccd"]["args"]
    words = [*arguments["entrypoint"].split(","), *arguments["command"].split(",")]
    assert words == ["/bin/sh", "-c", "exec /opt/holoscan/entrypoint.sh"]


def test_the_condition_is_of_the_language(tasks: dict[str, Any]) -> None:
    (destination,) = tasks["router"]["task_destinations"]
    (condition,) = destination["conditions"]
    pattern = r"\{\{ ?context\.dicom\.series\.any\('0008','0060'\) ?\}\} == 'MR'"
    assert re.fullmatch(pattern, condition), "Modality is MR"
