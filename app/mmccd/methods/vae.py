"""A variational autoencoder with a dense code; the mean code at inference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from mmccd.methods.base import Need, trained
from mmccd.methods.reconstruction import Reconstruction
from mmccd.models import VariationalNetwork


@dataclass(frozen=True)
class VariationalAutoencoder(Reconstruction):
    """|x - x'| of the network that the overlay ``vae`` trains."""

    name: ClassVar[str] = "vae"
    title: ClassVar[str] = "VAE"
    needs: ClassVar[Mapping[str, Need]] = {"network": trained("vae", VariationalNetwork)}
