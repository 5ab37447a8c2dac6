"""docker/train_gpu.py: what it carries, what it moves away and back, and a tiny run on the CPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from tests.conftest import PROJECT
from tests.scripts import load_script

MINE = "bundles/forward_masked_diffusion/models/research/flair_t1.pt"
OTHER = "docs/images/demo.png"
STAYS = "bundles/forward_masked_diffusion/models/model.pt"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The script."""
    return load_script(PROJECT / "docker" / "train_gpu.py")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with files that are moved away, and one that is not."""
    for name in (MINE, OTHER, STAYS):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def files_of(folder: Path) -> dict[str, str]:
    """Path and content of every file."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_text() for path in found}


class TestAside:
    def test_away_and_back(self, script: ModuleType, checkout: Path) -> None:
        before = files_of(checkout)
        assert script.set_aside(checkout) == [MINE, OTHER]
        assert not (checkout / MINE).exists() and (checkout / STAYS).exists()
        assert script.set_aside(checkout) == []
        assert script.bring_back(checkout) == [MINE, OTHER]
        assert files_of(checkout) == before
        assert script.bring_back(checkout) == []

    def test_what_is_to_be_kept_stays(self, script: ModuleType, checkout: Path) -> None:
        assert script.set_aside(checkout, [MINE]) == [OTHER]

    @pytest.mark.parametrize("calls", [0, 1])
    @pytest.mark.parametrize("function", ["set_aside", "bring_back"])
    def test_back_after_a_crash_anywhere(
        self,
        script: ModuleType,
        checkout: Path,
        monkeypatch: pytest.MonkeyPatch,
        function: str,
        calls: int,
    ) -> None:
        before = files_of(checkout)
        if function == "bring_back":
            script.set_aside(checkout)
        done: list[Path] = []
        really = Path.rename

        def rename(self: Path, target: Path) -> Path:
            if len(done) == calls:
                raise KeyboardInterrupt
            done.append(target)
            return really(self, target)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "rename", rename)
            with pytest.raises(KeyboardInterrupt):
                getattr(script, function)(checkout)
        assert len(done) == calls
        script.bring_back(checkout)
        assert files_of(checkout) == before

    def test_a_file_that_git_brought_back_is_taken_as_it_is(
        self, script: ModuleType, checkout: Path
    ) -> None:
        before = files_of(checkout)
        script.set_aside(checkout)
        (checkout / MINE).write_text(MINE)
        script.bring_back(checkout)
        assert files_of(checkout) == before

    def test_another_file_in_the_place_is_not_overwritten(
        self, script: ModuleType, checkout: Path
    ) -> None:
        script.set_aside(checkout)
        (checkout / MINE).write_text("new weights")
        with pytest.raises(script.PreparationError, match=r"flair_t1\.pt: is another file"):
            script.bring_back(checkout)
        assert (checkout / MINE).read_text() == "new weights"
        assert (checkout / ".aside" / MINE).read_text() == MINE
        assert (checkout / OTHER).exists()


class TestPins:
    def test_every_wheel_has_the_version_of_the_constraints(self, script: ModuleType) -> None:
        pins = script.pinned(script.WHEELS, PROJECT / "constraints.txt")
        lines = (PROJECT / "constraints.txt").read_text().splitlines()
        assert len(pins) == len(script.WHEELS)
        assert {pin.replace("_", "-") for pin in pins} <= {line.replace("_", "-") for line in lines}

    def test_a_package_without_a_version_is_named(self, script: ModuleType, tmp_path: Path) -> None:
        (tmp_path / "constraints.txt").write_text("# none\n")
        with pytest.raises(script.PreparationError, match="no version of monai"):
            script.pinned(["monai"], tmp_path / "constraints.txt")


def test_the_tree_is_what_git_lists_less_what_is_moved_away(
    script: ModuleType, checkout: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    subprocess.run(["git", "init", "-q"], cwd=checkout, check=True)
    (checkout / ".gitignore").write_text("runs/\n")
    (checkout / "runs").mkdir()
    (checkout / "runs" / "large").write_bytes(bytes(1000))
    rest = len(STAYS) + len("runs/\n")
    assert script.tree_size(checkout, checkout / "nothing") == rest
    assert script.tree_size(checkout, checkout / "nothing", [MINE]) == rest + len(MINE)
    assert script.tree_size(checkout, checkout / "runs") == rest + 1000


def test_the_version_is_read_where_nothing_is_installed(script: ModuleType, tmp_path: Path) -> None:
    from importlib.metadata import distributions

    script.name_project(tmp_path, PROJECT / "setup.cfg")
    (found,) = distributions(path=[str(tmp_path)])
    assert found.metadata["Name"] == "mmccd"
    assert f"version = {found.version}\n" in (PROJECT / "setup.cfg").read_text()


def test_presets_in_fp32_beside_links_to_the_rest(
    script: ModuleType, tiny_bundles: Path, tmp_path: Path
) -> None:
    script.fp32_bundles(tiny_bundles, tmp_path / "fp32")
    forward = tmp_path / "fp32" / "forward_masked_diffusion"
    presets = [json.loads(file.read_text()) for file in forward.glob("configs/presets/*.json")]
    assert presets and all(preset["precision"] == "fp32" for preset in presets)
    assert (forward / "models" / "model.pt").is_file() and (forward / "models").is_symlink()
    shipped = tiny_bundles / "forward_masked_diffusion" / "configs" / "presets" / "fast.json"
    assert json.loads(shipped.read_text())["precision"] == "auto"


class TestSteps:
    @pytest.fixture
    def steps(self, script: ModuleType, tmp_path: Path) -> Any:
        return script.Steps(tmp_path / "out", 60.0, dict(os.environ))

    def test_a_step_that_fails_is_recorded(self, script: ModuleType, steps: Any) -> None:
        assert not steps.program("one", [sys.executable, "-c", "raise SystemExit(3)"], 30.0)
        assert not steps.step("two", lambda: str(1 / 0))
        assert steps.program("three", [sys.executable, "-c", "print('said')"], 30.0)
        written = json.loads((steps.out / "summary.json").read_text())["steps"]
        assert [written[name]["ok"] for name in ("one", "two", "three")] == [False, False, True]
        assert "exit code 3" in written["one"]["trouble"]
        assert "ZeroDivisionError" in written["two"]["trouble"]
        assert "said" in (steps.out / "run.log").read_text()

    def test_a_program_that_takes_no_notice_is_killed(
        self, script: ModuleType, steps: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(script, "GRACE_SECONDS", 0.3)
        deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"
        start = time.monotonic()
        assert not steps.program("deaf", [sys.executable, "-c", deaf], 1.0)
        assert time.monotonic() - start < 20
        assert "was ended" in steps.summary["steps"]["deaf"]["trouble"]

    def test_nothing_starts_after_the_end(self, script: ModuleType, steps: Any) -> None:
        steps.stop()
        assert not steps.program("late", ["never"], 30.0)
        assert "SIGTERM" in steps.summary["steps"]["late"]["trouble"]


def write_label_map(folder: Path) -> None:
    """Grey matter round white matter round a ventricle, with FreeSurfer's numbers."""
    place = np.indices((100, 120, 90)).astype(float)
    centre, radii = np.array([50, 60, 45]), np.array([40, 50, 35])
    shell = (((place - centre[:, None, None, None]) / radii[:, None, None, None]) ** 2).sum(0)
    labels = np.select([shell < 0.05, shell < 0.6, shell < 1], [4, 2, 3], 0)
    folder.mkdir()
    nib.save(nib.Nifti1Image(labels.astype(np.int16), np.eye(4)), folder / "made_up.nii.gz")


def test_the_rate_of_a_training_leaves_its_start_out(script: ModuleType, tmp_path: Path) -> None:
    lines = [(100, 60.0, 166.0), (200, 70.0, 285.0), (300, 80.0, 375.0), (310, 81.0, 0.0)]
    (tmp_path / "log.jsonl").write_text(
        "".join(
            json.dumps({"iteration": number, "seconds": seconds, "slices_per_s": rate}) + "\n"
            for number, seconds, rate in lines
        )
    )
    figures = script.training_figures(tmp_path, 100)
    assert figures["slices_per_s"] == 1000.0
    assert figures["iteration"] == 310
    assert script.training_figures(tmp_path / "nothing", 100) == {}


@pytest.mark.slow
def test_a_tiny_run_from_preparation_to_weights(
    script: ModuleType, tiny_bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything but the GPU and the wheels."""
    write_label_map(tmp_path / "maps")
    monkeypatch.setattr(script, "LARGEST_TREE", 10**12)
    folder, out, bundles = tmp_path / "folder", tmp_path / "out", str(tiny_bundles)
    words = ["--presets", "fast", "--bundles", bundles, "--no_wheels", "--slice_mm", "15"]
    maps = f"{tmp_path / 'maps'}:6"
    assert script.main(["prepare", str(folder), "--maps", maps, *words]) == 0
    words = ["--device", "cpu", "--tiny", "--batch_size", "4", "--bundles", bundles]
    words += ["--train_seconds", "2", "--precision", "fp32"]
    words += ["--seconds", "900", "--checks", "600"]  # on a busy machine, too
    assert script.main(["run", str(folder), "--out", str(out), *words]) == 0
    summary = json.loads((out / "summary.json").read_text())
    assert {path.name for path in out.iterdir()} == {
        *("summary.json", "run.log", "f.pt", "f.json", "g.pt", "g.json", "log.jsonl")
    }
    assert summary["training"]["iteration"] > 0
    assert summary["predictions"]["fast, fp32"]["largest_difference"] == 0
    assert summary["predictions"]["fast, fp32"]["dice"] == 1
    assert all(line["per_second"] > 0 for line in summary["passes"][1:])
