"""mmccd.brain: training slices from label maps, the network, its loss, and the bundle's training
from the command line.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import monai.bundle
import nibabel as nib
import numpy as np
import pytest
import torch

from mmccd.brain.network import BrainUNet
from mmccd.bundle import export_weights, load_brain_weights
from mmccd.bundle.find import BRAIN
from mmccd.core.errors import InputError, ModelError
from mmccd.training.brain.heads import load_head
from mmccd.training.brain.objective import BrainLoss, brain_disagreement, lower_disagreement
from mmccd.training.brain.synthesis import SyntheticSlices, _deface


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight equal label maps: scalp, bone, fluid, white matter, and cerebellum in the lower part
    behind.
    """
    folder = tmp_path_factory.mktemp("labels")
    axes = np.meshgrid(*[np.arange(100) - 50.0] * 3, indexing="ij")
    radius = np.sqrt(sum(axis**2 for axis in axes))
    data = np.zeros((100, 100, 100), dtype=np.int16)
    for limit, label in ((46, 507), (42, 515), (38, 24), (35, 2)):
        data[radius < limit] = label
    data[(radius < 35) & (axes[1] < 0) & (axes[2] < -15)] = 8
    data[radius < 8] = 4
    for number in range(8):
        nib.save(nib.Nifti1Image(data, np.eye(4)), folder / f"map_{number}.nii.gz")
    return folder


@pytest.fixture(scope="module")
def data(labels: Path) -> SyntheticSlices:
    return SyntheticSlices(labels, "train", scans=4, slices=5, seed=3, max_heads=1)


def test_a_head_is_read(labels: Path) -> None:
    head = load_head(labels / "map_0.nii.gz")
    brain, lower = (head.codes & 128) > 0, (head.codes & 64) > 0
    radius = np.sqrt(sum((np.indices(head.codes.shape)[axis] - 50.0) ** 2 for axis in range(3)))
    assert brain[radius < 34].all()
    assert not brain[radius > 40].any()
    assert lower.any()
    assert not (lower & ~brain).any()
    np.testing.assert_allclose(head.centre, 50, atol=2)
    assert head.tissues[0] == "air"


def test_slices(data: SyntheticSlices) -> None:
    assert len(data) == 4
    seen = torch.zeros(2)
    for item in (data[i] for i in range(4)):
        assert item["image"].shape == (5, 3, 128, 128)
        assert item["label"].shape == (5, 2, 128, 128)
        assert item["image"].min() >= 0
        assert item["image"].max() <= 4
        assert torch.isfinite(item["image"]).all()
        assert set(item["label"].unique().tolist()) <= {0.0, 1.0}
        assert (item["label"][:, 1] <= item["label"][:, 0]).all(), "the lower part is brain"
        seen += item["label"].sum((0, 2, 3))
    assert (seen > 0).all()
    with pytest.raises(IndexError):
        data[4]


def test_a_face_is_cut_off_in_front_of_the_brain(labels: Path) -> None:
    head = load_head(next(labels.iterdir()))
    side = np.arange(-120.0, 121, 4, dtype=np.float32)
    points = np.stack(np.meshgrid([0.0], side, side, indexing="ij"), axis=-1).astype(np.float32)
    brain = (np.linalg.norm(points / head.half.astype(np.float32), axis=-1) < 1).astype(np.float32)
    image = np.ones_like(brain)
    for seed in range(5):
        found = _deface(image, brain, points, head, np.random.default_rng(seed))
        assert (found[brain > 0] == 1).all()
        assert (found[(points[..., 1] < 0) & (points[..., 2] > -40)] == 1).all()
        assert (found[(points[..., 1] > 90) & (points[..., 2] < -40)] == 0).all()


def test_the_same_seed_gives_the_same_slices(data: SyntheticSlices, labels: Path) -> None:
    again = SyntheticSlices(labels, "train", scans=4, slices=5, seed=3, max_heads=1)
    torch.testing.assert_close(again[2], data[2], rtol=0, atol=0)
    again.set_random_state(seed=7)
    assert not torch.equal(again[2]["image"], data[2]["image"])


def test_splits(labels: Path, tmp_path: Path) -> None:
    assert [len(SyntheticSlices(labels, split, 1).heads) for split in ("train", "val", "test")] == [
        6,
        1,
        1,
    ]
    shutil.copy(labels / "map_0.nii.gz", tmp_path)
    with pytest.raises(InputError, match="none for the split val"):
        SyntheticSlices(tmp_path, "val", 1)


def test_network_and_loss() -> None:
    torch.manual_seed(0)
    network = BrainUNet((8, 8, 8, 8, 8, 8), groups=2)
    assert BrainUNet(**network.settings).settings == network.settings
    output = network(torch.rand(2, 3, 64, 64))
    assert output.shape == (2, 2, 64, 64)
    target = (torch.rand(2, 2, 64, 64) > 0.5).float()
    perfect, wrong = (target * 2 - 1) * 20, (1 - target * 2) * 20
    assert float(BrainLoss()(perfect, target)) < 0.01
    assert float(BrainLoss()(wrong, target)) > 1


def test_disagreement_is_one_minus_dice() -> None:
    found, truth = torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 4, 4)
    found[0, 0, :2], found[0, 0, 2:] = 1, -1
    truth[0, 0, 1:3] = 1
    for error, weight in (brain_disagreement({"pred": found, "label": truth}),):
        assert float((error * weight).sum() / weight.sum()) == pytest.approx(0.5)
    error, weight = lower_disagreement({"pred": found - 1, "label": truth})
    assert float(weight.sum()) == 0
    assert float(error.sum()) == 0


def test_training_export_and_inference(
    labels: Path, tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bundle's own commands, with a tiny network."""
    folder = tmp_path / "bundles" / BRAIN
    shutil.copytree(project / "bundles" / BRAIN / "configs", folder / "configs")
    monkeypatch.chdir(folder)
    small = {
        "config_file": "configs/train.json",
        "bundle_root": str(folder),
        "dataset_dir": str(labels),
        "network_def#features": [8, 8, 8, 8, 8, 8],
        "scans_per_epoch": 2,
        "val_scans": 1,
        "slices_per_scan": 2,
        "batch_size": 2,
        "val_interval": 1,
        "max_heads": 1,
        "progress": False,
    }
    monai.bundle.run(max_epochs=1, **small)
    monai.bundle.run(max_epochs=2, **small)
    record = json.loads((folder / "runs" / "brain" / "training.json").read_text())
    assert (record["task"], record["epochs"], record["label_maps"]) == ("brain_extraction", 2, 1)
    path = export_weights(folder / "runs" / "brain" / "last.pt", folder)
    assert path == folder / "models" / "model.pt"
    weights = load_brain_weights(folder.parent)
    assert weights.load(BrainUNet).settings["features"] == [8] * 6
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelError, match="damaged or was replaced"):
        weights.load(BrainUNet)
