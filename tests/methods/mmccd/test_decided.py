"""mmccd.methods.mmccd.decided: the cycle, the decision network and the intensity in one score."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from tests.conftest import TINY
from torch import Tensor, nn

from mmccd.bundle import BACKWARD, FORWARD
from mmccd.core.errors import CancelledError
from mmccd.core.score_maps import ScoreMaps
from mmccd.methods.base import Chosen, Context, Slices
from mmccd.methods.mmccd.combination import Combination, brightness
from mmccd.methods.mmccd.cycle import MaskedCycleInferer
from mmccd.methods.mmccd.decided import DecidedCycle, DecidedScorer, on_several_devices
from mmccd.methods.mmccd.decision import DECISION_CHANNELS, decide, decision_input
from mmccd.methods.mmccd.method import CycleScorer
from mmccd.methods.mmccd.settings import CycleSettings
from mmccd.methods.rule import RuleScorer
from mmccd.models.networks import TranslationUNet
from mmccd.models.schedule import MaskedDiffusionScheduler

CPU = torch.device("cpu")
CYCLE = CycleSettings(steps=1, hiding="veil", veil_sd=0.5, level=True)
ALL = Combination(1.0, 0.25, 2.0)


@pytest.fixture
def decision() -> TranslationUNet:
    torch.manual_seed(4)
    network = TranslationUNet(DECISION_CHANNELS, **TINY).eval()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.1)
    return network


@pytest.fixture
def slices() -> Slices:
    """Five slices, the first and the last without brain."""
    image = torch.randn(5, 1, 48, 48, generator=torch.Generator().manual_seed(0))
    brain = torch.zeros(5, 1, 48, 48, dtype=torch.bool)
    brain[1:4, :, 8:40, 10:42] = True
    return Slices(image, brain, 5.0)


@pytest.fixture
def cycle(tiny_networks: dict[str, TranslationUNet]) -> CycleScorer:
    inferer = MaskedCycleInferer(MaskedDiffusionScheduler(), CYCLE, batch_size=2)
    return CycleScorer(inferer, tiny_networks[FORWARD], tiny_networks[BACKWARD], CPU)


def scorer(cycle: CycleScorer, network: nn.Module | None, weights: Combination) -> DecidedScorer:
    return DecidedScorer(cycle, network, weights, CPU, batch_size=2)


class TestScore:
    def test_the_sum_slice_by_slice(
        self, cycle: CycleScorer, decision: TranslationUNet, slices: Slices
    ) -> None:
        maps = cycle.score(slices)
        found = scorer(cycle, decision, ALL).score(slices)
        bright = brightness(slices.image, slices.brain)
        error = maps.anomaly.clamp_max(6.0)
        for number in (1, 2, 3):
            one = slice(number, number + 1)
            given = decision_input(
                slices.image[one], slices.brain[one], maps.reconstructed[one], maps.signed[one]
            )
            expected = bright[one] + 0.25 * error[one] + 2 * decide(decision, given)
            inside = slices.brain[one]
            assert torch.allclose(found.anomaly[one][inside], expected[inside], atol=1e-5)
        assert bool(found.anomaly[~slices.brain].isnan().all())
        for field in fields(ScoreMaps):
            if field.name != "anomaly":
                one_, other = getattr(found, field.name), getattr(maps, field.name)
                assert torch.equal(one_.nan_to_num(), other.nan_to_num()), "the cycle's maps stay"

    @pytest.mark.parametrize("without", ["intensity", "error", "decision"])
    def test_each_weight_counts(
        self, cycle: CycleScorer, decision: TranslationUNet, slices: Slices, without: str
    ) -> None:
        changed = replace(ALL, **{without: 0.0})
        first, second = (
            scorer(cycle, decision, one).score(slices).anomaly[slices.brain]
            for one in (ALL, changed)
        )
        assert not torch.allclose(first, second, atol=1e-3)

    def test_blind_it_sees_no_cycle(
        self, cycle: CycleScorer, decision: TranslationUNet, slices: Slices
    ) -> None:
        """With the decision alone, what the cycle says then changes nothing."""
        alone = Combination(0.0, 0.0, 1.0, blind=True)
        first = scorer(cycle, decision, alone).score(slices)
        other = replace(cycle, inferer=replace_seed(cycle.inferer, 5))
        second = scorer(other, decision, alone).score(slices)
        assert torch.equal(first.anomaly.nan_to_num(), second.anomaly.nan_to_num())
        seeing = replace(alone, blind=False)
        third = scorer(cycle, decision, seeing).score(slices)
        assert not torch.allclose(first.anomaly.nan_to_num(), third.anomaly.nan_to_num())

    def test_fewer_slices_get_the_same_score(
        self, cycle: CycleScorer, decision: TranslationUNet, slices: Slices
    ) -> None:
        """The brightness is that of the whole brain."""
        few = slices.brain.clone()
        few[1] = few[3] = False
        part = replace(slices, brain=few, whole=slices.brain)
        first, second = (scorer(cycle, decision, ALL).score(one) for one in (slices, part))
        assert torch.allclose(first.anomaly[few], second.anomaly[few], atol=1e-5)
        assert bool(second.anomaly[~few].isnan().all())

    def test_progress_goes_to_the_end_and_counts_both(
        self, cycle: CycleScorer, decision: TranslationUNet, slices: Slices
    ) -> None:
        told: list[tuple[int, int]] = []
        made = scorer(cycle, decision, ALL)
        made.score(slices, progress=lambda done, total: told.append((done, total)))
        assert made.count(slices.brain) == 6 == cycle.count(slices.brain) + 3
        assert {total for _, total in told} == {6}
        done = [one for one, _ in told]
        assert done == sorted(done) and done[-1] == 6
        assert scorer(cycle, None, replace(ALL, decision=0.0)).count(slices.brain) == 3

    def test_cancelled_between_cycle_and_decision(
        self, cycle: CycleScorer, decision: TranslationUNet, slices: Slices
    ) -> None:
        done: list[int] = []
        with pytest.raises(CancelledError):
            scorer(cycle, decision, ALL).score(
                slices,
                progress=lambda one, _: done.append(one),
                cancelled=lambda: bool(done) and done[-1] >= 3,
            )
        assert max(done) == 3

    def test_no_brain(self, cycle: CycleScorer, decision: TranslationUNet, slices: Slices) -> None:
        nothing = replace(slices, brain=torch.zeros_like(slices.brain))
        assert bool(scorer(cycle, decision, ALL).score(nothing).anomaly.isnan().all())


class TestSeveralDevices:
    @pytest.mark.parametrize("devices", [1, 2, 4])
    def test_they_give_the_map_of_one(
        self, devices: int, cycle: CycleScorer, decision: TranslationUNet, slices: Slices
    ) -> None:
        one = scorer(cycle, decision, ALL)
        shared = on_several_devices([one] * devices)
        first, second = one.score(slices), shared.score(slices)
        assert torch.allclose(first.anomaly.nan_to_num(), second.anomaly.nan_to_num(), atol=1e-5)
        assert shared.count(slices.brain) == one.count(slices.brain)

    def test_what_cannot_be_shared_runs_on_the_first(self) -> None:
        first, second = RuleScorer(), RuleScorer()
        assert on_several_devices([first, second]) is first


class TestMethod:
    def test_weights_are_the_presets_where_a_name_has_none(self) -> None:
        context = Context(cycle=CYCLE, combination=ALL)
        assert DecidedCycle().combination(context) == ALL
        assert DecidedCycle(error=0.0, blind=True).combination(context) == replace(
            ALL, error=0.0, blind=True
        )
        assert DecidedCycle().combination(Context(cycle=CYCLE)) == Combination()

    def test_a_calibration_belongs_to_the_weights_of_the_sum(self) -> None:
        wanted = Chosen("mmccd_decision", ("forward", "backward", "decision"), CYCLE, ALL)
        context = Context(
            cycle=CYCLE,
            combination=ALL,
            threshold=lambda chosen, precision: 1.5 if chosen == wanted else None,
        )
        assert DecidedCycle().threshold(context) == 1.5
        assert DecidedCycle(decision=0.5).threshold(context) is None
        assert DecidedCycle(draws=2).threshold(context) is None

    @pytest.mark.parametrize("wrong", [{"error": -1.0}, {"intensity": -0.5}])
    def test_weights_that_do_not_exist(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match="0 or more"):
            DecidedCycle(**wrong).combination(Context())


def replace_seed(inferer: MaskedCycleInferer, seed: int) -> MaskedCycleInferer:
    return MaskedCycleInferer(MaskedDiffusionScheduler(), CYCLE, batch_size=2, seed=seed)


def test_tensors_stay_where_they_are(
    cycle: CycleScorer, decision: TranslationUNet, slices: Slices
) -> None:
    """What goes in is not changed."""
    before: Tensor = slices.image.clone()
    scorer(cycle, decision, ALL).score(slices)
    assert torch.equal(slices.image, before)
