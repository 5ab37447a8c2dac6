"""What a release consists of, into one folder: ``make release``.

The tracked files are taken as they lie in the checkout, so commit first. Nothing is uploaded.
"""

from __future__ import annotations

import argparse
import configparser
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from readme import index_readme

PROJECT = Path(__file__).resolve().parents[1]
PUBLISHED = {
    "forward_masked_diffusion": "brain_mri_flair_t2_masked_diffusion",
    "backward_translator": "brain_mri_t2_flair_translation",
    "decision": "brain_mri_flair_anomaly_decision",
    "brain_extraction": "brain_mri_brain_extraction",
}
"""Names in the Model Zoo and on the hub, with organ and modality, by the folder here."""
TASKS = {"decision": "image-segmentation", "brain_extraction": "image-segmentation"}
"""The hub's names of tasks, where it is not image-to-image."""
RESEARCH = "models/research/"
WARNING = (
    "NON-COMMERCIAL RESEARCH ONLY. Not part of the package, not a medical device. The licences of"
    " the data are in docs/data_license.txt.\n"
)
LARGEST_WHEEL = 30
"""In MiB."""
_EPOCH = (2020, 1, 1, 0, 0, 0)
"""Of every file in a zip, so that the same files give the same zip."""


def main(words: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=PROJECT / "release" / "dist")
    parser.add_argument("--results", type=Path, help="folder of raw results, packed with the rest")
    parser.add_argument("--owner", default="OWNER", help="on the hub, where the zoo finds weights")
    parser.add_argument("--address", help="of the repository, where the links of the README lead")
    options = parser.parse_args(words)
    make(options.output, options.results, options.owner, options.address or None)
    sys.stdout.write((options.output / "SHA256SUMS").read_text())


def make(
    output: Path,
    results: Path | None = None,
    owner: str = "OWNER",
    address: str | None = None,
) -> None:
    """Write all parts of a release.

    Args:
        output: folder; what was there is replaced.
        results: folder of raw results.
        owner: of the repositories on the hub, from which the Model Zoo takes weights.
        address: of the repository on its code host, for the links of the README.
    """
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as place:
        tree = Path(place) / "tree"
        copy_tracked(PROJECT, tree)
        version = build_package(tree, output, address)
        for name in PUBLISHED:
            add_bundle(tree / "bundles" / name, output, owner)
        pack_results(tree, results, output / f"mmccd-results-{version}.tar.xz")
    write_sums(output)


def copy_tracked(project: Path, target: Path) -> None:
    """Copy the files that git knows, and nothing else."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=project, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (project / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(project / name, target / name)


def build_package(tree: Path, output: Path, address: str | None = None) -> str:
    """The source distribution, and the wheel that is built from it alone; their version."""
    write_index_readme(tree, address)
    code = f"import setuptools.build_meta as build; build.build_sdist({str(output)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=tree, check=True, stdout=subprocess.DEVNULL)
    (sdist,) = output.glob("mmccd-*.tar.gz")
    words = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run(
        [sys.executable, "-m", "pip", *words, "--wheel-dir", str(output), str(sdist)], check=True
    )
    (wheel,) = output.glob("mmccd-*.whl")
    size = wheel.stat().st_size / 2**20
    if size > LARGEST_WHEEL:
        raise SystemExit(f"{wheel}: has {size:.1f} MiB, expected {LARGEST_WHEEL} or less")
    return wheel.name.split("-")[1]


def write_index_readme(tree: Path, address: str | None) -> None:
    """The README of a copy, which becomes the package's description, with links that work on the
    package index.
    """
    config = configparser.ConfigParser()
    config.read(tree / "setup.cfg")
    page = tree / "README.md"
    page.write_text(index_readme(page.read_text(), address, f"v{config['metadata']['version']}"))


def add_bundle(bundle: Path, output: Path, owner: str) -> None:
    """A bundle's zip, its folders for hub and zoo, and its research weights apart."""
    name, published = bundle.name, PUBLISHED[bundle.name]
    version = json.loads((bundle / "configs" / "metadata.json").read_text())["version"]
    copy = output / "hub" / published
    shutil.copytree(bundle, copy, ignore=shutil.ignore_patterns(*research_files(bundle)))
    shutil.rmtree(copy / RESEARCH, ignore_errors=True)
    write_cards(copy, bundle, name)
    pack(copy, name, output / f"{name}_v{version}.zip")
    write_cards(copy, bundle, published)
    add_zoo_folder(copy, output / "zoo" / published, owner)
    if (bundle / RESEARCH).is_dir():
        add_research(bundle, output / f"{name}_non_commercial_v{version}.zip")


def research_files(bundle: Path) -> list[str]:
    """Names of the model cards of research weights."""
    return [path.name for path in (bundle / "docs").glob("model_card_*.md")]


def write_cards(copy: Path, bundle: Path, name: str) -> None:
    """The pages of a copy that has a name of its own, without links that lead nowhere, and the
    README once more beside ``docs``, behind the hub's front matter.
    """
    for page in (copy / "docs").glob("*.md"):
        text = without_outer_links((bundle / "docs" / page.name).read_text())
        page.write_text(text.replace(f'"{bundle.name}"', f'"{name}"'))
    text = (copy / "docs" / "README.md").read_text()
    text = re.sub(r"\]\((?!http|#)([^)]*)\)", r"](docs/\1)", text)
    (copy / "README.md").write_text(front_matter(bundle.name, "apache-2.0") + text)


def front_matter(name: str, licence: str) -> str:
    """What the hub reads of a model."""
    tags = ("monai", "medical", "mri", "brain", "flair", "anomaly-segmentation")
    return "\n".join(
        [
            "---",
            f"license: {licence}",
            "library_name: monai",
            f"pipeline_tag: {TASKS.get(name, 'image-to-image')}",
            "tags:",
            *(f"- {tag}" for tag in tags),
            "---",
            "",
            "",
        ]
    )


def without_outer_links(text: str) -> str:
    """Links that lead out of the bundle, or to research weights, as plain text."""
    return re.sub(r"\[([^\]]*)\]\((?:(?:\.\./)+[^)]*|model_card_[^)]*)\)", r"\1", text)


def add_zoo_folder(bundle: Path, target: Path, owner: str) -> None:
    """What a pull request to the Model Zoo adds: the bundle without weights, which are named."""
    shutil.copytree(bundle, target, ignore=shutil.ignore_patterns("*.pt"))
    (target / "README.md").unlink()  # the zoo's stands in docs
    digest = file_hash(bundle / "models" / "model.pt")
    url = f"https://huggingface.co/{owner}/{target.name}/resolve/main/models/model.pt"
    (target / "large_files.yml").write_text(
        f'large_files:\n- path: "models/model.pt"\n  url: "{url}"\n'
        f'  hash_val: "{digest}"\n  hash_type: "sha256"\n'
    )


def add_research(bundle: Path, path: Path) -> None:
    """The zip of weights that may not be used commercially; it says so in name and text."""
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place) / bundle.name
        shutil.copytree(bundle / RESEARCH, copy / RESEARCH)
        (copy / "docs").mkdir()
        for name in (*research_files(bundle), "data_license.txt"):
            text = without_outer_links((bundle / "docs" / name).read_text())
            (copy / "docs" / name).write_text(text)
        head = front_matter(bundle.name, "cc-by-nc-sa-4.0")
        (copy / "README.md").write_text(f"{head}# Research weights\n\n{WARNING}")
        pack(copy, bundle.name, path)


def pack(folder: Path, name: str, path: Path) -> None:
    """A folder as a zip, under a name of its own."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files_of(folder):
            entry = zipfile.ZipInfo(f"{name}/{file.relative_to(folder)}", _EPOCH)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, file.read_bytes(), zipfile.ZIP_DEFLATED)


def pack_results(tree: Path, results: Path | None, path: Path) -> None:
    """Figures behind the pages, and raw results where there are some."""
    with tarfile.open(path, "w:xz") as archive:
        for name in ("results", "benchmarks"):
            archive.add(tree / "docs" / name, f"{path.name.removesuffix('.tar.xz')}/docs/{name}")
        if results is not None:
            archive.add(results, f"{path.name.removesuffix('.tar.xz')}/{results.name}")


def write_sums(folder: Path) -> None:
    """SHA-256 of every file, as ``sha256sum --check`` reads it."""
    lines = [f"{file_hash(file)}  {file.relative_to(folder)}\n" for file in files_of(folder)]
    (folder / "SHA256SUMS").write_text("".join(lines))


def files_of(folder: Path) -> Iterator[Path]:
    """All files, in one order."""
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def file_hash(path: Path) -> str:
    """SHA-256 as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    main()
