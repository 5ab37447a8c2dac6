"""HD-BET (Isensee et al., Human Brain Mapping 2019) in the place of our own network, where its
program is installed.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from mmccd.brain.extract import Extraction
from mmccd.brain.find import Extractor
from mmccd.core import ModelError, UsageError, Volume
from mmccd.io import read_nifti, write_nifti

PROGRAM = "hd-bet"


def check_installed() -> None:
    """Look for the program.

    Raises:
        UsageError: it is not there.
    """
    _program()


def make(network: Callable[[], nn.Module], device: torch.device) -> Extractor:
    """The extractor; see :class:`~mmccd.brain.extractors.ExtractorModule`."""

    def extract(volume: Volume) -> Extraction:
        return extract_with_hd_bet(volume, device.type)

    return extract


def extract_with_hd_bet(volume: Volume, device: str = "cpu") -> Extraction:
    """Run HD-BET 2 on a volume, through files in a temporary folder.

    Args:
        volume: a head.
        device: ``cpu``, ``cuda`` or ``mps``.

    Raises:
        UsageError: the program is not installed.
        ModelError: it fails, or writes no mask.
    """
    program = _program()
    with tempfile.TemporaryDirectory(prefix="mmccd-") as folder:
        source, result = Path(folder) / "head.nii.gz", Path(folder) / "brain.nii.gz"
        write_nifti(volume, source, "float32")
        options = [
            "--save_bet_mask",
            "--no_bet_image",
            *(["--disable_tta"] if device == "cpu" else []),
        ]
        done = subprocess.run(
            [program, "-i", str(source), "-o", str(result), "-device", device, *options],
            capture_output=True,
            text=True,
            check=False,
        )
        mask = result.with_name("brain_bet.nii.gz")
        if done.returncode != 0 or not mask.is_file():
            said = (done.stderr.strip().splitlines() or ["nothing"])[-1][:120]
            raise ModelError(
                f"{PROGRAM}: ended with code {done.returncode} and said: {said}; expected a brain"
                " mask; run it by itself to see why",
                code="extractor.failed",
            )
        found = np.asarray(read_nifti(mask, "mask").data > 0.5)
    if found.shape != volume.shape or not found.any():
        raise ModelError(
            f"{PROGRAM}: gave a mask of shape {found.shape} with {int(found.sum())} voxels for a"
            f" volume of shape {volume.shape}; expected the brain",
            code="extractor.failed",
        )
    return Extraction(found, np.zeros_like(found), 0.0)


def _program() -> str:
    program = shutil.which(PROGRAM)
    if program is None:
        raise UsageError(
            f"--extractor hd-bet: there is no program {PROGRAM} on the PATH; install HD-BET 2 (pip"
            " install hd-bet), or leave the flag out",
            code="usage.extractor_not_installed",
        )
    return program
