"""What a method is: a name, settings, what it needs, and a scorer that turns slices into maps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from mmccd.core import ScoreMaps
from mmccd.imaging import ONE_SIDED, Normalisation, Sides
from mmccd.methods.mmccd.combination import Combination
from mmccd.methods.mmccd.settings import CycleSettings
from mmccd.models import MaskedDiffusionScheduler, TranslationUNet, to_device

Progress = Callable[[int, int], None]
Cancelled = Callable[[], bool]
BRIGHT, DARK = 1, -1
"""Which side of a score is anomalous."""


@dataclass(frozen=True)
class Slices:
    """What a scorer sees: normalised slices of one volume on the model grid.

    Attributes:
        image: float32 ``(slices, 1, size, size)`` on the CPU.
        brain: bool of the same shape; slices without brain are not scored.
        slice_mm: distance of neighbouring slices in mm.
        numbers: index of each slice in its volume, for the noise; None: 0, 1, ...
        whole: the brain with the slices that are not to be scored; None: there are none.
    """

    image: Tensor
    brain: Tensor
    slice_mm: float
    numbers: Sequence[int] | None = None
    whole: Tensor | None = None


class Scorer(Protocol):
    """A method that is ready to score: its networks are loaded and placed."""

    def score(
        self,
        slices: Slices,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> ScoreMaps:
        """Score the slices of a volume.

        Args:
            slices: what is scored.
            progress: called with (done, in all).
            cancelled: True ends the run with a CancelledError.
        """
        ...


class TrainedWeights(Protocol):
    """Trained weights as a method reads them: exported ones, or as a training run left them."""

    @property
    def path(self) -> Path:
        """The file."""
        ...

    @property
    def sha256(self) -> str:
        """Hash of the file."""
        ...

    def normalisation(self, modality: str) -> Normalisation:
        """How images of a modality were normalised in training."""
        ...

    def load_network(self) -> nn.Module:
        """The network in evaluation mode, float32, on the CPU."""
        ...

    def load_scheduler(self) -> MaskedDiffusionScheduler:
        """The noise schedule of the training."""
        ...


@dataclass(frozen=True)
class Need:
    """Weights that a method needs.

    Attributes:
        kind: ``"model"``: of the set that the bundles ship for a source and a target, by their
            ``name`` in it; ``"run"``: a training run of the overlay ``name``; ``"translator"``: the
            deterministic translator of one direction, exported or a training run.
        name: see ``kind``.
        start: ``"source"`` or ``"target"``: the contrast that goes in.
        end: likewise, the contrast that comes out.
        network: class of the network of a training run; its ``settings`` attribute holds the
            arguments that build it again.
    """

    kind: str
    name: str
    start: str = "source"
    end: str = "source"
    network: Callable[..., nn.Module] = TranslationUNet


def shipped(name: str) -> Need:
    """Weights of the set that ships."""
    return Need("model", name, "source", "target")


def trained(name: str, network: Callable[..., nn.Module], end: str = "source") -> Need:
    """The weights of a training run of the overlay ``configs/baselines/NAME.json``."""
    return Need("run", name, "source", end, network)


def translator(start: str, end: str) -> Need:
    """The deterministic translator of one direction."""
    return Need("translator", "translator", start, end)


@dataclass(frozen=True)
class Chosen:
    """A method with the settings that a preset would give it: what a calibration belongs to.

    Attributes:
        method: its name.
        needs: names of its weights.
        cycle: settings of its cycle.
        combination: of its score with others, where it has one.
    """

    method: str
    needs: tuple[str, ...]
    cycle: CycleSettings
    combination: Combination | None = None


@dataclass(frozen=True)
class Context:
    """What a method is built for.

    Attributes:
        source: contrast that is scored.
        target: contrast of the translated image; None where no method asks for it.
        weights: what the method needs, by the names in its ``needs``.
        device: where the passes run.
        cycle: settings of the preset's cycle.
        combination: the preset's; None where it has none.
        batch_size: images per network pass of the cycle.
        seed: seed of all noise.
        precision: of a choice, ``"fp32"`` or ``"bf16"``.
        threshold: of a choice and a precision, the calibrated threshold, or None.
        points: likewise, the thresholds of the operating points by name; empty where there are
            none.
    """

    source: str = "flair"
    target: str | None = None
    weights: Mapping[str, TrainedWeights] = field(default_factory=dict)
    device: torch.device = torch.device("cpu")
    cycle: CycleSettings = CycleSettings()
    combination: Combination | None = None
    batch_size: int = 16
    seed: int = 0
    precision: Callable[[Chosen], str] = lambda chosen: "fp32"
    threshold: Callable[[Chosen, str], float | None] = lambda chosen, precision: None
    points: Callable[[Chosen, str], Mapping[str, float]] = lambda chosen, precision: {}

    def network(self, name: str, precision: str = "fp32") -> nn.Module:
        """A network on the device, in evaluation mode."""
        return to_device(self.weights[name].load_network(), self.device, precision)


@dataclass(frozen=True)
class Method(ABC):
    """A method; the fields of a subclass are its settings, plain values with a default each.

    Attributes:
        name: as it is asked for; key of the registry.
        title: for tables and figures.
        needs: its weights, by the names that it gives them.
        sources: the contrasts that it is for; empty: any.
        is_final: its score is smoothed already, and no post-processing of a preset is added.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    needs: ClassVar[Mapping[str, Need]] = {}
    sources: ClassVar[tuple[str, ...]] = ()
    is_final: ClassVar[bool] = False

    @abstractmethod
    def build(self, context: Context) -> Scorer:
        """The scorer; the networks are loaded here."""

    def normalisation(self, context: Context) -> Normalisation:
        """Of the images that the scorer sees: that of its first weights."""
        return context.weights[next(iter(self.needs))].normalisation(context.source)

    def key(self, context: Context) -> dict[str, Any]:
        """Everything that the maps depend on, beside method, source and normalisation; for JSON."""
        return {**_hashes(self, context), **asdict(self)}

    def polarities(self, source: str, signed: bool) -> tuple[int, ...]:
        """Whether :data:`BRIGHT` or :data:`DARK` is anomalous; both where validation data choose.

        Args:
            source: contrast that is scored.
            signed: whether the signed error is scored (as a robust z-score) and not the score.
        """
        return either_side(source) if signed else (BRIGHT,)

    def sides(self, context: Context) -> Sides:
        """Which differences count in a robust z-score."""
        return ONE_SIDED

    def threshold(self, context: Context) -> float | None:
        """A threshold of the method's own for its score after the preset's post-processing."""
        return None

    def points(self, context: Context) -> Mapping[str, float]:
        """The same at each operating point that it has been calibrated for."""
        return {}


def either_side(source: str) -> tuple[int, ...]:
    """Lesions are bright on FLAIR; on other contrasts validation data choose."""
    return (BRIGHT,) if source == "flair" else (BRIGHT, DARK)


def _hashes(method: Method, context: Context) -> dict[str, Any]:
    hashes = [context.weights[name].sha256 for name in method.needs]
    target = {"target": context.target} if needs_target(method) else {}
    return {**target, "weights": hashes} if hashes else target


def needs_target(method: Method | type[Method]) -> bool:
    """Whether a method goes through a second contrast."""
    return any("target" in (need.start, need.end) for need in method.needs.values())
