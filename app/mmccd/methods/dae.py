"""A U-Net that removes coarse noise, run without noise (Kascenas et al., MIDL 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from mmccd.methods.base import Need, trained
from mmccd.methods.reconstruction import Reconstruction
from mmccd.models import DenoisingUNet


@dataclass(frozen=True)
class DenoisingAutoencoder(Reconstruction):
    """|x - x'| of the network that the overlay ``dae`` trains."""

    name: ClassVar[str] = "dae"
    title: ClassVar[str] = "DAE"
    needs: ClassVar[Mapping[str, Need]] = {"network": trained("dae", DenoisingUNet)}
