"""The application as a graph of Holoscan operators, each a thin shell round one step of
:class:`mmccd.jobs.run_task.Work`.
"""

from __future__ import annotations

from typing import Any

from holoscan.conditions import CountCondition
from holoscan.core import ExecutionContext, InputContext, OutputContext
from monai.deploy.core import Application, Fragment, Operator, OperatorSpec

from mmccd.jobs import STEPS, Outcome, Work


class StudyInputOperator(Operator):
    """Sends the study on its way, once."""

    def __init__(self, fragment: Fragment, *args: Any, work: Work, **kwargs: Any) -> None:
        self.work = work
        super().__init__(fragment, CountCondition(fragment, 1), *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        """One output."""
        spec.output("work")

    def compute(
        self, op_input: InputContext, op_output: OutputContext, context: ExecutionContext
    ) -> None:
        """Send it."""
        op_output.emit(self.work, "work")


class StepOperator(Operator):
    """One step of a study: read, judge (the stages brain, check and score) or write."""

    def __init__(self, fragment: Fragment, *args: Any, step: str, **kwargs: Any) -> None:
        self.step = step
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        """One input, one output."""
        spec.input("work")
        spec.output("work")

    def compute(
        self, op_input: InputContext, op_output: OutputContext, context: ExecutionContext
    ) -> None:
        """Take the step."""
        work = op_input.receive("work")
        work.step(self.step)
        op_output.emit(work, "work")


class StatusOperator(Operator):
    """Keeps how the study ended."""

    def __init__(self, fragment: Fragment, *args: Any, **kwargs: Any) -> None:
        self.outcome: Outcome | None = None
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        """One input."""
        spec.input("work")

    def compute(
        self, op_input: InputContext, op_output: OutputContext, context: ExecutionContext
    ) -> None:
        """Keep it."""
        self.outcome = op_input.receive("work").outcome()


class AnomalyApplication(Application):
    """input -> read -> judge -> write -> status, for one study: the next one starts when its
    results are written and its memory is free.

    Args:
        work: the study.
    """

    def __init__(self, work: Work) -> None:
        self.work = work
        self.status: StatusOperator | None = None
        super().__init__(argv=["app"])

    @property
    def outcome(self) -> Outcome | None:
        """How the study ended; None before that."""
        return self.status.outcome if self.status is not None else None

    def compose(self) -> None:
        """Connect the operators."""
        operator: Operator = StudyInputOperator(self, name="input", work=self.work)
        for name in STEPS:
            following = StepOperator(self, name=name, step=name)
            self.add_flow(operator, following, {("work", "work")})
            operator = following
        self.status = StatusOperator(self, name="status")
        self.add_flow(operator, self.status, {("work", "work")})
