"""Evaluate trials on a worker pool; record the evaluations, and reuse recorded ones."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import repeat
from threading import Event
from time import perf_counter, thread_time
from typing import Any, Protocol, TypeVar

from microgpt.config import Device
from microgpt.errors import MicrogptError
from microgpt_evolution.organism import Evaluation, ShouldStop, Trial
from microgpt_evolution.runs.run_directory import RunDirectory
from microgpt_evolution.workers.pools import PickledOnce, Pool, Threads
from microgpt_evolution.workers.retrying_driver import Outcome, evaluate_all

Config = TypeVar("Config", contravariant=True)

# Operations of a core while JAX compiles a program; a smaller group is trained on the core.
COMPILATION = 1e11
MAX_TOGETHER = 1024  # trials in a group; more would hardly be faster, and are lost together

OnMeasured = Callable[[int, Evaluation], None]  # called with the index and evaluation of a trial


class Objective(Protocol[Config]):
    """Interface of objectives: picklable objects that train a model and measure it."""

    def flops(self, config: Config) -> float:
        """Return the number of FLOPs of a training run."""

    def n_params(self, config: Config) -> int:
        """Return the number of parameters."""

    def refusal(self, config: Config) -> str | None:
        """Return the reason why a configuration cannot be trained, or None."""

    def measure(
        self, config: Config, seed: int, should_stop: ShouldStop | None = None
    ) -> Evaluation:
        """Train a model and return its evaluation."""


class CachedEvaluator:
    """Evaluates trials on a worker pool and reuses recorded evaluations.

    If the pool has a device, an objective with the methods `shape` and `train_together` trains
    models of one shape together; see `LossObjective`.
    """

    def __init__(
        self,
        objective: Objective[Any],
        pool: Pool,
        records: RunDirectory[Any, Any],
        *,
        should_stop: Event | None = None,
    ) -> None:
        self.objective, self.records = objective, records
        self._pool, self._should_stop = pool, should_stop or Event()
        # Only threads can poll the event; worker processes are killed instead.
        is_here = isinstance(pool, Threads)
        work = partial(_measure, objective, self._should_stop.is_set if is_here else None)
        self._work = work if is_here else PickledOnce.of(work)

    def count_known(self, trials: Sequence[Trial[Any]]) -> int:
        """Return the number of trials that have a recorded evaluation."""
        return sum(self.records.known(trial) is not None for trial in trials)

    def measure(
        self, trials: Sequence[Trial[Any]], on_measured: OnMeasured | None = None
    ) -> list[Evaluation]:
        """Return the evaluations of distinct trials; call on_measured with each new evaluation.

        Raises:
            StoppedError: should_stop was set before the last trial ended.
        """
        stop, found = self._should_stop, [self.records.known(trial) for trial in trials]
        todo = [i for i, evaluation in enumerate(found) if evaluation is None]
        flops = {i: self.objective.flops(trials[i].config) for i in todo}

        def note(i: int, evaluation: Evaluation) -> None:
            found[i] = evaluation
            n_params = self.objective.n_params(trials[i].config)
            self.records.add(trials[i], evaluation, flops=flops[i], n_params=n_params)
            if on_measured:
                on_measured(i, evaluation)

        for i in todo:
            if reason := self.objective.refusal(trials[i].config):
                note(i, Evaluation("refused", reason=reason))
        # Start the longest trials first, so that workers are not idle while the last trial runs.
        todo = sorted((i for i in todo if found[i] is None), key=lambda i: -flops[i])
        groups = self._groups(trials, todo, flops)

        def note_outcome(place: int, outcome: Outcome[list[Evaluation]]) -> None:
            if not stop.is_set():  # after a stop, the evaluations may be incomplete
                crashed = Evaluation("crashed", reason=outcome.error or "")
                _, group = groups[place]
                for i, evaluation in zip(group, outcome.result or repeat(crashed), strict=False):
                    note(i, evaluation)

        items = [(device, [trials[i] for i in group]) for device, group in groups]
        evaluate_all(self._work, items, self._pool, on_outcome=note_outcome, should_stop=stop)
        return [evaluation for evaluation in found if evaluation]

    def _groups(
        self, trials: Sequence[Trial[Any]], todo: Sequence[int], flops: Mapping[int, float]
    ) -> list[tuple[Device | None, list[int]]]:
        """Return the trials that are trained together on the device, and the others alone."""
        groups = dict[Hashable, list[int]]()
        if self._pool.device and (shape := getattr(self.objective, "shape", None)):
            for i in todo:
                groups.setdefault(shape(trials[i].config), []).append(i)
        large = [group for group in groups.values() if sum(flops[i] for i in group) > COMPILATION]
        grouped = {i for group in large for i in group}
        parts = [
            group[at : at + MAX_TOGETHER]
            for group in large
            for at in range(0, len(group), MAX_TOGETHER)
        ]
        alone = [[i] for i in todo if i not in grouped]
        return [(self._pool.device, part) for part in parts] + [(None, part) for part in alone]


def _measure(
    objective: Any,
    should_stop: ShouldStop | None,
    group: tuple[Device | None, Sequence[Trial[Any]]],
) -> list[Evaluation]:
    """Return the evaluations of a group of trials, including their durations."""
    device, trials = group
    started, cpu_started = perf_counter(), thread_time()  # training uses only this thread
    try:
        trained = objective.train_together(trials, device, should_stop) if device else None
    except MicrogptError as error:  # the device may have enough memory for half of the group
        if len(trials) == 1:
            return [Evaluation("refused", reason=str(error))]
        halves = trials[: len(trials) // 2], trials[len(trials) // 2 :]
        return [e for half in halves for e in _measure(objective, should_stop, (device, half))]
    found = []
    for i, trial in enumerate(trials):
        model = (trained[i],) if trained else ()
        found.append(objective.measure(trial.config, trial.seed, should_stop, *model))
    seconds = (perf_counter() - started) / len(trials)
    cpu_seconds = (thread_time() - cpu_started) / len(trials)
    return [  # an objective that trains may have measured the time itself
        each
        if each.seconds and not trained
        else replace(each, seconds=seconds, cpu_seconds=cpu_seconds)
        for each in found
    ]
