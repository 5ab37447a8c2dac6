"""What MONAI's Model Zoo asks of a bundle (``ci/verify_bundle.py``), and what makes one easy to
find there: files, metadata, shapes. That it exports to TorchScript is in test_monai_tools.
"""

from __future__ import annotations

import configparser
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import monai.bundle
import pytest
from monai.bundle.properties import InferProperties, TrainProperties
from tests.bundle.shipped import BUNDLES, product_network

from mmccd.bundle import BACKWARD, FORWARD
from mmccd.bundle.find import BRAIN

REQUIRED = (
    "LICENSE",
    "configs/metadata.json",
    "configs/inference.json",
    "configs/train.json",
    "configs/logging.conf",
    "docs/README.md",
    "docs/data_license.txt",
    "models/model.pt",
)
SECTIONS = (
    "Model overview",
    "Data",
    "Training configuration",
    "Input",
    "Output",
    "Performance",
    "MONAI bundle commands",
    "Licence",
    "References",
)
TEXT = {"type": "string", "minLength": 3}
VERSION = {"type": "string", "pattern": r"^\d+\.\d+\.\d+$"}
VERSIONS = {"type": "object", "minProperties": 1, "additionalProperties": VERSION}
TENSOR = {
    "type": "object",
    "required": ["type", "format", "num_channels", "spatial_shape", "dtype", "value_range"],
    "properties": {
        "type": {"enum": ["image"]},
        "format": {"enum": ["magnitude", "segmentation"]},
        "modality": {"enum": ["MR"]},
        "num_channels": {"type": "integer", "minimum": 1},
        "spatial_shape": {"type": "array", "items": {"type": "integer"}, "minItems": 2},
        "dtype": {"enum": ["float32"]},
        "value_range": {"type": "array", "items": {"type": "number"}, "minItems": 2},
        "is_patch_data": {"type": "boolean"},
        "channel_def": {"type": "object", "minProperties": 1},
    },
}
SCHEMA = {
    "type": "object",
    "required": [
        *("schema", "version", "changelog", "monai_version", "pytorch_version", "numpy_version"),
        *("required_packages_version", "name", "task", "description", "authors", "copyright"),
        *("data_source", "data_type", "image_classes", "label_classes", "pred_classes"),
        *("eval_metrics", "intended_use", "references", "supported_apps", "network_data_format"),
    ],
    "properties": {
        "schema": {"type": "string", "pattern": "^https://.*/meta_schema_[0-9]+.json$"},
        "version": VERSION,
        "changelog": {"type": "object", "minProperties": 1},
        "monai_version": VERSION,
        "pytorch_version": VERSION,
        "numpy_version": VERSION,
        "required_packages_version": VERSIONS,
        "name": {"type": "string", "pattern": "^Brain MRI"},
        **dict.fromkeys(("task", "description", "authors", "copyright", "data_source"), TEXT),
        **dict.fromkeys(("data_type", "image_classes", "label_classes", "pred_classes"), TEXT),
        "intended_use": {"type": "string", "pattern": "Research use only, not a medical device"},
        "eval_metrics": {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {"type": "number", "minimum": 0, "maximum": 1},
        },
        "references": {"type": "array", "items": TEXT, "minItems": 1},
        "supported_apps": {"type": "object"},
        "network_data_format": {
            "type": "object",
            "required": ["inputs", "outputs"],
            "properties": {
                "inputs": {"required": ["image"], "additionalProperties": TENSOR},
                "outputs": {"required": ["pred"], "additionalProperties": TENSOR},
            },
        },
    },
}


@pytest.fixture(params=BUNDLES)
def bundle(request: pytest.FixtureRequest, project: Path) -> Path:
    """Each bundle that ships."""
    return project / "bundles" / str(request.param)


def read(bundle: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((bundle / "configs" / f"{name}.json").read_text())
    return content


def test_directory(bundle: Path) -> None:
    missing = [name for name in REQUIRED if not (bundle / name).is_file()]
    assert missing == []
    assert re.fullmatch("[a-z0-9_]+", bundle.name)


def test_licences(bundle: Path, project: Path) -> None:
    assert (bundle / "LICENSE").read_bytes() == (project / "LICENSE").read_bytes()
    text = (bundle / "docs" / "data_license.txt").read_text()
    card = json.loads((bundle / "models" / "model.json").read_text())
    for word in re.findall(r"Apache-2.0|CC BY-SA 3.0|CC BY", card["licence"]):
        assert word in text
    research = list((bundle / "models" / "research").glob("*.json"))
    assert ("NON-COMMERCIAL" in text) == bool(research)


def test_metadata(bundle: Path) -> None:
    metadata = read(bundle, "metadata")
    jsonschema.validate(metadata, SCHEMA)
    assert metadata["version"] in metadata["changelog"]
    for tensors in metadata["network_data_format"].values():
        for tensor in tensors.values():
            assert len(tensor["channel_def"]) == tensor["num_channels"]


def test_metadata_by_monais_own_schema(bundle: Path, real_data: Path) -> None:
    """MONAI would download it."""
    schema = real_data.parent / "schema" / "meta_schema_20240725.json"
    if not schema.is_file():
        pytest.skip("no metadata schema beside the real data")
    monai.bundle.verify_metadata(
        meta_file=str(bundle / "configs" / "metadata.json"), filepath=str(schema)
    )


def test_requirements_are_those_that_were_tested(bundle: Path, project: Path) -> None:
    lines = (project / "constraints.txt").read_text().splitlines()
    pins = dict(line.lower().split("==") for line in lines if "==" in line)
    setup = configparser.ConfigParser()
    setup.read(project / "setup.cfg")
    pins["mmccd"] = setup["metadata"]["version"]
    metadata = read(bundle, "metadata")
    named = {
        **{name: metadata[f"{name}_version"] for name in ("monai", "numpy")},
        "torch": metadata["pytorch_version"],
        **metadata["required_packages_version"],
    }
    assert named == {name: pins[name] for name in named}


@pytest.mark.parametrize("config", ["train", "inference"])
def test_shapes(bundle: Path, config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monai.bundle.verify_net_in_out(
        "network_def",
        meta_file=str(bundle / "configs" / "metadata.json"),
        config_file=str(bundle / "configs" / f"{config}.json"),
        device="cpu",
    )


def test_one_network(bundle: Path) -> None:
    """Training, inference and the card beside the weights name the same one."""
    definition = read(bundle, "train")["network_def"]
    assert read(bundle, "inference")["network_def"] == definition
    card = json.loads((bundle / "models" / "model.json").read_text())
    assert {key: value for key, value in definition.items() if key != "_target_"} == card["network"]
    network = product_network(bundle.parent, bundle.name)
    assert definition["_target_"].endswith(f".{type(network).__name__}")
    assert network.settings == card["network"]


def test_f_is_validated_with_the_network_of_g(project: Path) -> None:
    root = project / "bundles"
    found = read(root / FORWARD, "train")["backward_network_def"]
    assert found == read(root / BACKWARD, "train")["network_def"]


def test_configs_depend_on_no_working_folder(bundle: Path) -> None:
    """A macro's path is looked up from there."""
    for path in (bundle / "configs").rglob("*.json"):
        assert '"%' not in path.read_text(), path


@pytest.mark.parametrize(
    ("config", "properties"), [("train", TrainProperties), ("inference", InferProperties)]
)
def test_properties(bundle: Path, config: str, properties: dict[str, Any]) -> None:
    """What other programs that know bundles look for; the brain's inference is one call."""
    parser = monai.bundle.ConfigParser(read(bundle, config))
    needed = [entry["id"] for entry in properties.values() if entry["required"]]
    missing = [name for name in needed if name not in parser]
    one_call = (bundle.name, config) == (BRAIN, "inference")
    assert missing == (["dataset", "evaluator", "inferer"] if one_call else [])


def test_readme(bundle: Path) -> None:
    text = (bundle / "docs" / "README.md").read_text()
    assert re.findall(r"^##+ (.*)$", text, re.MULTILINE) == list(SECTIONS)
    assert "# Brain MRI" in text and "Research use only, not a medical device" in text
