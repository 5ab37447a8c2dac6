"""An autoencoder with a wider code, as a method of ``mmccd evaluate``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from mmccd.methods import Need, Reconstruction, trained
from mmccd.models import AutoEncoderNetwork


@dataclass(frozen=True)
class WideAutoencoder(Reconstruction):
    """|x - x'| of the network that the overlay ``wide_ae`` trains."""

    name: ClassVar[str] = "wide_ae"
    title: ClassVar[str] = "AE, wide code"
    needs: ClassVar[Mapping[str, Need]] = {"network": trained("wide_ae", AutoEncoderNetwork)}
