"""mmccd.bundle.find: which folder of bundles is taken, and which bundle has which weights."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.bundle.bundles import assert_one_line

from mmccd.bundle.find import (
    BACKWARD,
    FORWARD,
    MODEL_PATH_VARIABLE,
    find_bundle,
    find_bundles,
    is_installed,
)
from mmccd.core.errors import ModelError


class TestFindBundles:
    def test_the_argument_wins(
        self, tiny_bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(MODEL_PATH_VARIABLE, str(tmp_path / "elsewhere"))
        assert find_bundles(str(tiny_bundles)) == tiny_bundles

    def test_then_the_variable(self, tiny_bundles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(MODEL_PATH_VARIABLE, str(tiny_bundles))
        assert find_bundles() == tiny_bundles

    def test_then_the_installed_ones(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv(MODEL_PATH_VARIABLE, raising=False)
        root = find_bundles()
        assert (root / FORWARD / "configs" / "cycle.json").is_file()
        assert (root / BACKWARD / "configs" / "train.json").is_file()

    @pytest.mark.parametrize("name", [FORWARD, BACKWARD])
    def test_a_bundle_is_not_there(self, tiny_bundles: Path, name: str) -> None:
        shutil.rmtree(tiny_bundles / name)
        with pytest.raises(ModelError) as error:
            find_bundles(tiny_bundles)
        assert_one_line(error.value, tiny_bundles / name, "--bundles")

    def test_the_variable_points_to_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(MODEL_PATH_VARIABLE, str(tmp_path / "elsewhere"))
        with pytest.raises(ModelError, match="elsewhere"):
            find_bundles()


class TestFindBundle:
    def test_the_name_is_the_beginning_of_the_folder(self, tmp_path: Path) -> None:
        for name in ("forward_masked_diffusion", "forwards", "decision", "backward_translator"):
            (tmp_path / name).mkdir()
        (tmp_path / "forward_notes.txt").touch()
        assert find_bundle(tmp_path, "forward").name == "forward_masked_diffusion"
        assert find_bundle(tmp_path, "decision").name == "decision"

    @pytest.mark.parametrize("folders", [(), ("decision", "decision_network")])
    def test_none_or_several(self, tmp_path: Path, folders: tuple[str, ...]) -> None:
        for name in folders:
            (tmp_path / name).mkdir()
        with pytest.raises(ModelError) as error:
            find_bundle(tmp_path, "decision")
        assert_one_line(error.value, tmp_path, f"has {len(folders)} bundles", "decision")


def test_a_package_is_installed_and_a_checkout_is_not(tmp_path: Path, project: Path) -> None:
    installed = tmp_path / "site-packages" / "mmccd" / "bundles"
    installed.mkdir(parents=True)
    (installed.parent / "__init__.py").touch()
    assert is_installed(installed)
    assert not is_installed(project / "bundles")
    assert not is_installed(tmp_path)
