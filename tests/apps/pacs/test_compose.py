"""docker/compose.yml cannot be run without a daemon; what it names must exist all the same."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.conftest import PROJECT

from mmccd.apps.map.settings import read_settings
from mmccd.apps.pacs.application import own_variables
from mmccd.apps.pacs.settings import PREFIX, PacsSettings, read_pacs_settings
from mmccd.core import VARIABLE, variable_of

DOCKER = PROJECT / "docker"


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return dict(yaml.safe_load((DOCKER / "compose.yml").read_text())["services"])


def variables(service: dict[str, Any]) -> dict[str, str]:
    """The environment as compose sets it, with a password."""
    return {
        name: re.sub(r"\$\{MMCCD_PACS_PASSWORD:\?[^}]*\}", "secret", str(value))
        for name, value in service["environment"].items()
    }


def test_the_application_s_settings_are_accepted(services: dict[str, Any]) -> None:
    environment = variables(services["mmccd"])
    settings = read_pacs_settings(services["mmccd"].get("command", []), environment)
    assert (settings.user, settings.password, settings.days) == ("mmccd", "secret", 0)
    read_settings(None, own_variables(environment))
    assert not [name for name in own_variables(environment) if name.startswith(PREFIX)]


def test_words_of_commands_exist(services: dict[str, Any]) -> None:
    dockerfile = (DOCKER / "Dockerfile").read_text()
    for words in (services["mmccd"]["entrypoint"], services["mmccd"]["healthcheck"]["test"][1:]):
        python, flag, module = words
        assert flag == "-m"
        assert f'"{python}"' in dockerfile, "the image's Python"
        assert importlib.util.find_spec(module) is not None
    assert importlib.util.find_spec("mmccd.apps.pacs.__main__") is not None


def test_the_health_check_reads_the_service_s_state(services: dict[str, Any]) -> None:
    """It looks where the image says that outputs are."""
    state = variables(services["mmccd"])["MMCCD_PACS_STATE"]
    assert f"HOLOSCAN_OUTPUT_PATH={state} " in (DOCKER / "Dockerfile").read_text()
    assert f"state:{state}" in services["mmccd"]["volumes"]


def test_both_sides_of_the_connection_agree(services: dict[str, Any]) -> None:
    archive = json.loads((DOCKER / "orthanc.json").read_text())
    environment = variables(services["mmccd"])
    root = archive["DicomWeb"]["Root"].rstrip("/")
    assert environment["MMCCD_PACS_URL"] == f"http://orthanc:{archive['HttpPort']}{root}"
    users = json.loads(variables(services["orthanc"])["ORTHANC__REGISTERED_USERS"])
    assert users == {environment["MMCCD_PACS_USER"]: environment["MMCCD_PACS_PASSWORD"]}
    assert archive["AuthenticationEnabled"] is True
    assert "RegisteredUsers" not in archive, "no password in a file that is public"
    ports = {port.rsplit(":", 1)[1] for port in services["orthanc"]["ports"]}
    assert ports == {str(archive["HttpPort"]), str(archive["DicomPort"])}


def test_nothing_is_reached_from_other_machines(services: dict[str, Any]) -> None:
    content = yaml.safe_load((DOCKER / "compose.yml").read_text())
    assert all(
        port.startswith("127.0.0.1:")
        for service in services.values()
        for port in service.get("ports", [])
    )
    assert "ports" not in services["mmccd"]
    assert [content["networks"][name]["internal"] for name in services["mmccd"]["networks"]] == [
        True
    ]
    assert set(services["orthanc"]["networks"]) <= set(content["networks"])


def test_the_application_is_locked_in(services: dict[str, Any]) -> None:
    service = services["mmccd"]
    assert service["read_only"] is True
    assert not str(service["user"]).startswith("0")
    assert service["cap_drop"] == ["ALL"]
    assert service["ulimits"]["stack"] >= 32 * 2**20
    (tmp,) = service["tmpfs"]
    room_mib = 1024 * int(re.findall(r"size=(\d+)g", tmp)[0])
    settings = read_pacs_settings([], variables(service))
    at_a_time = settings.workers + settings.ahead
    assert room_mib >= 1.5 * at_a_time * settings.max_mib


def test_mounted_files_exist(services: dict[str, Any]) -> None:
    content = yaml.safe_load((DOCKER / "compose.yml").read_text())
    for service in services.values():
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert (
                (DOCKER / source).is_file()
                if source.startswith(".")
                else source in content["volumes"]
            )


def test_the_docs_list_every_variable() -> None:
    text = (PROJECT / "docs" / "archive.md").read_text()
    names = [variable_of(name, PREFIX) for name in PacsSettings.declared(VARIABLE)]
    assert [name for name in names if f"`{name}`" not in text] == []
    assert Path("docker/compose.yml").name in text
