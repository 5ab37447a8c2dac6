"""The application as a graph of Holoscan operators, each a thin shell round one function of
:mod:`mmccd.apps.map.stages`.
"""

from __future__ import annotations

from typing import Any

from holoscan.conditions import CountCondition
from holoscan.core import ExecutionContext, InputContext, OutputContext
from monai.deploy.core import Application, Fragment, Operator, OperatorSpec

from mmccd.apps.map.stages import STAGES, Job, Stage, Work, finish, run_stage


class StudyInputOperator(Operator):
    """Sends the study on its way, once."""

    def __init__(self, fragment: Fragment, *args: Any, job: Job, work: Work, **kwargs: Any) -> None:
        self.job, self.work = job, work
        super().__init__(fragment, CountCondition(fragment, 1), *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        """One output."""
        spec.output("job")

    def compute(
        self, op_input: InputContext, op_output: OutputContext, context: ExecutionContext
    ) -> None:
        """Gather the study's files."""
        self.work.report({"event": "start", "study": self.job.index})
        run_stage("start", STAGES["start"], self.job, self.work)
        op_output.emit(self.job, "job")


class StageOperator(Operator):
    """One stage of a study: select, volume, anomaly or write."""

    def __init__(
        self, fragment: Fragment, *args: Any, stage: str, work: Work, **kwargs: Any
    ) -> None:
        self.stage, self.work = stage, work
        self.function: Stage = STAGES[stage]
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        """One input, one output."""
        spec.input("job")
        spec.output("job")

    def compute(
        self, op_input: InputContext, op_output: OutputContext, context: ExecutionContext
    ) -> None:
        """Run the stage."""
        job = op_input.receive("job")
        run_stage(self.stage, self.function, job, self.work)
        op_output.emit(job, "job")


class StatusOperator(Operator):
    """Reports how each study ended."""

    def __init__(self, fragment: Fragment, *args: Any, work: Work, **kwargs: Any) -> None:
        self.work = work
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        """One input."""
        spec.input("job")

    def compute(
        self, op_input: InputContext, op_output: OutputContext, context: ExecutionContext
    ) -> None:
        """Report."""
        finish(op_input.receive("job"), self.work)


class AnomalyApplication(Application):
    """input -> select -> volume -> anomaly -> write -> status, for one study: the next one starts
    when its results are written and its memory is free.

    Args:
        job: the study.
        work: what all studies share; the models in it are loaded once.
    """

    def __init__(self, job: Job, work: Work) -> None:
        self.job, self.work = job, work
        super().__init__(argv=["app"])

    def compose(self) -> None:
        """Connect the operators."""
        operator: Operator = StudyInputOperator(self, name="input", job=self.job, work=self.work)
        for name in list(STAGES)[1:]:
            following = StageOperator(self, name=name, stage=name, work=self.work)
            self.add_flow(operator, following, {("job", "job")})
            operator = following
        self.add_flow(
            operator, StatusOperator(self, name="status", work=self.work), {("job", "job")}
        )
