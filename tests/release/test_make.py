"""release/make.py and release/check.py: what a release consists of, and that it installs."""

from __future__ import annotations

import configparser
import json
import re
import shutil
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path
from types import ModuleType

import monai.bundle
import pytest
import yaml
from tests.bundle.shipped import BUNDLES
from tests.conftest import PROJECT
from tests.scripts import load_script

DECISION = PROJECT / "bundles" / "decision"


def load(name: str) -> ModuleType:
    return load_script(PROJECT / "release" / f"{name}.py")


@pytest.fixture(scope="module")
def readme() -> ModuleType:
    """The script that makes links work on an index."""
    return load("readme")


@pytest.fixture(scope="module")
def make(readme: ModuleType) -> ModuleType:
    """The script; it imports its neighbour."""
    return load("make")


@pytest.fixture(scope="module")
def check() -> ModuleType:
    """The script that installs."""
    return load("check")


@pytest.fixture(scope="module")
def one(make: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The parts of d's bundle alone."""
    folder = tmp_path_factory.mktemp("one")
    make.add_bundle(DECISION, folder, "someone")
    make.write_sums(folder)
    return folder


class TestBundle:
    def test_zip(self, one: Path) -> None:
        """All that the bundle has, without research weights, in a folder of its name."""
        (path,) = one.glob("decision_v*.zip")
        version = json.loads((DECISION / "configs" / "metadata.json").read_text())["version"]
        assert path.name == f"decision_v{version}.zip"
        names = zipfile.ZipFile(path).namelist()
        assert all(name.startswith("decision/") for name in names)
        for name in ("LICENSE", "README.md", "configs/train.json", "models/model.pt"):
            assert f"decision/{name}" in names
        assert not [name for name in names if "research" in name or "model_card_" in name]

    def test_the_same_files_give_the_same_zip(
        self, make: ModuleType, one: Path, tmp_path: Path
    ) -> None:
        (path,) = one.glob("decision_v*.zip")
        with zipfile.ZipFile(path) as archive:
            archive.extractall(tmp_path)
        make.pack(tmp_path / "decision", "decision", tmp_path / "again.zip")
        assert (tmp_path / "again.zip").read_bytes() == path.read_bytes()

    def test_research_weights_lie_apart_and_say_so(self, one: Path) -> None:
        (path,) = one.glob("decision_non_commercial_v*.zip")
        with zipfile.ZipFile(path) as archive:
            assert "decision/models/research/flair_t1.pt" in archive.namelist()
            assert "decision/models/model.pt" not in archive.namelist()
            readme = archive.read("decision/README.md").decode()
        assert "NON-COMMERCIAL RESEARCH ONLY" in readme
        assert yaml.safe_load(readme.split("---")[1])["license"] == "cc-by-nc-sa-4.0"

    def test_card_of_the_hub(self, make: ModuleType, one: Path) -> None:
        name = make.PUBLISHED["decision"]
        folder = one / "hub" / name
        _, head, text = (folder / "README.md").read_text().split("---\n", 2)
        found = yaml.safe_load(head)
        assert (found["license"], found["library_name"]) == ("apache-2.0", "monai")
        assert {"monai", "medical", "mri"} <= set(found["tags"])
        assert f'"{name}",' in text and '"decision",' not in text
        for link in re.findall(r"\]\((?!http|#)([^)#]*)", text):
            assert (folder / link).is_file(), link

    def test_folder_for_the_zoo(self, make: ModuleType, one: Path) -> None:
        folder = one / "zoo" / make.PUBLISHED["decision"]
        assert not list(folder.rglob("*.pt"))
        (entry,) = yaml.safe_load((folder / "large_files.yml").read_text())["large_files"]
        assert entry["path"] == "models/model.pt"
        assert entry["url"] == (
            f"https://huggingface.co/someone/{folder.name}/resolve/main/models/model.pt"
        )
        card = json.loads((DECISION / "models" / "model.json").read_text())
        assert entry["hash_val"] == card["sha256"]


def test_monai_fetches_it_from_a_release(
    one: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Name of the zip and folder in it are those that MONAI's download expects."""

    def copy(url: str, filepath: Path, **_: object) -> None:
        assert url.startswith("https://github.com/someone/repository/releases/download/v1/")
        shutil.copy(one / Path(url).name, filepath)

    monkeypatch.setattr(monai.bundle.scripts, "download_url", copy)
    network = monai.bundle.load(
        "decision",
        version="0.1.0",
        bundle_dir=tmp_path,
        source="github",
        repo="someone/repository/v1",
        device="cpu",
    )
    assert network.settings["in_channels"] == 5


def test_names_of_the_zoo(make: ModuleType) -> None:
    """Organ and modality, for every bundle that ships."""
    assert set(make.PUBLISHED) == set(BUNDLES)
    assert all(re.fullmatch("brain_mri_[a-z0-9_]+", name) for name in make.PUBLISHED.values())


ADDRESS = "https://example.org/someone/mmccd"


class TestReadme:
    """What a package index shows: it knows the text of README.md, and no file beside it."""

    def test_links_lead_to_the_host(self, readme: ModuleType) -> None:
        text = "![a, b](docs/a.png) and [c](docs/c.md#d), [e](#f), [g](https://h.org/i.md)"
        assert readme.index_readme(text, ADDRESS + "/", "v1") == (
            f"![a, b]({ADDRESS}/raw/v1/docs/a.png) and [c]({ADDRESS}/blob/v1/docs/c.md#d),"
            " [e](#f), [g](https://h.org/i.md)"
        )

    def test_without_an_address_no_link_is_broken(self, readme: ModuleType) -> None:
        text = "one\n\n![a](docs/a.png)\n\n[c](docs/c.md#d), [g](https://h.org/i.md)\n"
        assert readme.index_readme(text, None, "v1") == "one\n\nc, [g](https://h.org/i.md)\n"

    @pytest.mark.parametrize("address", [ADDRESS, None])
    def test_of_this_project(self, readme: ModuleType, address: str | None) -> None:
        text = (PROJECT / "README.md").read_text()
        assert len(readme.relative_links(text)) > 10
        shown = readme.index_readme(text, address, "v1")
        assert readme.relative_links(shown) == []
        for place in re.findall(rf"{ADDRESS}/(?:raw|blob)/v1/([^)#]+)", shown):
            assert (PROJECT / place).exists(), place

    def test_it_becomes_the_description(self, make: ModuleType, tmp_path: Path) -> None:
        for name in ("setup.cfg", "README.md"):
            shutil.copy(PROJECT / name, tmp_path)
        make.write_index_readme(tmp_path, ADDRESS)
        config = configparser.ConfigParser()
        config.read(tmp_path / "setup.cfg")
        assert config["metadata"]["long_description"] == "file: README.md"
        page, version = (tmp_path / "README.md").read_text(), config["metadata"]["version"]
        assert f"]({ADDRESS}/blob/v{version}/docs/" in page
        assert f"]({ADDRESS}/raw/v{version}/docs/images/" in page


def test_a_changed_file_is_found(check: ModuleType, one: Path, tmp_path: Path) -> None:
    (tmp_path / "SHA256SUMS").write_text((one / "SHA256SUMS").read_text())
    (tmp_path / "new.txt").write_text("new")
    with pytest.raises(SystemExit, match="new.txt: is not the file of SHA256SUMS"):
        check.check_sums(tmp_path)
    check.check_sums(one)


def test_results(make: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "lgg_slice.json").write_text("{}")
    make.pack_results(PROJECT, tmp_path / "raw", tmp_path / "mmccd-results-1.0.0.tar.xz")
    with tarfile.open(tmp_path / "mmccd-results-1.0.0.tar.xz") as archive:
        names = archive.getnames()
    assert "mmccd-results-1.0.0/docs/results/limits.json" in names
    assert "mmccd-results-1.0.0/raw/lgg_slice.json" in names


@pytest.mark.slow
def test_it_installs_and_its_bundles_load(
    make: ModuleType,
    readme: ModuleType,
    check: ModuleType,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Into an environment that borrows all other packages from this one."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    make.make(tmp_path / "release")
    assert not list((tmp_path / "release").rglob("runs"))
    (wheel,) = (tmp_path / "release").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        description = archive.read(metadata).decode()
    assert "Research use only, not a medical device." in description
    assert readme.relative_links(description) == []
    check.check_sums(tmp_path / "release")
    python = check.new_environment(tmp_path / "venv", "--without-pip")
    (site,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    (site / "others.pth").write_text(borrowed())
    words = ["pip", "--python", python, "install", "--no-deps", "--no-index", "--quiet"]
    check.run([sys.executable, "-m", *words, "--force-reinstall", wheel], tmp_path)
    check.check_installed(python, tmp_path / "release", tmp_path)
    written = capfd.readouterr()
    for name in BUNDLES:
        assert f"{name}: the network of the wheel" in written.err


def borrowed() -> str:
    """The folders of this environment's packages; their .pth files are not followed, so nothing
    leads back to the checkout.
    """
    own = sysconfig.get_paths()["purelib"]
    return "\n".join([own, *(path for path in sys.path if path.endswith("site-packages"))])
