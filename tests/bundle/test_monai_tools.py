"""MONAI's own tools on the bundles that ship, from a folder that is none of them."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path
from typing import Any

import monai.bundle
import pytest
import torch
from monai.data import get_track_meta
from tests.bundle.shipped import BUNDLES, difference, images, product_network

from mmccd.bundle import FORWARD, read_brain_weights
from mmccd.bundle.find import BRAIN

LARGEST_DIFFERENCE = 1e-4
"""Of a file that another runtime runs."""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, empty."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def load(root: Path, name: str, **settings: Any) -> Any:
    return monai.bundle.load(name, bundle_dir=root, source="github", device="cpu", **settings)


def export_words(bundle: Path, path: Path) -> dict[str, str]:
    return {
        "net_id": "network_def",
        "filepath": str(path),
        "ckpt_file": str(bundle / "models" / "model.pt"),
        "meta_file": str(bundle / "configs" / "metadata.json"),
        "config_file": str(bundle / "configs" / "inference.json"),
    }


class TestLoad:
    @pytest.mark.parametrize("workflow", ["train", "inference"])
    @pytest.mark.parametrize("name", BUNDLES)
    def test_the_network_of_the_weights(
        self, project: Path, elsewhere: Path, name: str, workflow: str
    ) -> None:
        root = project / "bundles"
        network = load(root, name, workflow_type=workflow).eval()
        assert difference(network, product_network(root, name), images(name)) < 1e-5
        assert {value.dtype for value in network.parameters()} == {torch.float32}
        assert list(elsewhere.iterdir()) == [], "loading writes nothing"
        assert get_track_meta(), "nor does it change how MONAI works elsewhere"

    @pytest.mark.parametrize(
        "settings",
        [
            {"net_override": {"channels": [64, 128, 192]}},
            {"model_file": "../backward_translator/models/model.pt"},
        ],
    )
    def test_weights_of_another_network(self, project: Path, settings: dict[str, Any]) -> None:
        with pytest.raises(RuntimeError, match="of 214 variables fit to this TranslationUNet"):
            load(project / "bundles", FORWARD, **settings)

    def test_research_weights_with_their_settings(
        self, project: Path, tmp_path: Path, tiny_bundles: Path
    ) -> None:
        """Weights of other settings than network_def's, named on the spot."""
        del tmp_path
        shutil.copytree(
            project / "bundles" / FORWARD / "configs",
            tiny_bundles / FORWARD / "configs",
            dirs_exist_ok=True,
        )
        expected = product_network(tiny_bundles, FORWARD)
        network = load(tiny_bundles, FORWARD, net_override=expected.settings).eval()
        assert difference(network, expected, images(FORWARD)) < 1e-5


@pytest.mark.slow
class TestExport:
    @pytest.mark.parametrize("name", BUNDLES)
    def test_torchscript(self, project: Path, tmp_path: Path, name: str) -> None:
        """The same for other batches and sizes than those that it was made with; f's file takes
        timesteps, too.
        """
        root = project / "bundles"
        monai.bundle.ckpt_export(**export_words(root / name, tmp_path / "model.ts"))
        network = torch.jit.load(tmp_path / "model.ts").eval()
        expected = product_network(root, name)
        for x in (images(name), images(name, 32, 96, batch=3)):
            assert difference(network, expected, x) < LARGEST_DIFFERENCE
            if name == FORWARD:
                timesteps = torch.arange(x.shape[0]) * 400
                assert difference(network, expected, x, timesteps) < LARGEST_DIFFERENCE

    @pytest.mark.parametrize("name", BUNDLES)
    def test_onnx(self, project: Path, tmp_path: Path, name: str) -> None:
        """By PyTorch's older exporter, which needs a tenth of the time of the default one."""
        runtime = pytest.importorskip("onnxruntime")
        root = project / "bundles"
        path = tmp_path / "model.onnx"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            monai.bundle.onnx_export(
                **export_words(root / name, path),
                use_trace=True,
                input_shape=list(images(name).shape),
                converter_kwargs={"dynamo": False},
            )
        session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

        def network(x: torch.Tensor) -> torch.Tensor:
            (given,) = session.get_inputs()
            return torch.from_numpy(session.run(None, {given.name: x.numpy()})[0])

        expected = product_network(root, name)
        assert difference(network, expected, images(name)) < LARGEST_DIFFERENCE


def test_a_scripted_network_refuses_what_the_levels_cannot_halve(tiny_networks: Any) -> None:
    network = torch.jit.script(tiny_networks[FORWARD])
    with pytest.raises(torch.jit.Error, match="multiples of 16"):
        network(torch.zeros(1, 2, 24, 24))


def test_a_renamed_brain_bundle_has_its_own_weights(project: Path, tmp_path: Path) -> None:
    copy = tmp_path / "brain_mri_extraction"
    shutil.copytree(project / "bundles" / BRAIN / "models", copy / "models")
    shutil.copytree(project / "bundles" / BRAIN / "configs", copy / "configs")
    assert read_brain_weights(copy).path == copy / "models" / "model.pt"
    parser = monai.bundle.ConfigParser()
    parser.read_config(str(copy / "configs" / "inference.json"))
    parser["bundle_root"] = str(copy)
    (copy / "models" / "model.pt").unlink()
    with pytest.raises(RuntimeError) as error:
        parser.get_parsed_content("network")
    assert str(copy / "models" / "model.pt") in str(error.value.__cause__)


def test_init_bundle_takes_a_network(project: Path, tmp_path: Path) -> None:
    """A bundle that MONAI's init_bundle makes of ours loads into our network again."""
    expected = product_network(project / "bundles", BRAIN)
    monai.bundle.init_bundle(tmp_path / "mine", network=expected)
    network = load(tmp_path, "mine", model=type(expected)()).eval()
    assert difference(network, expected, images(BRAIN)) == 0
