"""``mmccd predict`` from file to folder: what it writes, and what it says to inputs that it cannot
use.
"""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import matplotlib.figure
import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from mmccd.apps.cli import cli
from mmccd.bundle import BACKWARD, FORWARD
from mmccd.core.volume import Volume
from mmccd.phantom import Phantom

pytestmark = pytest.mark.slow

FILES = (
    "anomaly_map.nii.gz",
    "brain_mask.nii.gz",
    "overview.png",
    "thumbnail.jpg",
    "report.html",
    "report.json",
    "segmentation.nii.gz",
)
IN_THE_BRAIN = (50, 60, 8)


@dataclass
class Setup:
    """A folder with an empty place for the output, bundles, and the phantom that inputs are made
    from.
    """

    folder: Path
    bundles: Path
    flair: Volume

    @property
    def output(self) -> Path:
        return self.folder / "out"

    def words(self, source: Path, *more: str) -> list[str]:
        """The command line."""
        always = ["--bundles", str(self.bundles), "--preset", "fast", "--device", "cpu"]
        return ["predict", str(source), "--output", str(self.output), *always, *more]

    def save(
        self,
        data: NDArray[np.generic],
        affine: NDArray[np.float64] | None = None,
        name: str = "head.nii.gz",
    ) -> Path:
        """A NIfTI file on the phantom's grid."""
        path = self.folder / name
        nib.save(nib.Nifti1Image(data, self.flair.affine if affine is None else affine), path)
        return path

    def good(self) -> Path:
        return self.save(self.flair.data.astype(np.int16))


@pytest.fixture(scope="module")
def flair(lesion_phantom: Phantom) -> Volume:
    return lesion_phantom.images["flair"]


@pytest.fixture
def setup(tmp_path: Path, tiny_bundles: Path, flair: Volume) -> Setup:
    return Setup(tmp_path, tiny_bundles, flair)


def load(path: Path) -> NDArray[np.float32]:
    return np.asarray(nib.load(path).get_fdata(dtype=np.float32))


@pytest.fixture(scope="module")
def reference(
    tmp_path_factory: pytest.TempPathFactory, shared_bundles: Path, flair: Volume
) -> Path:
    """Output of a good run."""
    setup = Setup(tmp_path_factory.mktemp("reference"), shared_bundles, flair)
    assert cli.run(setup.words(setup.good(), "--threshold", "0.7")) == 0
    return setup.output


def test_a_new_preset_is_one_file(setup: Setup) -> None:
    folder = setup.bundles / FORWARD / "configs" / "presets"
    content = json.loads((folder / "fast.json").read_text())
    content["settings"] |= {"stride": 32, "width": 32}
    (folder / "mine.json").write_text(json.dumps(content))
    words = setup.words(setup.good(), "--threshold", "0.7")
    words[words.index("--preset") + 1] = "mine"
    assert cli.run(words) == 0
    settings = json.loads((setup.output / "report.json").read_text())["settings"]
    assert (settings["preset"], settings["cycle"]["stride"]) == ("mine", 32)


def test_files(reference: Path, flair: Volume) -> None:
    assert sorted(path.name for path in reference.iterdir()) == sorted(FILES)
    for name, dtype in (
        ("anomaly_map", np.float32),
        ("segmentation", np.uint8),
        ("brain_mask", np.uint8),
    ):
        image = nib.load(reference / f"{name}.nii.gz")
        assert image.get_data_dtype() == dtype
        assert image.shape == flair.shape
        assert np.allclose(image.affine, flair.affine, atol=1e-4)
        assert image.header.get_xyzt_units()[0] == "mm"
        assert (int(image.header["qform_code"]), int(image.header["sform_code"])) == (1, 1)
    anomaly, mask, segmentation = (
        load(reference / f"{name}.nii.gz") for name in ("anomaly_map", "brain_mask", "segmentation")
    )
    assert (anomaly[mask == 0] == 0).all()
    assert (segmentation[mask == 0] == 0).all()
    assert 0 < segmentation.sum() < mask.sum()
    assert (reference / "overview.png").read_bytes().startswith(b"\x89PNG")


def test_report(reference: Path, flair: Volume) -> None:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    report = json.loads((reference / "report.json").read_text(), parse_constant=refuse)
    segmentation = load(reference / "segmentation.nii.gz")
    assert report["status"] == "done"
    assert report["volumes_ml"]["anomalous"] == pytest.approx(
        segmentation.sum() * flair.voxel_ml, abs=1e-3
    )
    assert report["threshold"]["value"] == 0.7
    assert report["input"]["file"] == "head.nii.gz"
    assert str(reference.parent) not in json.dumps(report), "a path may name a patient"


def test_as_a_program(setup: Setup, reference: Path) -> None:
    """In a process of its own: one line on stdout, on stderr the warnings of thick slices and of a
    returned image that is none, the same bytes; then an error is exactly one line.
    """
    program = [sys.executable, "-c", "from mmccd.apps.cli.cli import main; main()"]
    source = setup.good()
    good = subprocess.run(
        [*program, *setup.words(source, "--threshold", "0.7")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert good.returncode == 0
    thick, untrained = good.stderr.splitlines()
    assert "12.0 mm apart" in thick
    assert "does not follow the input" in untrained, "networks of random numbers return no anatomy"
    assert len(good.stdout.splitlines()) == 1
    assert str(setup.output) in good.stdout
    for name in ("anomaly_map", "segmentation"):
        assert np.array_equal(
            load(setup.output / f"{name}.nii.gz"), load(reference / f"{name}.nii.gz")
        )
    again = subprocess.run(
        [*program, *setup.words(source, "--threshold", "0.7")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (again.returncode, again.stdout, len(again.stderr.splitlines())) == (5, "", 1)


def raw_nifti(path: Path, **changes: object) -> None:
    """Change header fields of an uncompressed file in place."""
    image = nib.load(path)
    header, data = image.header.copy(), np.asarray(image.dataobj.get_unscaled())
    del image
    for name, value in changes.items():
        header[name] = value
    path.write_bytes(header.binaryblock + b"\0\0\0\0" + data.tobytes(order="F"))


def plain(setup: Setup) -> Path:
    return setup.save(setup.flair.data.astype(np.int16), name="head.nii")


def unsigned(setup: Setup) -> Path:
    return setup.save(np.round(setup.flair.data / 4).astype(np.uint8))


def double(setup: Setup) -> Path:
    return setup.save(setup.flair.data.astype(np.float64))


def big_endian(setup: Setup) -> Path:
    path = setup.folder / "head.nii"
    image = nib.Nifti1Image(
        setup.flair.data.astype(">f4"), setup.flair.affine, nib.Nifti1Header(endianness=">")
    )
    nib.save(image, path)
    assert path.read_bytes()[:4] == (348).to_bytes(4, "big")
    return path


def scaled(setup: Setup) -> Path:
    """Stored as 2 v + 200, with the slope and intercept that undo it."""
    path = setup.save((2 * setup.flair.data + 200).astype(np.int16), name="head.nii")
    raw_nifti(path, scl_slope=0.5, scl_inter=-100.0, vox_offset=352)
    assert np.array_equal(load(path), setup.flair.data)
    return path


def one_volume_of_four_dimensions(setup: Setup) -> Path:
    return setup.save(setup.flair.data[..., None])


def oblique(setup: Setup) -> Path:
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("xyz", (9, -5, 12), degrees=True).as_matrix()
    return setup.save(setup.flair.data, turn @ setup.flair.affine)


def outside(setup: Setup, value: float) -> Path:
    """Another background, but not in holes of the brain, which count as brain."""
    brain = np.stack(
        [ndimage.binary_fill_holes(layer) for layer in setup.flair.data.transpose(2, 0, 1) > 0],
        axis=-1,
    )
    return setup.save(np.where(brain, setup.flair.data, value).astype(np.float32))


def nan_outside(setup: Setup) -> Path:
    return outside(setup, np.nan)


def single_nan_outside(setup: Setup) -> Path:
    data = setup.flair.data.copy()
    data[2, 2, 2] = np.nan
    return setup.save(data)


def negative_background(setup: Setup) -> Path:
    return outside(setup, -1000.0)


def blank_in_its_name(setup: Setup) -> Path:
    return setup.save(setup.flair.data, name="a head's  FLAIR, 1.NII.GZ")


@pytest.mark.parametrize(
    ("make", "tolerance"),
    [
        (plain, 1e-6),
        (unsigned, 0.1),
        (double, 1e-6),
        (big_endian, 1e-6),
        (scaled, 1e-6),
        (one_volume_of_four_dimensions, 1e-6),
        (oblique, 1e-4),
        (nan_outside, 1e-6),
        (single_nan_outside, 1e-6),
        (negative_background, 1e-6),
        (blank_in_its_name, 1e-6),
    ],
)
def test_good_inputs_give_the_same_map(
    setup: Setup, reference: Path, make: Callable[[Setup], Path], tolerance: float
) -> None:
    source = make(setup)
    assert cli.run(setup.words(source, "--threshold", "0.7")) == 0
    assert sorted(path.name for path in setup.output.iterdir()) == sorted(FILES)
    found, expected = (
        load(setup.output / "anomaly_map.nii.gz"),
        load(reference / "anomaly_map.nii.gz"),
    )
    assert np.abs(found - expected).max() <= tolerance * expected.max()
    assert np.allclose(
        nib.load(setup.output / "anomaly_map.nii.gz").affine, nib.load(source).affine, atol=1e-4
    )


def test_brain_mask_makes_a_whole_head_usable(setup: Setup) -> None:
    mask = setup.save((setup.flair.data > 0).astype(np.uint8), name="mask.nii.gz")
    assert (
        cli.run(setup.words(whole_head(setup), "--threshold", "0.7", "--brain-mask", str(mask)))
        == 0
    )
    assert np.array_equal(load(setup.output / "brain_mask.nii.gz") > 0, setup.flair.data > 0)


def missing(setup: Setup) -> Path:
    return setup.folder / "head.nii.gz"


def folder(setup: Setup) -> Path:
    (setup.folder / "head").mkdir()
    return setup.folder / "head"


def text(setup: Setup) -> Path:
    path = setup.folder / "head.nii.gz"
    path.write_bytes(gzip.compress(b"this is no image" * 1000))
    return path


def other_name(setup: Setup) -> Path:
    path = setup.folder / "head.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(500))
    return path


def no_bytes(setup: Setup) -> Path:
    path = setup.folder / "head.nii"
    path.touch()
    return path


def cut_off(setup: Setup) -> Path:
    path = setup.good()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def cut_off_uncompressed(setup: Setup) -> Path:
    path = plain(setup)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def flipped_bits(setup: Setup) -> Path:
    path = setup.good()
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 40] = bytes(value ^ 255 for value in content[middle : middle + 40])
    path.write_bytes(content)
    return path


def several_volumes(setup: Setup) -> Path:
    return setup.save(np.stack([setup.flair.data] * 2, axis=-1))


def two_dimensional(setup: Setup) -> Path:
    return setup.save(setup.flair.data[:, :, 8])


def colour(setup: Setup) -> Path:
    data = np.zeros(setup.flair.shape, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    data["R"] = np.clip(setup.flair.data / 4, 0, 255)
    return setup.save(data)


def complex_values(setup: Setup) -> Path:
    return setup.save(setup.flair.data.astype(np.complex64))


def with_value_inside(value: float) -> Callable[[Setup], Path]:
    def make(setup: Setup) -> Path:
        data = setup.flair.data.copy()
        assert data[IN_THE_BRAIN] > 0
        data[IN_THE_BRAIN] = value
        return setup.save(data)

    return make


def constant(setup: Setup) -> Path:
    return setup.save(np.full(setup.flair.shape, 7, dtype=np.int16))


def constant_brain(setup: Setup) -> Path:
    return setup.save((setup.flair.data > 0).astype(np.int16) * 100)


def zeros(setup: Setup) -> Path:
    return setup.save(np.zeros(setup.flair.shape, dtype=np.int16))


def nothing_finite(setup: Setup) -> Path:
    return setup.save(np.full(setup.flair.shape, np.nan, dtype=np.float32))


def two_slices(setup: Setup) -> Path:
    return setup.save(setup.flair.data[:, :, 7:9])


def few_voxels(setup: Setup) -> Path:
    data = np.zeros(setup.flair.shape, dtype=np.int16)
    data[40:43, 50:53, 7:10] = np.arange(27).reshape(3, 3, 3) + 50
    return setup.save(data)


def giant(setup: Setup) -> Path:
    return setup.save(setup.flair.data, np.diag([4.0, 4.0, 24.0, 1.0]) @ setup.flair.affine)


def with_affine(*diagonal: float) -> Callable[[Setup], Path]:
    """An uncompressed file whose header says this; nibabel itself would refuse to write it."""

    def make(setup: Setup) -> Path:
        path = plain(setup)
        rows = np.diag([*diagonal, 1.0])
        raw_nifti(
            path,
            qform_code=0,
            sform_code=1,
            srow_x=rows[0],
            srow_y=rows[1],
            srow_z=rows[2],
            vox_offset=352,
        )
        return path

    return make


def whole_head(setup: Setup) -> Path:
    """The brain within 8 mm of dark skull and 2 mm of bright scalp, in air that is exactly 0."""
    ball = np.ones((3, 3, 1), dtype=bool)
    brain = ndimage.binary_fill_holes(setup.flair.data > 0)
    skull, head = (ndimage.binary_dilation(brain, ball, iterations=steps) for steps in (4, 5))
    values = np.where(head, 600, 0)
    values = np.where(skull, 25, values)
    return setup.save(np.where(brain, np.maximum(setup.flair.data, 1), values).astype(np.int16))


def noisy_air(setup: Setup) -> Path:
    noise = np.random.default_rng(0).integers(1, 20, setup.flair.shape)
    return setup.save(np.maximum(setup.flair.data, noise).astype(np.int16))


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (missing, 3),
        (folder, 3),
        (text, 3),
        (other_name, 3),
        (no_bytes, 3),
        (cut_off, 3),
        (cut_off_uncompressed, 3),
        (flipped_bits, 3),
        (several_volumes, 4),
        (two_dimensional, 4),
        (colour, 4),
        (complex_values, 4),
        pytest.param(with_value_inside(np.nan), 4, id="NaN in the brain"),
        pytest.param(with_value_inside(np.inf), 4, id="Inf in the brain"),
        pytest.param(with_value_inside(-np.inf), 4, id="-Inf in the brain"),
        (constant, 4),
        (constant_brain, 4),
        (zeros, 4),
        (nothing_finite, 4),
        (two_slices, 4),
        (few_voxels, 4),
        (giant, 4),
        pytest.param(with_affine(2.0, 0.0, 12.0), 4, id="singular affine"),
        pytest.param(with_affine(2.0, np.nan, 12.0), 4, id="affine that is not finite"),
    ],
)
def test_bad_inputs(
    setup: Setup, capsys: pytest.CaptureFixture[str], make: Callable[[Setup], Path], code: int
) -> None:
    source = make(setup)
    assert cli.run(setup.words(source, "--threshold", "0.7")) == code
    assert_one_line(capsys, source.name)
    assert not setup.output.exists()


def assert_one_line(capsys: pytest.CaptureFixture[str], named: str) -> None:
    """One line on stderr that names the file or the flag, and nothing on stdout."""
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert named in line
    assert "Traceback" not in line
    assert "defect" not in line


def small_mask(setup: Setup) -> Path:
    return setup.save((setup.flair.data > 0).astype(np.uint8)[:, :, 1:], name="mask.nii.gz")


def moved_mask(setup: Setup) -> Path:
    affine = np.array(setup.flair.affine)
    affine[1, 3] += 6.0
    return setup.save((setup.flair.data > 0).astype(np.uint8), affine, "mask.nii.gz")


def empty_mask(setup: Setup) -> Path:
    return setup.save(np.zeros(setup.flair.shape, dtype=np.uint8), name="mask.nii.gz")


def missing_mask(setup: Setup) -> Path:
    return setup.folder / "mask.nii.gz"


def mask_over_nan(setup: Setup) -> Path:
    """A mask that reaches out of what is finite."""
    with_value_inside(np.nan)(setup)
    return setup.save((setup.flair.data > 0).astype(np.uint8), name="mask.nii.gz")


@pytest.mark.parametrize(
    ("make", "code", "named"),
    [
        (small_mask, 4, "mask.nii.gz"),
        (moved_mask, 4, "mask.nii.gz"),
        (empty_mask, 4, "mask.nii.gz"),
        (missing_mask, 3, "mask.nii.gz"),
        (mask_over_nan, 4, "head.nii.gz"),
    ],
)
def test_bad_masks(
    setup: Setup,
    capsys: pytest.CaptureFixture[str],
    make: Callable[[Setup], Path],
    code: int,
    named: str,
) -> None:
    source = setup.good()
    assert (
        cli.run(setup.words(source, "--threshold", "0.7", "--brain-mask", str(make(setup)))) == code
    )
    assert_one_line(capsys, named)
    assert not setup.output.exists()


class TestOutput:
    def test_existing_results_are_kept(
        self, setup: Setup, reference: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shutil.copytree(reference, setup.output)
        before = content_of(setup.output)
        assert cli.run(setup.words(setup.good(), "--threshold", "0.9")) == 5
        assert_one_line(capsys, "--force")
        assert content_of(setup.output) == before

    def test_force_replaces_them(self, setup: Setup, reference: Path) -> None:
        shutil.copytree(reference, setup.output)
        (setup.output / "notes.txt").write_text("mine")
        assert cli.run(setup.words(setup.good(), "--threshold", "0.9", "--force")) == 0
        assert sorted(path.name for path in setup.output.iterdir()) == sorted([*FILES, "notes.txt"])
        assert json.loads((setup.output / "report.json").read_text())["threshold"]["value"] == 0.9

    def test_force_that_fails_keeps_the_old_ones(
        self,
        setup: Setup,
        reference: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        shutil.copytree(reference, setup.output)
        before = content_of(setup.output)
        assert cli.run(setup.words(several_volumes(setup), "--threshold", "0.7", "--force")) == 4
        fill_the_disk(monkeypatch, "picture")
        assert cli.run(setup.words(setup.good(), "--threshold", "0.7", "--force")) == 5
        assert content_of(setup.output) == before

    def test_folder_with_other_files_is_fine(self, setup: Setup) -> None:
        setup.output.mkdir()
        (setup.output / "notes.txt").write_text("mine")
        assert cli.run(setup.words(setup.good(), "--threshold", "0.7")) == 0
        assert (setup.output / "notes.txt").read_text() == "mine"

    def test_output_is_a_file(self, setup: Setup, capsys: pytest.CaptureFixture[str]) -> None:
        setup.output.write_text("mine")
        assert cli.run(setup.words(setup.good(), "--threshold", "0.7")) == 5
        assert_one_line(capsys, str(setup.output))
        assert setup.output.read_text() == "mine"

    def test_output_below_a_file(self, setup: Setup, capsys: pytest.CaptureFixture[str]) -> None:
        source = setup.good()
        words = [
            word if word != str(setup.output) else str(source / "deep" / "out")
            for word in setup.words(source, "--threshold", "0.7")
        ]
        before = source.read_bytes()
        assert cli.run(words) == 5
        assert_one_line(capsys, "deep")
        assert source.read_bytes() == before

    @pytest.mark.parametrize("place", ["map", "picture", "report"])
    def test_disk_full(
        self,
        setup: Setup,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        place: str,
    ) -> None:
        source = setup.good()
        fill_the_disk(monkeypatch, place)
        assert cli.run(setup.words(source, "--threshold", "0.7")) == 5
        assert_one_line(capsys, str(setup.output))
        assert not setup.output.exists()


def content_of(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir()}


def fill_the_disk(monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """No space left from the first map, the picture or the report on."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    target, name = {
        "map": (nib, "save"),
        "picture": (matplotlib.figure.Figure, "savefig"),
        "report": (Path, "write_text"),
    }[place]
    monkeypatch.setattr(target, name, full)


def no_bundles(setup: Setup) -> None:
    shutil.rmtree(setup.bundles)


def no_weights(setup: Setup) -> None:
    shutil.rmtree(setup.bundles / BACKWARD / "models")


def damaged_weights(setup: Setup) -> None:
    path = setup.bundles / FORWARD / "models" / "model.pt"
    content = bytearray(path.read_bytes())
    content[-100] ^= 255
    path.write_bytes(content)


def damaged_card(setup: Setup) -> None:
    (setup.bundles / FORWARD / "models" / "model.json").write_text("{")


def damaged_settings(setup: Setup) -> None:
    for path in (setup.bundles / FORWARD / "configs" / "presets").iterdir():
        path.write_text("{}")


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (no_bundles, "bundles"),
        (no_weights, BACKWARD),
        (damaged_weights, "model.pt"),
        (damaged_card, "model.json"),
        (damaged_settings, "presets"),
    ],
)
def test_bad_bundles(
    setup: Setup, capsys: pytest.CaptureFixture[str], damage: Callable[[Setup], None], named: str
) -> None:
    source = setup.good()
    damage(setup)
    assert cli.run(setup.words(source, "--threshold", "0.7")) == 6
    assert_one_line(capsys, named)
    assert not setup.output.exists()


@pytest.mark.parametrize(
    ("words", "code", "named"),
    [
        ([], 6, "--threshold"),
        (["--target", "t1", "--threshold", "0.7"], 6, "t1"),
        (["--preset", "slow"], 2, "--preset"),
        (["--target", "pd"], 2, "--target"),
        (["--treshold", "0.7"], 2, "--treshold"),
        (["--threshold", "0.7", "--device", "gpu"], 2, "--device"),
        (["--threshold", "0.7", "--device", "cuda:77"], 2, "--device"),
        (["--threshold", "inf"], 2, "--threshold"),
        (["--threshold", "0.7", "--seed", "-5"], 2, "--seed"),
    ],
)
def test_bad_words(
    setup: Setup, capsys: pytest.CaptureFixture[str], words: list[str], code: int, named: str
) -> None:
    command = [
        "predict",
        str(setup.good()),
        "--output",
        str(setup.output),
        "--bundles",
        str(setup.bundles),
    ]
    command += ["--preset", "fast"] if "--preset" not in words else []
    assert cli.run([*command, *words]) == code
    assert_one_line(capsys, named)
    assert not setup.output.exists()


def test_input_is_checked_before_the_output_is_made_and_the_models_are_loaded(
    setup: Setup, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of several things that are wrong, the first that the user can see: output, then input, then
    models.
    """
    no_bundles(setup)
    assert cli.run(setup.words(missing(setup), "--threshold", "0.7")) == 3
    setup.output.write_text("a file")
    assert cli.run(setup.words(missing(setup), "--threshold", "0.7")) == 5


class TestDemo:
    WORDS = ("demo", "--preset", "fast", "--device", "cpu")

    def test_demo(
        self,
        tiny_bundles: Path,
        tmp_path: Path,
        lesion_phantom: Phantom,
        phantom_data: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setattr("mmccd.phantom.make_phantom", lambda *_: lesion_phantom)
        calibrate = [
            "calibrate",
            "--data",
            str(phantom_data),
            "--preset",
            "fast",
            "--device",
            "cpu",
            "--slices-per-case",
            "4",
        ]
        assert cli.run([*calibrate, "--bundles", str(tiny_bundles)]) == 0
        capsys.readouterr()
        output = tmp_path / "demo"
        assert cli.run([*self.WORDS, "--output", str(output), "--bundles", str(tiny_bundles)]) == 0
        assert sorted(path.name for path in output.iterdir()) == sorted(
            [*FILES, "percentile_map.nii.gz", "phantom"]
        )
        assert "AUPRC" in capsys.readouterr().out
        assert cli.run([*self.WORDS, "--output", str(output), "--bundles", str(tiny_bundles)]) == 5
        assert (
            cli.run(
                [*self.WORDS, "--output", str(output), "--bundles", str(tiny_bundles), "--force"]
            )
            == 0
        )

    def test_demo_that_cannot_run_leaves_nothing(
        self,
        tiny_bundles: Path,
        tmp_path: Path,
        lesion_phantom: Phantom,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """No calibration: exit 6, and no phantom lies about."""
        monkeypatch.setattr("mmccd.phantom.make_phantom", lambda *_: lesion_phantom)
        assert (
            cli.run(
                [*self.WORDS, "--output", str(tmp_path / "demo"), "--bundles", str(tiny_bundles)]
            )
            == 6
        )
        assert_one_line(capsys, "calibration")
        assert not (tmp_path / "demo").exists()
