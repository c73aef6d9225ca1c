"""Records of a run that evaluates trials: one line of evaluations.jsonl per evaluation."""

from abc import abstractmethod
from collections.abc import Hashable
from typing import Any, Self, TypeVar

from microgpt_evolution.population import Evaluation, Trial
from microgpt_evolution.runs.run_directory import Line, RunDirectory, RunSettings


class EvaluationLine(Line):
    """A line of evaluations.jsonl that has the evaluation of a trial."""

    @classmethod
    @abstractmethod
    def of(cls, trial: Trial[Any], evaluation: Evaluation, *, flops: Any, n_params: int) -> Self:
        """Return the line of an evaluation, with the cost and the size of the training run."""

    @staticmethod
    def key_of(trial: Trial[Any]) -> Hashable:
        """Return the key of the line of a trial."""
        return trial.config, trial.seed

    @property
    @abstractmethod
    def evaluation(self) -> Evaluation:
        """The evaluation, as far as the search or the sweep uses it."""


S = TypeVar("S", bound=RunSettings)
L = TypeVar("L", bound=EvaluationLine)


class EvaluationRecords(RunDirectory[S, L]):
    """The records of a run that evaluates trials; see `RunDirectory`."""

    def known(self, trial: Trial[Any]) -> Evaluation | None:
        """Return the recorded evaluation of a trial, or None if the trial must still be run."""
        line = self.final(self.line_type.key_of(trial))
        return line.evaluation if line else None

    def add(self, trial: Trial[Any], evaluation: Evaluation, *, flops: Any, n_params: int) -> None:
        """Append an evaluation; raise CheckpointError if it cannot be written."""
        self.append(self.line_type.of(trial, evaluation, flops=flops, n_params=n_params))
