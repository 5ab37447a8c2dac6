"""What a slice's neighbours are worth for f and for d, measured before any of it is built in.

f and d of a pair get two more input channels, the slices above and below x, which begin with
weights of 0: the network starts as the one that ships. It is trained on, once with the neighbours
and once with zeros in their place; everything else, seeds too, is the same. A painted anomaly
reaches into the neighbours, eroded by up to two pixels in each.

    python benchmarks/neighbours.py TRAIN VALIDATION --target t2 --iterations 400

TRAIN and VALIDATION are data folders (a split file in them is obeyed); the figures are JSON lines
on stdout. On two cores 400 iterations take hours: it is a run for a GPU or a night.
"""

from __future__ import annotations

import argparse
import copy
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d, median_filter
from sklearn.metrics import average_precision_score
from torch import Tensor, nn
from torch.nn import functional

from mmccd.bundle import find_bundles, load_models
from mmccd.data import Case, CaseSlices, load_case, split_cases
from mmccd.imaging import Draws, Normalisation
from mmccd.methods import decision_input, levelled, middle
from mmccd.models import TranslationUNet
from mmccd.training import warmup_stable_decay
from mmccd.training.corruption import DECISION_FAMILIES, corrupt
from mmccd.training.cycle.conditions import scanned_slices
from mmccd.training.decision.objective import DecisionLoss
from mmccd.training.decision.samples import APART, BLIND_SHARE

_VEIL_SD, _LAST = 0.5, 999
_LEVELS = (-4.0, 8.0)
_AROUND = (-1, 0, 1)


@dataclass(frozen=True)
class Stacks:
    """Slices between their neighbours, float32 or bool ``(slices, 3, size, size)``; beyond an end
    of the volume stands the last slice again.

    Attributes:
        source: x.
        target: y.
        brain: likewise.
        centres: which slices may be trained on.
    """

    source: Tensor
    target: Tensor
    brain: Tensor
    centres: Tensor

    @classmethod
    def of_case(cls, slices: CaseSlices, source: str, target: str) -> Stacks:
        """Those of a case; centres hold brain, and neither they nor a neighbour have a lesion."""
        ill = _around(slices.has_lesion[:, None, None, None]).flatten(1).any(1)
        centres = (slices.brain.flatten(1).sum(1) >= 500) & ~ill
        images = (slices.images[source], slices.images[target], slices.brain)
        around = [_around(layer) for layer in images]
        return cls(around[0], around[1], around[2], centres)


def _around(layer: Tensor) -> Tensor:
    rows = torch.arange(len(layer))
    return torch.cat([layer[(rows + step).clamp(0, len(layer) - 1)] for step in _AROUND], dim=1)


class Batches:
    """Random centres of many volumes.

    Args:
        stacks: of each volume.
        seed: of the choice.
    """

    def __init__(self, stacks: Sequence[Stacks], seed: int) -> None:
        self._stacks = stacks
        self._places = [
            (number, int(row))
            for number, one in enumerate(stacks)
            for row in torch.nonzero(one.centres).flatten()
        ]
        self._random = np.random.default_rng(seed)

    def __call__(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """x, y and the brain, each ``(count, 3, size, size)``."""
        chosen = self._random.integers(len(self._places), size=count)
        parts = [self._places[number] for number in chosen]

        def taken(name: str) -> Tensor:
            return torch.stack([getattr(self._stacks[number], name)[row] for number, row in parts])

        return taken("source"), taken("target"), taken("brain")


def painted(stack: Tensor, brain: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """A stack with anomalies, scanner effects and mask slips, and the soft label of its middle.

    Args:
        stack: healthy x, ``(batch, 3, size, size)``.
        brain: bool of the same shape.
        seed: the same gives the same.
    """
    draws = Draws(seed, stack.device)
    before, inside = stack[:, 1:2], brain[:, 1:2]
    after, label = corrupt(before, inside, draws, DECISION_FAMILIES)
    change, touched = after - before, ((after - before).abs() > 0.05).float()
    middle_one = scanned_slices(after, label, inside, Draws(seed + 1, stack.device), APART)
    layers = []
    for place in (0, 2):  # the same seed: what a scanner does is alike in each slice of a stack
        erosion = int(draws.uniform(1).item() * 3)
        reach = -functional.max_pool2d(-touched, 2 * erosion + 1, 1, erosion)
        layer, held = stack[:, place : place + 1], brain[:, place : place + 1]
        carried = torch.where(held, layer + change * reach, layer)
        again = Draws(seed + 1, stack.device)
        layers.append(scanned_slices(carried, reach, held, again, APART).image)
    return torch.cat([layers[0], middle_one.image, layers[1]], dim=1), middle_one.label


def widened(network: TranslationUNet, more: int) -> TranslationUNet:
    """A copy with more input channels, which begin with weights of 0."""
    settings = dict(network.settings)
    wide = TranslationUNet(**{**settings, "in_channels": settings["in_channels"] + more})
    state, own = copy.deepcopy(network.state_dict()), wide.state_dict()
    for name, value in own.items():
        if state[name].shape != value.shape:
            grown = torch.zeros_like(value)
            grown[:, : state[name].shape[1]] = state[name]
            state[name] = grown
    wide.load_state_dict(state)
    return wide


@dataclass
class Arm:
    """One of the two that are compared.

    Attributes:
        wide: whether the networks see the neighbours.
        forward: f with two more channels.
        backward: g, as it ships.
        decision: d with two more channels.
    """

    wide: bool
    forward: TranslationUNet
    backward: nn.Module
    decision: TranslationUNet

    def beside(self, stack: Tensor) -> Tensor:
        """The neighbours, or nothing in their place."""
        both = stack[:, [0, 2]]
        return both if self.wide else torch.zeros_like(both)

    def imagine(self, stack: Tensor, draws: Draws) -> Tensor:
        """y of f, in one step behind a veil on all that it sees of x."""
        count, size = len(stack), stack.shape[-1]
        start, veil = draws.normal(count, 1, size, size), draws.normal(count, 3, size, size)
        hidden = stack + _VEIL_SD * veil
        given = torch.cat([start, hidden[:, 1:2], self.beside(hidden)], dim=1)
        steps = torch.full((count,), _LAST)
        said: Tensor = self.forward(given.contiguous(memory_format=torch.channels_last), steps)
        return said

    def seen(self, stack: Tensor, brain: Tensor, draws: Draws, blind: Tensor) -> Tensor:
        """What d gets to see."""
        with torch.no_grad():
            returned = self.backward(self.imagine(stack, draws))
        image, inside = stack[:, 1:2], brain[:, 1:2]
        signed = levelled(image - returned, inside)
        layers = [layer * ~blind[:, None, None, None] for layer in (returned, signed)]
        given = decision_input(image, inside, *layers)
        around = torch.where(inside, self.beside(stack).clamp(*_LEVELS), 0)
        return middle(torch.cat([given, around], dim=1)).contiguous(
            memory_format=torch.channels_last
        )


def train_forward(arm: Arm, batches: Batches, options: argparse.Namespace) -> Iterator[float]:
    """Train f on; the loss of each iteration."""
    step = Descent(arm.forward, options)
    for iteration in range(options.iterations):
        source, target, brain = batches(options.batch_size)
        seed = options.seed + 10_000 + iteration
        stack, _ = painted(source, brain, seed)
        said = arm.imagine(stack, Draws(seed + 5, stack.device))
        inside = brain[:, 1:2]
        yield step(functional.mse_loss(said * inside, target[:, 1:2] * inside))


def train_decision(arm: Arm, batches: Batches, options: argparse.Namespace) -> Iterator[float]:
    """Train d on; the loss of each iteration."""
    step, loss = Descent(arm.decision, options), DecisionLoss()
    for iteration in range(options.iterations):
        source, _, brain = batches(options.batch_size)
        seed = options.seed + 20_000 + iteration
        stack, label = painted(source, brain, seed)
        draws = Draws(seed + 5, stack.device)
        blind = draws.uniform(len(stack)).flatten() < BLIND_SHARE
        given = arm.seen(stack, brain, draws, blind)
        truth = {"target": middle(label), "brain": middle(brain[:, 1:2])}
        yield step(loss(arm.decision(given), truth))


class Descent:
    """AdamW whose rate rises over the first tenth and falls to nothing over the last half.

    Args:
        network: that is trained.
        options: of the run.
    """

    def __init__(self, network: nn.Module, options: argparse.Namespace) -> None:
        self.network = network.train()
        self._optimizer = torch.optim.AdamW(network.parameters(), lr=options.learning_rate)
        share = partial(
            warmup_stable_decay,
            warmup=options.iterations // 10,
            total=options.iterations,
            decay_share=0.5,
        )
        self._schedule = torch.optim.lr_scheduler.LambdaLR(self._optimizer, share)

    def __call__(self, loss: Tensor) -> float:
        """One step down a loss; the loss."""
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self._optimizer.step()
        self._schedule.step()
        return float(loss.detach())


@torch.inference_mode()
def measure(arm: Arm, cases: Sequence[Case], source: str, target: str) -> dict[str, Any]:
    """AUPRC over all brain voxels of cases with labels: of the cycle's error on both sides and of
    d, each smoothed as the presets do (5 x 5, then across neighbours); and how x' follows x in
    healthy brain.
    """
    arm.forward.eval(), arm.decision.eval()
    scores: dict[str, list[np.ndarray[Any, Any]]] = {"error": [], "d": []}
    truth, follow = [], []
    for case in cases:
        slices = load_case(case, _normalisations(source, target))
        stacks = Stacks.of_case(slices, source, target)
        error, said, returned = _maps(arm, stacks)
        brain, lesion = slices.brain[:, 0].numpy(), slices.lesion[:, 0].numpy()
        for name, layer in (("error", error), ("d", said)):
            smooth = gaussian_filter1d(median_filter(layer, (1, 5, 5)), 0.6, axis=0)
            scores[name].append(smooth[brain])
        truth.append(lesion[brain])
        sound = brain & ~lesion
        follow.append(
            np.corrcoef(returned[sound], slices.images[source][:, 0].numpy()[sound])[0, 1]
        )
    label = np.concatenate(truth)
    found = {
        name: round(float(average_precision_score(label, np.concatenate(parts))), 4)
        for name, parts in scores.items()
    }
    each = {
        f"{name}, mean of cases": round(
            float(np.mean([_auprc(t, s) for t, s in zip(truth, parts, strict=True) if t.any()])), 4
        )
        for name, parts in scores.items()
    }
    return found | each | {"correlation of x'": round(float(np.mean(follow)), 4)}


def _auprc(truth: np.ndarray[Any, Any], score: np.ndarray[Any, Any]) -> float:
    return float(average_precision_score(truth, score))


def _maps(arm: Arm, stacks: Stacks) -> tuple[np.ndarray[Any, Any], ...]:
    """|x - x'|, d and x' of all slices, 0 outside the brain."""
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    draws = Draws(7, stacks.source.device)
    for rows in torch.arange(len(stacks.source)).split(8):
        stack, brain = stacks.source[rows], stacks.brain[rows]
        given = arm.seen(stack, brain, draws, torch.zeros(len(rows), dtype=torch.bool))
        said = torch.zeros_like(stack[:, :1])
        middle(said).copy_(arm.decision(given).sigmoid())
        whole = [torch.zeros_like(said) for _ in range(2)]
        for layer, channel in zip(whole, (3, 4), strict=True):
            middle(layer).copy_(given[:, channel : channel + 1])
        inside = brain[:, 1:2]
        parts.append((whole[1].abs(), torch.where(inside, said, 0), whole[0]))
    return tuple(torch.cat(layers)[:, 0].numpy() for layers in zip(*parts, strict=True))


def _normalisations(*names: str) -> dict[str, Normalisation]:
    return {name: Normalisation.for_modality(name) for name in names}


def _arm(wide: bool, target: str) -> Arm:
    models = load_models(find_bundles(None), target, "flair", "balanced")
    loaded = {name: weights.load_network() for name, weights in models.weights.items()}
    return Arm(
        wide,
        widened(loaded["forward"], 2),
        loaded["backward"].eval(),
        widened(loaded["decision"], 2),
    )


def _run(name: str, losses: Iterator[float], tell: Callable[[str], None]) -> None:
    recent: list[float] = []
    for number, loss in enumerate(losses, 1):
        recent.append(loss)
        if number % 50 == 0:
            tell(f"{name} {number}: {np.mean(recent[-50:]):.4f}")


def main() -> None:
    """Train both arms and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("train", type=Path)
    parser.add_argument("validation", type=Path)
    parser.add_argument("--target", default="t2")
    parser.add_argument("--iterations", type=int, default=400)
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--learning_rate", type=float, default=2e-4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", type=int, help="only so many of each split, for a trial")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    train = split_cases(options.train, None)["train"][: options.cases]
    val = [case for case in split_cases(options.validation, None)["val"] if case.label]
    val = val[: options.cases]
    contrasts = ("flair", options.target)
    stacks = [
        Stacks.of_case(load_case(case, _normalisations(*contrasts)), *contrasts) for case in train
    ]
    for wide in (False, True):
        arm, name = _arm(wide, options.target), "3 slices" if wide else "1 slice"

        def report(step: str, arm: Arm = arm, name: str = name) -> None:
            print(
                json.dumps({"arm": name, "after": step, **measure(arm, val, *contrasts)}),
                flush=True,
            )

        if not wide:
            report("nothing: as it ships")
        _run(f"{name}: f", train_forward(arm, Batches(stacks, options.seed), options), logging.info)
        report("f")
        _run(
            f"{name}: d",
            train_decision(arm, Batches(stacks, options.seed + 1), options),
            logging.info,
        )
        report("f and d")


if __name__ == "__main__":
    main()
