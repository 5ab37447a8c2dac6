"""mmccd.training.cycle.trainer: f and g within a budget, and going on after a stop."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.training.cycle.packs import NETWORK, trainer

from mmccd.core import InputError, UnsuitableInputError
from mmccd.training import budget as module
from mmccd.training.cycle.pairs import Pairs
from mmccd.training.cycle.trainer import CycleTrainer
from mmccd.training.shared import small_network


def states(made: CycleTrainer) -> dict[str, torch.Tensor]:
    """Both networks and their averages."""
    return {**made.networks.state_dict(prefix="raw."), **made.averaged.state_dict(prefix="mean.")}


def equal(one: CycleTrainer, other: CycleTrainer) -> bool:
    first, second = states(one), states(other)
    return all(torch.equal(first[key], second[key]) for key in first)


class TestRun:
    def test_the_loss_falls(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """On one batch that comes again and again."""
        made = trainer(tmp_path, iterations=30, learning_rate=0.06)
        batch = made.pairs.draw(2)
        monkeypatch.setattr(made.pairs, "draw", lambda count: batch)
        seen: list[dict[str, float]] = []
        step = made._step

        def watched() -> dict[str, torch.Tensor]:
            losses = step()
            seen.append({name: float(value.detach()) for name, value in losses.items()})
            return losses

        monkeypatch.setattr(made, "_step", watched)
        made.run(log_every=20)
        assert made.iteration == len(seen) == 30
        for name in ("f", "g"):
            first, last = (sum(one[name] for one in part) / 4 for part in (seen[:4], seen[-4:]))
            assert last < 0.8 * first
        lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
        assert [line["iteration"] for line in lines] == [20, 30]
        assert lines[0]["loss"]["f"] == pytest.approx(seen[19]["f"], abs=1e-5)

    def test_a_seed_gives_the_same_networks(self, tmp_path: Path) -> None:
        first, again, other = (
            trainer(tmp_path / name, iterations=2, seed=seed)
            for name, seed in (("a", 1), ("b", 1), ("c", 2))
        )
        for made in (first, again, other):
            made.run()
        assert equal(first, again) and not equal(first, other)

    def test_stopped_and_gone_on_is_as_if_never_stopped(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole = trainer(tmp_path / "whole", iterations=5)
        whole.run()
        stopped = trainer(tmp_path / "parts", iterations=5)
        draw, drawn = stopped.pairs.draw, []

        def interrupted(count: int) -> Pairs:
            if len(drawn) == 3:
                raise KeyboardInterrupt
            drawn.append(count)
            return draw(count)

        monkeypatch.setattr(stopped.pairs, "draw", interrupted)
        with pytest.raises(KeyboardInterrupt):
            stopped.run(checkpoint_every=-1.0)
        resumed = trainer(tmp_path / "parts", iterations=5)
        resumed.run()
        assert resumed.iteration == 5
        assert equal(whole, resumed)
        assert resumed.draws.host.random() == whole.draws.host.random()

    def test_other_settings_are_refused(self, tmp_path: Path) -> None:
        trainer(tmp_path, iterations=1).run()
        with pytest.raises(UnsuitableInputError, match=r"last.pt: .* seed 0, now 1"):
            trainer(tmp_path, iterations=2, seed=1).run()

    def test_a_finished_run_stays_as_it_is(self, tmp_path: Path) -> None:
        first = trainer(tmp_path, iterations=1)
        first.run()
        again = trainer(tmp_path, iterations=1)
        again.run()
        assert again.iteration == 1 and equal(first, again)
        assert again.before == pytest.approx(
            torch.load(tmp_path / "last.pt", weights_only=True)["seconds"], abs=5
        )

    def test_a_budget_in_seconds(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each look at the clock takes a second; what a part took counts for the next."""
        now = iter(range(10_000))
        monkeypatch.setattr(module.time, "monotonic", lambda: float(next(now)))
        made = trainer(tmp_path, seconds=12.0)
        made.run()
        done = made.iteration
        assert 3 <= done <= 12
        more = trainer(tmp_path, seconds=24.0)
        more.run()
        assert done < more.iteration <= 2 * done + 1

    @pytest.mark.parametrize("budget", [{"iterations": 0}, {"seconds": 0.0}])
    def test_no_budget(self, tmp_path: Path, budget: dict[str, Any]) -> None:
        made = trainer(tmp_path, **budget)
        made.run()
        assert made.iteration == 0
        line = json.loads((tmp_path / "log.jsonl").read_text())
        assert line["loss"] == {"f": None, "g": None}

    def test_the_rate_falls_to_the_end(self, tmp_path: Path) -> None:
        made = trainer(tmp_path, learning_rate=1.0)
        made.iteration = 1000
        rates = []
        for share in (0.0, 0.5, 1.0):
            made._set_rate(share)
            rates.append(made.optimizer.param_groups[0]["lr"])
        assert rates == pytest.approx([1.01, 0.51, 0.01])

    def test_the_average_follows(self, tmp_path: Path) -> None:
        made = trainer(tmp_path, iterations=1, learning_rate=0.1)
        before = {key: value.clone() for key, value in made.averaged.state_dict().items()}
        made.run()
        after, raw = made.averaged.state_dict(), made.networks.state_dict()
        keep = 2 / 11
        for key, value in before.items():
            expected = keep * value + (1 - keep) * raw[key]
            assert torch.allclose(after[key], expected, atol=1e-6)


class TestThrough:
    def test_g_sees_what_a_given_f_makes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """f says 7 everywhere, at the highest noise level."""
        seen: list[torch.Tensor] = []

        class Forward(torch.nn.Module):
            def forward(self, x: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
                seen.append(steps)
                return torch.full_like(x[:, :1], 7.0)

        made = trainer(
            tmp_path, Forward(), networks=("g",), through_share=0.5, batch_size=4, iterations=9
        )
        pairs = made.pairs.draw(4)
        made.share_spent = 0.1
        early = made._for_g(pairs)
        assert not seen, "not in the first fifth"
        assert float((early - pairs.target).abs().max()) < 0.4
        made.share_spent = 0.5
        late = made._for_g(pairs)
        sevens = (late == 7).flatten(1).all(1)
        assert int(sevens.sum()) == 2
        assert torch.cat(seen).tolist() == [999, 999]
        assert list(made.networks) == ["g"]

    def test_it_is_not_trained_itself(self, tmp_path: Path) -> None:
        forward = small_network(2, **NETWORK)
        before = {key: value.clone() for key, value in forward.state_dict().items()}
        made = trainer(tmp_path, forward, networks=("g",), iterations=3, batch_size=1)
        made.run()
        assert made.through is forward
        assert all(torch.equal(before[key], value) for key, value in forward.state_dict().items())

    def test_without_one_g_sees_y(self, tmp_path: Path) -> None:
        made = trainer(tmp_path, networks=("g",), iterations=1)
        made.run()
        assert made.through is None and made.iteration == 1


class TestStartFrom:
    def weights(self, path: Path, inputs: int, **settings: Any) -> Path:
        network = small_network(inputs, **{**NETWORK, **settings})
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter)
        torch.save({key: value.half() for key, value in network.state_dict().items()}, path)
        return path

    def test_both_networks_take_them(self, tmp_path: Path) -> None:
        path = self.weights(tmp_path / "g.pt", 1)
        made = trainer(tmp_path)
        made.start_from("g", path)
        expected = torch.load(path, weights_only=True)
        for networks in (made.networks, made.averaged):
            state = networks["g"].state_dict()
            assert all(torch.equal(state[key], expected[key].float()) for key in expected)

    @pytest.mark.parametrize("wrong", ["width", "network", "nested"])
    def test_of_another_size(self, tmp_path: Path, wrong: str) -> None:
        path = tmp_path / "w.pt"
        if wrong == "nested":
            torch.save({"network": {}}, path)
        else:
            self.weights(
                path,
                2 if wrong == "network" else 1,
                **({"channels": [16, 16]} if wrong == "width" else {}),
            )
        with pytest.raises(InputError) as caught:
            trainer(tmp_path).start_from("g", path)
        text = str(caught.value)
        assert text.startswith(f"{path}: does not fit to the network g") and "\n" not in text
        assert caught.value.code == "checkpoint.damaged"

    def test_a_checkpoint_of_another_recipe(self, tmp_path: Path) -> None:
        trainer(tmp_path, iterations=0).run()
        with pytest.raises(UnsuitableInputError, match=r"networks \['f', 'g'\], now") as refused:
            trainer(tmp_path, networks=("g",)).run()
        other = trainer(tmp_path)
        other.pairs.fingerprint = "other slices"
        with pytest.raises(UnsuitableInputError, match=r"fingerprint \w+\.\.\., now other slices"):
            other.run()
        content = torch.load(tmp_path / "last.pt", weights_only=False)
        del content["recipe"]
        torch.save(content, tmp_path / "last.pt")
        with pytest.raises(InputError, match="does not fit to this recipe") as caught:
            trainer(tmp_path, networks=("g",)).run()
        assert "\n" not in str(refused.value) + str(caught.value)


def test_what_the_card_says(tmp_path: Path) -> None:
    made = trainer(tmp_path, iterations=2)
    made.run()
    values = made.as_dict()
    assert json.loads(json.dumps(values)) == values
    assert (values["iterations"], values["slices"]) == (2, 4)
    assert values["hiding"]["strip_width"] == [4, 64]
    assert values["learnt_from"] == {"fingerprint": made.pairs.fingerprint}
    assert "network" not in values
