"""Brain masks of many files: what the brain bundle's ``inference.json`` runs."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch
from torch import nn

from mmccd.brain.extract import extract_brain
from mmccd.core import InputError, make_folder
from mmccd.io import read_nifti, write_nifti

logger = logging.getLogger(__name__)
_ENDINGS = (".nii.gz", ".nii")


def extract_files(
    source: str | Path, output: str | Path, network: nn.Module, device: torch.device
) -> list[Path]:
    """Write ``NAME_brain.nii.gz`` for one NIfTI file or for all that lie in a folder.

    Args:
        source: file, or folder.
        output: folder for the masks; made if it is not there.
        network: three slices to logits.
        device: where it runs.

    Raises:
        InputError: no NIfTI file there.
        UnsuitableInputError: no brain in one of them; masks of those before are written.
        OutputError: a mask cannot be written.
    """
    source, output = Path(source), Path(output)
    files = (
        sorted(path for path in source.iterdir() if path.name.endswith(_ENDINGS))
        if source.is_dir()
        else [source]
    )
    if not files or not files[0].is_file():
        raise InputError(
            f"{source}: holds no NIfTI file; expected MR images of heads; give a file, or a folder"
            " of them",
            code="nifti.none",
        )
    make_folder(output)
    network = network.to(device).eval()
    paths = []
    for file in files:
        volume = read_nifti(file)
        name = file.name.removesuffix(".gz").removesuffix(".nii")
        paths.append(output / f"{name}_brain.nii.gz")
        write_nifti(
            volume.with_data(extract_brain(volume, network, device).mask.astype(np.uint8), "mask"),
            paths[-1],
            "uint8",
        )
        logger.info("%s", paths[-1])
    return paths
