"""A plain autoencoder with a spatial code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from mmccd.methods.base import Need, trained
from mmccd.methods.reconstruction import Reconstruction
from mmccd.models import AutoEncoderNetwork


@dataclass(frozen=True)
class Autoencoder(Reconstruction):
    """|x - x'| of the network that the overlay ``ae`` trains."""

    name: ClassVar[str] = "ae"
    title: ClassVar[str] = "AE"
    needs: ClassVar[Mapping[str, Need]] = {"network": trained("ae", AutoEncoderNetwork)}
