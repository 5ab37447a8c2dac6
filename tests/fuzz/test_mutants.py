"""A short, repeatable part of ``make fuzz``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
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


def outcomes(
    mutate: Callable[[list[Path], Path, int], Path], corpus: list[Path], root: Path
) -> Counter[str]:
    """What becomes of the first mutants, each in a folder of its own."""
    results: Counter[str] = Counter()
    for seed in range(COUNT):
        folder = root / str(seed)
        folder.mkdir()
        results[examine(mutate(corpus, folder, seed))] += 1
    return results


def test_whole_files_are_read(dicom: list[Path], nifti: list[Path]) -> None:
    for path in (*dicom, *nifti):
        assert read_volume(path).shape == (64, 48, 3)


def test_dicom_mutants(dicom: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config.settings, "writing_validation_mode", config.IGNORE)
    results = outcomes(mutant_of_series, dicom, tmp_path)
    assert set(results) == {"read", "InputError", "UnsuitableInputError"}
    assert results["read"] < COUNT / 2


def test_nifti_mutants(nifti: list[Path], tmp_path: Path) -> None:
    results = outcomes(mutant_of_file, nifti, tmp_path)
    assert set(results) == {"read", "InputError", "UnsuitableInputError"}
    assert results["read"] < COUNT
