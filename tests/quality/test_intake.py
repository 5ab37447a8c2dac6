"""mmccd.quality.intake: the order of events between a volume and the cycle, with phantoms and a
stand-in for the extraction.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmccd.brain import EXTRACTED, GIVEN, STRIPPED, Extraction
from mmccd.core.errors import ModelError, UnsuitableInputError
from mmccd.core.volume import Volume
from mmccd.phantom import Phantom
from mmccd.pipeline import make_intake
from mmccd.quality import Prepared


def codes(prepared: Prepared) -> list[str]:
    return [finding.code for finding in prepared.findings]


@pytest.fixture
def head(healthy_phantom: Phantom) -> tuple[Volume, Extraction]:
    """The phantom in something that is neither background nor its noise, so that it does not count
    as stripped, and its brain as if extracted.
    """
    flair, mask = healthy_phantom.images["flair"], healthy_phantom.brain.data > 0
    noise = np.random.default_rng(0).uniform(50, 150, flair.shape)
    return flair.with_data(np.where(mask, flair.data, noise).astype(np.float32)), Extraction(
        mask, np.zeros_like(mask), 0.0
    )


def test_a_head_is_extracted_with_a_warning(
    head: tuple[Volume, Extraction], monkeypatch: pytest.MonkeyPatch
) -> None:
    volume, extraction = head
    monkeypatch.setattr("mmccd.brain.own.extract_brain", lambda *_: extraction)
    found = make_intake().prepare(volume)
    assert found.brain.method == EXTRACTED
    np.testing.assert_array_equal(found.brain.mask, extraction.mask)
    assert (
        found.findings[0].text
        == "the brain was found by mmccd's own network; look at brain_mask: fat of neck or orbits"
        " in it looks anomalous"
    )
    assert set(found.figures) == {"contrast_probabilities", "strangeness", "bias", "jump", "detail"}


def test_a_given_mask_comes_first(
    head: tuple[Volume, Extraction], monkeypatch: pytest.MonkeyPatch
) -> None:
    volume, extraction = head
    monkeypatch.setattr("mmccd.brain.own.extract_brain", lambda *_: extraction)
    found = make_intake().prepare(volume, volume.with_data(extraction.mask.astype(np.float32)))
    assert found.brain.method == GIVEN
    assert "brain.extracted" not in codes(found)


def test_a_stripped_brain_is_kept(healthy_phantom: Phantom) -> None:
    found = make_intake().prepare(healthy_phantom.images["flair"])
    assert found.brain.method == STRIPPED
    assert "brain.extracted" not in codes(found)


def test_extraction_that_takes_nearly_everything_means_stripped(
    healthy_phantom: Phantom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wide dark rim makes a stripped brain look like a head: then the extraction decides."""
    flair, mask = healthy_phantom.images["flair"], healthy_phantom.brain.data > 0
    monkeypatch.setattr("mmccd.brain.find._is_stripped", lambda *_: False)
    monkeypatch.setattr(
        "mmccd.brain.own.extract_brain",
        lambda *_: Extraction(mask & (np.arange(mask.shape[0]) > 20)[:, None, None], ~mask, 0.0),
    )
    found = make_intake().prepare(flair)
    assert found.brain.method == STRIPPED
    assert (found.brain.mask & mask).sum() > 0.99 * mask.sum()


def test_another_contrast_and_the_way_round(healthy_phantom: Phantom) -> None:
    t1 = replace(healthy_phantom.images["t1"], provenance={"file": "a.nii"})
    with pytest.raises(
        UnsuitableInputError, match=r"^a\.nii: the contrast looks like T1.*--unchecked$"
    ):
        make_intake().prepare(t1)
    assert "contrast.not_flair" in codes(make_intake(unchecked=True).prepare(t1))


def test_half_a_head_and_the_way_round(healthy_phantom: Phantom) -> None:
    flair = healthy_phantom.images["flair"]
    half = flair.with_data(
        np.where(
            np.arange(flair.shape[0])[:, None, None] < flair.shape[0] / 2, flair.data, 0
        ).astype(np.float32)
    )
    with pytest.raises(UnsuitableInputError, match="cut off at its right"):
        make_intake().prepare(half)
    assert "brain.incomplete" in codes(make_intake(unchecked=True).prepare(half))


def test_bias_correction_changes_the_image_only(healthy_phantom: Phantom) -> None:
    flair = healthy_phantom.images["flair"]
    found = make_intake(bias_correction=True).prepare(flair)
    assert found.volume.same_grid(flair)
    assert not np.array_equal(found.volume.data, flair.data)
    np.testing.assert_array_equal(found.brain.mask, make_intake().prepare(flair).brain.mask)


def test_bundles_without_brain_extraction_use_the_installed_one(
    tiny_bundles: Path, healthy_phantom: Phantom
) -> None:
    assert not (tiny_bundles / "brain_extraction").exists()
    found = make_intake(tiny_bundles).prepare(healthy_phantom.images["flair"])
    assert found.brain.method == STRIPPED


def test_damaged_weights(tmp_path: Path, head: tuple[Volume, Extraction]) -> None:
    (tmp_path / "brain_extraction" / "models").mkdir(parents=True)
    (tmp_path / "brain_extraction" / "models" / "model.json").write_text("{}")
    with pytest.raises(ModelError, match="the card has no task, network, sha256"):
        make_intake(tmp_path).prepare(head[0])
