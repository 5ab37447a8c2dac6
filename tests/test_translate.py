"""Whole volumes through one bundle, on their own grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from ignite.engine import Engine
from torch import Tensor

from mmccd.brain import find_brain
from mmccd.bundle import BACKWARD, FORWARD
from mmccd.data.phantom import make_phantom, write_phantom
from mmccd.diffusion import MaskedDiffusionScheduler
from mmccd.errors import InputError, ModelError
from mmccd.io.nifti import read_nifti
from mmccd.translate import BatchedInferer, VisibleTranslationInferer, VolumeSlicesDataset, WriteTranslation, find_weights


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One phantom in BraTS layout."""
    folder = tmp_path_factory.mktemp("cases")
    write_phantom(make_phantom(slice_mm=20.0, pixel_mm=2.0), folder, "one")
    return folder


def test_find_weights(tiny_bundles: Path) -> None:
    assert find_weights(tiny_bundles / BACKWARD, "t2", "flair").direction == ("t2", "flair")
    with pytest.raises(ModelError, match="no weights from t1 to flair"):
        find_weights(tiny_bundles / BACKWARD, "t1", "flair")


def test_the_dataset_needs_the_source(cases: Path, tmp_path: Path, tiny_bundles: Path) -> None:
    weights = find_weights(tiny_bundles / FORWARD, "flair", "t2")
    assert len(VolumeSlicesDataset(cases, "flair", weights)) == 1
    (cases / "one" / "one_flair.nii.gz").rename(tmp_path / "away")
    with pytest.raises(InputError, match="no case has flair"):
        VolumeSlicesDataset(cases, "flair", weights)
    (tmp_path / "away").rename(cases / "one" / "one_flair.nii.gz")


def test_batched_equals_at_once() -> None:
    network = torch.nn.Conv2d(1, 1, 3, padding=1)
    images = torch.randn(7, 1, 8, 8)
    assert torch.allclose(BatchedInferer(3)(images, network), network(images), atol=1e-6)


def test_a_perfect_denoiser_translates_in_one_step_and_in_many() -> None:
    """A network that returns twice the visible source must end in twice the source, whatever the number of steps and the batch size."""

    def network(x: Tensor, timesteps: Tensor) -> Tensor:
        assert timesteps.shape == x.shape[:1]
        return 2 * x[:, 1:]

    images = torch.randn(5, 1, 8, 8)
    for steps, batch_size in ((1, 16), (4, 2)):
        result = VisibleTranslationInferer(MaskedDiffusionScheduler(), steps, seed=3, batch_size=batch_size)(images, network)
        assert torch.allclose(result, 2 * images, atol=1e-4)


def test_the_translation_is_written_on_the_source_grid(cases: Path, tmp_path: Path, tiny_bundles: Path) -> None:
    dataset = VolumeSlicesDataset(cases, "flair", find_weights(tiny_bundles / FORWARD, "flair", "t2"))
    engine = Engine(lambda engine, batch: {"pred": batch["image"]})
    WriteTranslation(dataset, tmp_path / "out", "t2").attach(engine)
    engine.run([dataset[0]])
    source, written = (read_nifti(path) for path in (cases / "one" / "one_flair.nii.gz", tmp_path / "out" / "one_t2.nii.gz"))
    assert written.same_grid(source)
    brain = find_brain(source).mask
    assert not written.data[~brain].any()
    # The identity as network: what is written is the normalised source, smoothed by the way there and back.
    assert np.corrcoef(written.data[brain], source.data[brain])[0, 1] > 0.95
