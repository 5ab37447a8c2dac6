"""Everything that is told about several data sets, before it is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mmccd.evaluation.candidates import Candidate
from mmccd.evaluation.sets.choice import Choice
from mmccd.evaluation.sets.figures import CaseFigures
from mmccd.evaluation.sets.plan import SetsPlan
from mmccd.evaluation.sets.summary import Difference, Summary, compare, summarise
from mmccd.evaluation.sets.worst import Worst

RULE = "rule"
"""The row that the first method is compared with."""


@dataclass(frozen=True)
class MethodResult:
    """One method at one threshold on all data sets.

    Attributes:
        candidate: which method.
        choice: its side and threshold.
        cases: its figures, set by set.
        worst: its largest false marks and misses; empty without a threshold.
    """

    candidate: Candidate
    choice: Choice
    cases: list[CaseFigures] = field(default_factory=list)
    worst: Worst = field(default_factory=Worst)

    @property
    def name(self) -> str:
        """Of the method, and of its operating point where it has several: ``mmccd@sensitive``."""
        return self.candidate.name + (f"@{self.choice.point}" if self.choice.point else "")

    @property
    def title(self) -> str:
        """For tables and pictures; with the side where dark is anomalous, and the point."""
        side = "" if self.choice.polarity > 0 else ", dark"
        return self.candidate.title + side + (f", {self.choice.point}" if self.choice.point else "")

    def of(self, data_set: str | None) -> list[CaseFigures]:
        """Its cases of one data set; all where it is None."""
        return [case for case in self.cases if data_set in (None, case.data_set)]


@dataclass(frozen=True)
class SetsResult:
    """All methods on all data sets.

    Attributes:
        plan: what was asked for.
        methods: in the order of the table.
        left_out: names of the cases without a usable slice, by data set.
    """

    plan: SetsPlan
    methods: Sequence[MethodResult]
    left_out: dict[str, list[str]] = field(default_factory=dict)

    @property
    def groups(self) -> list[str | None]:
        """The data sets that have a case, by name; behind them None for all, where there are
        several.
        """
        names = list(dict.fromkeys(case.data_set for case in self.methods[0].cases))
        return [*names, None] if len(names) > 1 else [*names]

    def summaries(self, group: str | None) -> list[Summary]:
        """Of a data set or of all, one for each method."""
        return [summarise(group, one.of(group), self.plan.draws) for one in self.methods]

    def difference(self, group: str | None) -> Difference | None:
        """The first method minus the rule; None where the rule is the first, or no row."""
        first = self.methods[0]
        rule = next((one for one in self.methods if one.candidate.name == RULE), first)
        if rule is first:
            return None
        return compare(group, first.of(group), rule.of(group), self.plan.draws)
