"""Evaluate trials on a worker pool; record the evaluations, and reuse recorded ones."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from threading import Event
from time import perf_counter, thread_time
from typing import Any, Protocol

from microgpt_evolution.genome import Genome
from microgpt_evolution.organism import Evaluation, ShouldStop, Trial
from microgpt_evolution.runs.run_directory import RunDirectory
from microgpt_evolution.workers.pools import Pool, Threads
from microgpt_evolution.workers.retrying_driver import Outcome, evaluate_all

OnMeasured = Callable[[int, Evaluation], None]  # called with the index and evaluation of a trial


class Objective(Protocol):
    """Interface of objectives: picklable objects that train a model and measure it."""

    def flops(self, trial: Trial) -> float:
        """Return the number of FLOPs of a training run."""

    def n_params(self, genome: Genome) -> int:
        """Return the number of parameters."""

    def refusal(self, trial: Trial) -> str | None:
        """Return the reason why a trial cannot be trained, or None."""

    def measure(self, trial: Trial, should_stop: ShouldStop | None = None) -> Evaluation:
        """Train a model and return its evaluation."""


class CachedEvaluator:
    """Evaluates trials on a worker pool and reuses recorded evaluations."""

    def __init__(
        self,
        objective: Objective,
        pool: Pool,
        records: RunDirectory[Any],
        *,
        should_stop: Event | None = None,
    ) -> None:
        self.objective, self.records = objective, records
        self._pool, self._should_stop = pool, should_stop or Event()
        # Only threads can poll the event; worker processes are killed instead.
        is_here = isinstance(pool, Threads)
        self._work = partial(_measure, objective, self._should_stop.is_set if is_here else None)

    def count_known(self, trials: Sequence[Trial]) -> int:
        """Return the number of trials that have a recorded evaluation."""
        return sum(self.records.known(trial) is not None for trial in trials)

    def measure(
        self, trials: Sequence[Trial], on_measured: OnMeasured | None = None
    ) -> list[Evaluation]:
        """Return the evaluations of distinct trials; call on_measured with each new evaluation.

        Raises:
            StoppedError: should_stop was set before the last trial ended.
        """
        stop, found = self._should_stop, [self.records.known(trial) for trial in trials]
        todo = [i for i, evaluation in enumerate(found) if evaluation is None]
        flops = {i: self.objective.flops(trials[i]) for i in todo}

        def note(i: int, evaluation: Evaluation) -> None:
            found[i] = evaluation
            n_params = self.objective.n_params(trials[i].genome)
            self.records.add(trials[i], evaluation, flops=flops[i], n_params=n_params)
            if on_measured:
                on_measured(i, evaluation)

        for i in todo:
            if reason := self.objective.refusal(trials[i]):
                note(i, Evaluation("refused", reason=reason))
        # Start the longest trials first, so that workers are not idle while the last trial runs.
        todo = sorted((i for i in todo if found[i] is None), key=lambda i: -flops[i])

        def note_outcome(place: int, outcome: Outcome[Evaluation]) -> None:
            if not stop.is_set():  # after a stop, the evaluation may be incomplete
                crashed = Evaluation("crashed", reason=outcome.error or "")
                note(todo[place], outcome.result or crashed)

        items = [trials[i] for i in todo]
        evaluate_all(self._work, items, self._pool, on_outcome=note_outcome, should_stop=stop)
        return [evaluation for evaluation in found if evaluation]


def _measure(objective: Objective, should_stop: ShouldStop | None, trial: Trial) -> Evaluation:
    """Return the evaluation of a trial, including its duration."""
    started, cpu_started = perf_counter(), thread_time()  # training uses only this thread
    found = objective.measure(trial, should_stop)
    if found.seconds:  # an objective that trains may have measured the time itself
        return found
    seconds, cpu_seconds = perf_counter() - started, thread_time() - cpu_started
    return replace(found, seconds=seconds, cpu_seconds=cpu_seconds)
