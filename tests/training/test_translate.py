"""mmccd.training.translate: whole volumes through one bundle."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mmccd.bundle import BACKWARD, FORWARD
from mmccd.core.errors import InputError, ModelError, OutputError
from mmccd.io.nifti import read_nifti
from mmccd.models.networks import TranslationUNet
from mmccd.models.schedule import MaskedDiffusionScheduler
from mmccd.phantom import Phantom
from mmccd.training.translate import (
    BatchedInferer,
    VisibleTranslationInferer,
    VolumeSlicesDataset,
    WriteTranslation,
    find_weights,
)

Networks = dict[str, TranslationUNet]


@pytest.fixture(scope="module")
def volumes(shared_bundles: Path, phantom_data: Path) -> VolumeSlicesDataset:
    return VolumeSlicesDataset(
        phantom_data, "flair", find_weights(shared_bundles / FORWARD, "flair", "t2")
    )


def test_find_weights(shared_bundles: Path) -> None:
    assert find_weights(shared_bundles / BACKWARD, "t2", "flair").direction == ("t2", "flair")
    with pytest.raises(ModelError) as error:
        find_weights(shared_bundles / BACKWARD, "t1", "flair")
    assert str(shared_bundles / BACKWARD) in str(error.value)
    assert "t1" in str(error.value)


def test_dataset(volumes: VolumeSlicesDataset, lesion_phantom: Phantom) -> None:
    assert [case.name for case in volumes.cases] == ["healthy", "lesion", "mirrored"]
    item = volumes[1]
    assert item["number"] == 1
    place = volumes.place(1)
    assert (place.name, place.volume.shape) == ("lesion", lesion_phantom.lesion.shape)
    assert tuple(item["image"].shape) == (place.volume.shape[2], 1, 128, 128)
    assert np.array_equal(place.brain, lesion_phantom.brain.data > 0)
    assert (item["image"][~place.model_brain] == 0).all()
    assert torch.equal(item["brain"], place.model_brain)


def test_dataset_without_the_source(shared_bundles: Path, phantom_data: Path) -> None:
    weights = find_weights(shared_bundles / FORWARD, "flair", "t2")
    with pytest.raises(InputError, match="no case has pd"):
        VolumeSlicesDataset(phantom_data, "pd", weights)


def test_batches_change_nothing(tiny_networks: Networks) -> None:
    slices = torch.randn(7, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        whole = tiny_networks[BACKWARD](slices)
        parts = BatchedInferer(batch_size=3)(slices, tiny_networks[BACKWARD])
    assert torch.allclose(parts, whole, atol=1e-5)


def test_visible_translation(tiny_networks: Networks) -> None:
    """Every slice has its own noise, from the seed; the batch size changes nothing."""
    slices = torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(0)).expand(
        5, 1, 32, 32
    )
    network = tiny_networks[FORWARD]
    with torch.inference_mode():
        all_at_once, in_parts, other = (
            VisibleTranslationInferer(
                MaskedDiffusionScheduler(), steps=2, seed=seed, batch_size=size
            )(slices, network)
            for seed, size in ((0, 16), (0, 2), (1, 16))
        )
    assert all_at_once.shape == slices.shape
    assert torch.allclose(all_at_once, in_parts, atol=1e-5)
    assert not torch.allclose(all_at_once, other, atol=1e-2)
    assert not torch.allclose(all_at_once[0], all_at_once[1], atol=1e-2)


def test_visible_translation_with_a_perfect_network() -> None:
    """A network that predicts y_0 = the condition leads there in any number of steps."""
    slices = torch.randn(3, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    for steps in (1, 4, 10):
        inferer = VisibleTranslationInferer(MaskedDiffusionScheduler(), steps=steps)
        assert torch.allclose(
            inferer(slices, lambda inputs, times: inputs[:, 1:]), slices, atol=1e-5
        )


def test_written_volume_lies_where_the_source_does(
    volumes: VolumeSlicesDataset, tmp_path: Path
) -> None:
    """The normalised source itself as prediction comes back as the normalised source."""
    engine = SimpleNamespace(
        state=SimpleNamespace(batch=volumes[1], output={"pred": volumes[1]["image"]})
    )
    WriteTranslation(volumes, tmp_path / "new", "t2")(engine)
    found = read_nifti(tmp_path / "new" / "lesion_t2.nii.gz")
    source = volumes.place(1).volume
    assert found.same_grid(source)
    inside = source.data > 0
    assert (found.data[0] == 0).all()
    assert np.corrcoef(found.data[inside], source.data[inside])[0, 1] > 0.95


def test_folder_that_cannot_be_made(volumes: VolumeSlicesDataset, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    engine = SimpleNamespace(
        state=SimpleNamespace(batch={"number": 0}, output={"pred": volumes[0]["image"]})
    )
    with pytest.raises(OutputError, match="file"):
        WriteTranslation(volumes, tmp_path / "file" / "out", "t2")(engine)
