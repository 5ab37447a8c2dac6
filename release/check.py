"""Install a release in an empty environment and load its bundles: ``make release`` ends with it.

``python release/check.py FOLDER`` installs the wheel with all that it needs from the package index,
with the versions of constraints.txt.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
PROGRAM = """
import sys, warnings
warnings.simplefilter("ignore")
from pathlib import Path
import monai.bundle, torch
import mmccd.bundles
from mmccd.brain import BrainUNet
from mmccd.bundle import list_weights, load_brain_weights
installed = Path(mmccd.bundles.__file__).parent
for path in sorted(Path("bundles").iterdir()):
    network = monai.bundle.load(path.name, bundle_dir="bundles", source="github", device="cpu")
    weights = (
        load_brain_weights(installed).load(BrainUNet) if path.name == "brain_extraction"
        else list_weights(installed / path.name)[0].load_network()
    )
    channels = 3 if path.name == "brain_extraction" else weights.settings["in_channels"]
    image = torch.randn(1, channels, 128, 128)
    with torch.no_grad():
        difference = float((network.eval()(image) - weights(image)).abs().max())
    assert difference < 1e-5, (path.name, difference)
    sys.stderr.write(f"{path.name}: the network of the wheel, difference {difference:.0e}\\n")
"""


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("release", type=Path)
    release = parser.parse_args().release.resolve()
    check_sums(release)
    with tempfile.TemporaryDirectory() as place:
        python = new_environment(Path(place) / "venv")
        (wheel,) = release.glob("*.whl")
        constraints = PROJECT / "constraints.txt"
        run([python, "-m", "pip", "install", "--quiet", "-c", constraints, wheel], place)
        check_installed(python, release, Path(place))


def check_sums(release: Path) -> None:
    """Every file has its hash, and none stands outside the list."""
    lines = dict(
        reversed(line.split("  ", 1)) for line in (release / "SHA256SUMS").read_text().splitlines()
    )
    for path in sorted(release.rglob("*")):
        if path.is_file() and path.name != "SHA256SUMS":
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            name = str(path.relative_to(release))
            if lines.get(name) != digest:
                raise SystemExit(f"{path}: is not the file of SHA256SUMS; make the release again")


def new_environment(folder: Path, *words: str) -> Path:
    """An empty virtual environment; its Python."""
    run([sys.executable, "-m", "venv", *words, folder], folder.parent)
    return folder / "bin" / "python"


def check_installed(python: Path, release: Path, folder: Path) -> None:
    """Unpack the bundles far from the checkout, load each by MONAI's own tool and compare it with
    the installed one; then ``mmccd doctor``.
    """
    for path in sorted(release.glob("*.zip")):
        if "_non_commercial_" not in path.name:
            with zipfile.ZipFile(path) as archive:
                archive.extractall(folder / "bundles")
    run([python, "-c", PROGRAM], folder)
    run([python.with_name("mmccd"), "doctor", "--bundles", "bundles"], folder)


def run(command: list[str | Path], folder: str | Path) -> None:
    """A program without what would lead it back to the checkout; an error ends this one, too."""
    clean = {
        key: value
        for key, value in os.environ.items()
        if key not in ("PYTHONPATH", "HOLOSCAN_MODEL_PATH")
    }
    subprocess.run([str(word) for word in command], cwd=folder, env=clean, check=True)


if __name__ == "__main__":
    main()
