"""The bundles of f, g and d through ``python -m monai.bundle``: training, resuming, export,
evaluation, inference, other pairs, several processes. More of d: tests/training/decision.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import monai.bundle
import nibabel as nib
import numpy as np
import pytest
import torch
from tests.conftest import TINY
from tests.programs import run_python

from mmccd.apps.cli import cli
from mmccd.bundle import BACKWARD, FORWARD, list_weights, load_models
from mmccd.bundle.trained import load_trained
from mmccd.core.errors import InputError
from mmccd.phantom import Phantom

pytestmark = pytest.mark.slow

DECISION = "decision"
PLAIN: tuple[str, ...] = ()
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
QUICK = [
    "--precision",
    "fp32",
    "--progress",
    "False",
    "--slice_rule#kind",
    "range",
    "--slice_rule#first",
    "4",
    "--slice_rule#last",
    "8",
]


@dataclass(frozen=True)
class Bundles:
    """A copy of the bundles, and an overlay that makes their networks tiny."""

    root: Path
    data: Path

    def run(
        self,
        name: str,
        *words: str,
        configs: str = "train.json",
        program: tuple[str, ...] | None = None,
    ) -> str:
        """``monai.bundle run`` in a bundle's folder; what it printed. Fails where it fails.

        Args:
            program: starts it anew, with these words behind ``python``; None: it is forked.
        """
        place = self.root / name
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        command = ["-m", *self.words(*words, configs=configs)]
        if program is not None:
            found = subprocess.run(
                [sys.executable, *program, *command],
                cwd=place,
                env=environment,
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
        else:
            found = run_python(command, place, environment)
        assert found.returncode == 0, found.stdout[-2000:] + found.stderr[-4000:]
        return found.stdout + found.stderr

    def run_two(self, name: str, *words: str, configs: str) -> None:
        """The same in two processes that find each other as those of ``torchrun`` do."""
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
        shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}

        def rank(number: int) -> subprocess.CompletedProcess[str]:
            own = {"RANK": str(number), "LOCAL_RANK": str(number), "OMP_NUM_THREADS": "1"}
            command = ["-m", *self.words(*words, configs=configs)]
            return run_python(command, self.root / name, {**os.environ, **shared, **own})

        with ThreadPoolExecutor(2) as both:
            for found in both.map(rank, range(2)):
                assert found.returncode == 0, found.stdout[-2000:] + found.stderr[-4000:]

    def words(self, *words: str, configs: str) -> list[str]:
        """The module and its words."""
        files = [f"configs/{config}" for config in configs.split()] + (
            ["../tiny.json"] if "train.json" in configs else []
        )
        always = ["--config_file", str(files), "--dataset_dir", str(self.data)]
        return ["monai.bundle", "run", *always, *words]

    def train(
        self, name: str, output: str, *words: str, program: tuple[str, ...] | None = None
    ) -> Path:
        """A training run of two epochs; its folder."""
        always = [*QUICK, "--max_epochs", "2", "--batch_size", "3", "--output_dir", output]
        self.run(name, *always, *words, program=program)
        return self.root / name / output


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory, project: Path, phantom_data: Path) -> Bundles:
    root = tmp_path_factory.mktemp("training") / "bundles"
    for name in (FORWARD, BACKWARD, DECISION):
        shutil.copytree(project / "bundles" / name / "configs", root / name / "configs")
    (root / "tiny.json").write_text(
        json.dumps({f"network_def#{key}": value for key, value in TINY.items()})
    )
    return Bundles(root, phantom_data)


@pytest.fixture(scope="module")
def trained_g(bundles: Bundles) -> Path:
    """Run folder of a g that was trained without interruption, by a program of its own: that it
    equals the one that forks have trained says that forks are no others.
    """
    return bundles.train(BACKWARD, "runs/t2_flair", program=PLAIN)


@pytest.fixture(scope="module")
def trained_f(bundles: Bundles, trained_g: Path) -> Path:
    """Run folder of an f that was trained without interruption, validated with g behind it."""
    tiny = [
        word
        for key, value in TINY.items()
        for word in (f"--backward_network_def#{key}", str(value))
    ]
    return bundles.train(
        FORWARD,
        "runs/flair_t2",
        "--backward_weights",
        str(trained_g / "best.pt"),
        *tiny,
        "--data",
        "3 phantoms",
        "--licence",
        "CC0",
    )


def interrupt_and_resume(bundles: Bundles, name: str) -> tuple[Path, dict[str, Any]]:
    """A run that a time budget of nothing ended after its first epoch, and the same command again;
    and the checkpoint in between.
    """
    folder = bundles.train(name, "runs/interrupted", "--max_minutes", "0")
    half = checkpoint(folder / "last.pt")
    bundles.train(name, "runs/interrupted")
    return folder, half


@pytest.fixture(scope="module")
def resumed_f(bundles: Bundles) -> tuple[Path, dict[str, Any]]:
    return interrupt_and_resume(bundles, FORWARD)


@pytest.fixture(scope="module")
def resumed_g(bundles: Bundles) -> tuple[Path, dict[str, Any]]:
    return interrupt_and_resume(bundles, BACKWARD)


def strict_json(path: Path) -> dict[str, Any]:
    """JSON as the standard has it: without NaN."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{path}: {word} is no JSON")

    content: dict[str, Any] = json.loads(path.read_text(), parse_constant=refuse)
    return content


def checkpoint(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(path, weights_only=True)
    return content


def same(one: Any, other: Any) -> bool:
    """Equal to the bit, through dictionaries and lists."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return set(one) == set(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    return bool(one == other)


class TestTraining:
    @pytest.mark.parametrize("fixture", ["trained_f", "trained_g"])
    def test_files(self, request: pytest.FixtureRequest, fixture: str) -> None:
        folder: Path = request.getfixturevalue(fixture)
        last, best = checkpoint(folder / "last.pt"), checkpoint(folder / "best.pt")
        assert set(last) == {
            "network",
            "averaged",
            "optimizer",
            "lr_scheduler",
            "epoch",
            "iteration",
            "record",
        }
        assert (last["epoch"], last["iteration"]) == (2, 6)
        assert set(best) == {"network", "value", "epoch", "record"}
        assert best["epoch"] in (1, 2)
        assert not same(last["network"], last["averaged"])
        assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []

    def test_record_of_f(self, trained_f: Path) -> None:
        record = strict_json(trained_f / "training.json")
        assert (record["source"], record["target"], record["epochs"], record["iterations"]) == (
            "flair",
            "t2",
            2,
            6,
        )
        assert record["network"]["channels"] == TINY["channels"]
        assert record["scheduler"]["beta_end"] == 0.02
        assert (record["data"], record["licence"], record["key_metric"]) == (
            "3 phantoms",
            "CC0",
            "val_masked_error",
        )
        assert set(record["normalisation"]) == {"flair", "t2"}
        # In clear sight of corrupted slices all of the brain counts, and nothing is left over.
        assert set(record["last_validation"]) == {"val_masked_error", "val_cycle_error"}
        assert record["corruption"] is True
        assert record["hiding"]["strips"] == 0.25
        assert all(0 < value < 10 for value in record["last_validation"].values())
        assert record["slices"] == 10, "five slices of each of two cases; lesions lie higher"

    def test_record_without_g_is_json_too(self, resumed_f: tuple[Path, dict[str, Any]]) -> None:
        """There is no cycle error to tell."""
        record = strict_json(resumed_f[0] / "training.json")
        assert 0 < record["last_validation"]["val_masked_error"] < 10

    def test_record_of_g(self, trained_g: Path) -> None:
        record = strict_json(trained_g / "training.json")
        assert (record["source"], record["target"], record["key_metric"]) == (
            "t2",
            "flair",
            "val_brain_error",
        )
        assert "scheduler" not in record

    def test_weights_move(self, trained_g: Path) -> None:
        """More than the epochs' noise: the last layer starts at zero."""
        last = checkpoint(trained_g / "last.pt")["network"]
        assert last["unet.out.2.conv.weight"].abs().max() > 0

    @pytest.mark.parametrize(
        ("fixture", "uninterrupted"), [("resumed_f", "trained_f"), ("resumed_g", "trained_g")]
    )
    def test_interrupted_and_resumed_equals_uninterrupted(
        self, request: pytest.FixtureRequest, fixture: str, uninterrupted: str
    ) -> None:
        whole = checkpoint(request.getfixturevalue(uninterrupted) / "last.pt")
        folder, half = request.getfixturevalue(fixture)
        assert (half["epoch"], half["iteration"]) == (1, 3)
        assert not same(half["network"], whole["network"])
        resumed = checkpoint(folder / "last.pt")
        for key in ("network", "averaged", "optimizer", "lr_scheduler", "epoch", "iteration"):
            assert same(resumed[key], whole[key]), key
        assert json.loads((folder / "training.json").read_text())["epochs"] == 2

    def test_checkpoint_of_another_network_is_refused(
        self, bundles: Bundles, trained_g: Path
    ) -> None:
        shutil.copytree(trained_g, bundles.root / BACKWARD / "runs" / "other")
        with pytest.raises(AssertionError, match=r"last\.pt: is of another training: .*channels"):
            bundles.train(BACKWARD, "runs/other", "--network_def#channels", "[4,8]")

    def test_checkpoint_of_other_data_is_refused(
        self, bundles: Bundles, trained_g: Path, tmp_path: Path
    ) -> None:
        """One line at the end and the exit code of unsuitable input."""
        shutil.copytree(trained_g, bundles.root / BACKWARD / "runs" / "elsewhere")
        split = tmp_path / "split.json"
        split.write_text('{"train": ["mirrored", "lesion"], "val": ["healthy"], "test": []}')
        with pytest.raises(AssertionError) as error:
            bundles.train(BACKWARD, "runs/elsewhere", "--split_file", str(split))
        assert "last.pt: is of another training: fingerprints#training" in str(error.value)
        assert "Traceback" not in str(error.value)


@pytest.fixture(scope="module")
def exported(bundles: Bundles, trained_f: Path, trained_g: Path) -> Path:
    """The bundles with exported weights; d was trained behind the f and g that were exported."""

    def export(folder: Path, name: str) -> None:
        assert cli.run(["export", str(folder / "best.pt"), str(bundles.root / name)]) == 0

    export(trained_f, FORWARD)
    export(trained_g, BACKWARD)
    export(bundles.train(DECISION, "runs/flair_t2"), DECISION)
    return bundles.root


class TestAfterTraining:
    def test_export(self, exported: Path, trained_f: Path) -> None:
        models = load_models(exported)
        assert models.target == "t2"
        assert models.weights["forward"].card["licence"] == "CC0"
        assert (
            models.weights["forward"].card["validation"]["val_masked_error"]
            == checkpoint(trained_f / "best.pt")["value"]
        )
        network = models.weights["forward"].load_network()
        trained = checkpoint(trained_f / "best.pt")["network"]
        assert all(
            torch.allclose(value, trained[key], atol=1e-3)
            for key, value in network.state_dict().items()
        )
        assert set(models.weights) == {"forward", "backward", DECISION}
        models.weights["backward"].load_network()
        models.weights[DECISION].load_network()

    def test_exported_weights_serve_the_validation_too(
        self, exported: Path, trained_g: Path
    ) -> None:
        for path in (
            exported / BACKWARD / "models" / "model.pt",
            trained_g / "best.pt",
            trained_g / "last.pt",
        ):
            network = list_weights(exported / BACKWARD)[0].load_network()
            assert load_trained(network, path, torch.device("cpu")) is network
        with pytest.raises(InputError, match="nowhere"):
            load_trained(network, exported / "nowhere.pt", torch.device("cpu"))

    @pytest.mark.parametrize(
        ("name", "output", "fixture", "metric"),
        [
            (FORWARD, "runs/flair_t2", "trained_f", "val_masked_error"),
            (BACKWARD, "runs/t2_flair", "trained_g", "val_brain_error"),
        ],
    )
    def test_evaluate(
        self,
        bundles: Bundles,
        request: pytest.FixtureRequest,
        name: str,
        output: str,
        fixture: str,
        metric: str,
    ) -> None:
        """The stored checkpoint on the validation split gives the value that stands in it."""
        folder: Path = request.getfixturevalue(fixture)
        before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
        text = bundles.run(
            name,
            *QUICK,
            "--batch_size",
            "3",
            "--output_dir",
            output,
            configs="train.json evaluate.json",
        )
        assert f"{metric}: {checkpoint(folder / 'best.pt')['value']:.4f}" in text
        assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before, (
            "nothing is trained or overwritten"
        )

    @pytest.mark.parametrize(
        ("name", "source", "target"), [(FORWARD, "flair", "t2"), (BACKWARD, "t2", "flair")]
    )
    def test_inference(
        self, bundles: Bundles, exported: Path, tmp_path: Path, name: str, source: str, target: str
    ) -> None:
        bundles.run(
            name,
            "--output_dir",
            str(tmp_path / "out"),
            "--precision",
            "fp32",
            configs="inference.json",
        )
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
            f"{case}_{target}.nii.gz" for case in ("healthy", "lesion", "mirrored")
        ]
        original = nib.load(bundles.data / "lesion" / f"lesion_{source}.nii.gz")
        found = nib.load(tmp_path / "out" / f"lesion_{target}.nii.gz")
        assert found.shape == original.shape
        assert np.allclose(found.affine, original.affine, atol=1e-4)
        values, voxels = np.asarray(found.get_fdata()), np.asarray(original.get_fdata())
        assert np.isfinite(values).all()
        assert values[voxels > 0].std() > 0
        assert (values[0] == 0).all(), "nothing outside the brain"

    def test_cycle_over_a_folder(
        self,
        bundles: Bundles,
        exported: Path,
        tmp_path: Path,
        lesion_phantom: Phantom,
        healthy_phantom: Phantom,
    ) -> None:
        words = [
            "--output_dir",
            str(tmp_path / "out"),
            "--preset",
            "fast",
            "--threshold",
            "0.5",
            "--device",
            "cpu",
        ]
        bundles.run(FORWARD, *words, configs="cycle.json")
        names = sorted(path.name for path in (tmp_path / "out").iterdir())
        files = ["cohort.csv", "cohort.json", "index.html"]
        assert names == sorted([*files, "healthy", "lesion", "mirrored"])
        for folder in (path for path in (tmp_path / "out").iterdir() if path.is_dir()):
            report = strict_json(folder / "report.json")
            assert report["settings"]["preset"] == "fast"
            assert report["threshold"] == {"value": 0.5, "source": "given", "calibration": None}
            assert (
                nib.load(folder / "anomaly_map.nii.gz").shape
                == (lesion_phantom if folder.name == "lesion" else healthy_phantom).lesion.shape
            )


class TestOtherSettings:
    def test_other_pair(self, bundles: Bundles) -> None:
        words = [
            "--source",
            "t1",
            "--target",
            "t2",
            "--max_epochs",
            "1",
            "--normalisation",
            "code",
            "--max_cases",
            "1",
            "--batch_size",
            "2",
        ]
        bundles.run(FORWARD, *QUICK, *words)
        folder = bundles.root / FORWARD / "runs" / "t1_t2"
        record = json.loads((folder / "training.json").read_text())
        assert (record["source"], record["target"], record["slices"]) == ("t1", "t2", 5)
        assert record["normalisation"]["t1"]["kind"] == "code"
        assert (
            cli.run(["export", str(folder / "best.pt"), str(bundles.root / FORWARD), "--research"])
            == 0
        )
        assert ("t1", "t2") in [
            weights.direction for weights in list_weights(bundles.root / FORWARD)
        ]

    def test_fewer_slices_than_a_batch(self, bundles: Bundles) -> None:
        """A run that trains nothing does not look like one that did."""
        folder = bundles.root / BACKWARD / "runs" / "few"
        with pytest.raises(AssertionError, match="has 5 training items, batch_size is 64"):
            bundles.train(BACKWARD, "runs/few", "--max_cases", "1", "--batch_size", "64")
        assert not (folder / "last.pt").exists()

    @pytest.mark.parametrize("name", [FORWARD, BACKWARD, DECISION])
    def test_several_processes(self, bundles: Bundles, exported: Path, name: str) -> None:
        """Twelve epochs without validation in between: both processes reach the ends of epochs
        together. d goes through the f and g that were exported. ``torchrun`` starts those of f.
        """
        words = [
            *QUICK,
            "--max_epochs",
            "12",
            "--val_interval",
            "6",
            "--batch_size",
            "2",
            "--output_dir",
            "runs/two",
        ]
        configs = "train.json multi_gpu_train.json"
        if name == FORWARD:
            bundles.run(name, *words, configs=configs, program=TORCHRUN)
        else:
            bundles.run_two(name, *words, configs=configs)
        folder = bundles.root / name / "runs" / "two"
        last = checkpoint(folder / "last.pt")
        assert (last["epoch"], last["iteration"]) == (
            12,
            24,
        ), "ten slices, two processes, whole batches of two"
        assert json.loads((folder / "training.json").read_text())["epochs"] == 12
        assert set(last["network"]) == set(last["averaged"]), (
            "one process can go on where two have stopped"
        )
        bundles.run(
            name, *QUICK, "--max_epochs", "13", "--batch_size", "4", "--output_dir", "runs/two"
        )
        assert checkpoint(folder / "last.pt")["epoch"] == 13


class TestMonaisOwnChecks:
    @pytest.mark.parametrize("name", [FORWARD, BACKWARD])
    def test_papers_network(self, project: Path, name: str) -> None:
        """The overlay with the published network gives one of about 6.3 million parameters."""
        configs = project / "bundles" / name / "configs"
        parser = monai.bundle.ConfigParser()
        parser.read_config([str(configs / "train.json"), str(configs / "networks" / "paper.json")])
        network = parser.get_parsed_content("network_def")
        assert network.factor == 1
        assert 6.0e6 < sum(parameter.numel() for parameter in network.parameters()) < 6.6e6
