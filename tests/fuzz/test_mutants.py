"""A short, repeatable part of ``make fuzz``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from pydicom import config
from tests.fuzz.mutants import dicom_corpus, examine, mutant_of_file, mutant_of_series, nifti_corpus

from mmccd.io.read import read_volume

COUNT = 120


@pytest.fixture(scope="module")
def dicom(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return dicom_corpus(tmp_path_factory.mktemp("dicom"))


@pytest.fixture(scope="module")
def nifti(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return nifti_corpus(tmp_path_factory.mktemp("nifti") / "files")


def test_whole_files_are_read(dicom: list[Path], nifti: list[Path]) -> None:
    for path in (*dicom, *nifti):
        assert read_volume(path).shape == (64, 48, 3)


def test_dicom_mutants(dicom: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config.settings, "writing_validation_mode", config.IGNORE)
    results: Counter[str] = Counter()
    for seed in range(COUNT):
        folder = tmp_path / str(seed)
        folder.mkdir()
        results[examine(mutant_of_series(dicom, folder, seed))] += 1
    assert set(results) == {"read", "InputError", "UnsuitableInputError"}
    assert results["read"] < COUNT / 2


def test_nifti_mutants(nifti: list[Path], tmp_path: Path) -> None:
    results: Counter[str] = Counter()
    for seed in range(COUNT):
        folder = tmp_path / str(seed)
        folder.mkdir()
        results[examine(mutant_of_file(nifti, folder, seed))] += 1
    assert set(results) == {"read", "InputError", "UnsuitableInputError"}
    assert results["read"] < COUNT
