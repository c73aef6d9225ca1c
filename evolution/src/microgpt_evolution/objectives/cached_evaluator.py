"""Evaluate trials on a worker pool, reusing recorded results."""

from collections.abc import Callable, Sequence
from functools import partial
from threading import Event
from time import perf_counter, thread_time
from typing import Protocol

from microgpt_evolution.genome import Genome
from microgpt_evolution.objectives.trial import Measured, Trial
from microgpt_evolution.population import Evaluation
from microgpt_evolution.runs.records import Records
from microgpt_evolution.workers.driver import Outcome, evaluate_all
from microgpt_evolution.workers.pickled_once import PickledOnce
from microgpt_evolution.workers.pools import Pool, Threads


class Objective(Protocol):
    """What an organism is trained on and measured by; it can be sent to other processes."""

    def flops(self, genome: Genome) -> int:
        """Return what a training takes."""

    def refusal(self, genome: Genome) -> str | None:
        """Return why a genome is not trained, or None if it is."""

    def measure(
        self, genome: Genome, seed: int, should_stop: Callable[[], bool] | None = None
    ) -> Evaluation:
        """Train an organism and return what it came to."""


# Is told the place of a trial, what came of it, and why that is no number, if it is none.
OnMeasured = Callable[[int, Measured, str], None]


class CachedEvaluator:
    """A scene, the workers and the records.

    Attributes:
        scene: what measures.
        records: what has been measured, and what will be.
        run_seed: of the run; fresh seeds come from it.
    """

    def __init__(
        self, scene: Objective, pool: Pool, records: Records, *, run_seed: int, should_stop: Event
    ) -> None:
        """Open it.

        Args:
            scene: see `CachedEvaluator`.
            pool: the workers.
            records: see `CachedEvaluator`.
            run_seed: see `CachedEvaluator`.
            should_stop: set it to end early.
        """
        self.scene, self.records, self.run_seed = scene, records, run_seed
        self._pool, self._should_stop = pool, should_stop
        # Other processes cannot see the event; they are ended.
        is_here = isinstance(pool, Threads)
        work = partial(measure, scene, should_stop.is_set if is_here else None)
        self._work = work if is_here else PickledOnce.of(work)

    def count_known(self, trials: Sequence[Trial]) -> int:
        """Return how many trials are on record, and will not be made."""
        return sum(self.records.known(trial.genome, trial.seed) is not None for trial in trials)

    def measure(
        self, trials: Sequence[Trial], on_measured: OnMeasured | None = None
    ) -> list[Evaluation]:
        """Return what trials come to.

        Args:
            trials: no two of the same genome and seed.
            on_measured: is told of those that are made, as they end.

        Raises:
            StoppedError: should_stop was set before the last had ended.
        """
        known = [self.records.known(trial.genome, trial.seed) for trial in trials]
        open_places = [i for i, evaluation in enumerate(known) if evaluation is None]
        # The longest first, so that no worker waits for the last: the result is the same.
        open_places.sort(key=lambda i: -self.scene.flops(trials[i].genome))

        def note(place: int, outcome: Outcome[Measured]) -> None:
            if self._should_stop.is_set():
                return  # it may have ended because of that
            i = open_places[place]
            trial = trials[i]
            measured = outcome.result or Measured(Evaluation("crashed"))
            known[i] = measured.evaluation
            self.records.add(trial, measured, flops=self.scene.flops(trial.genome))
            if on_measured:
                on_measured(i, measured, outcome.error or self._reason(trial, measured))

        evaluate_all(
            self._work,
            [trials[i] for i in open_places],
            self._pool,
            on_outcome=note,
            should_stop=self._should_stop,
        )
        return [evaluation for evaluation in known if evaluation]

    def _reason(self, trial: Trial, measured: Measured) -> str:
        """Return why what was measured is no number."""
        if measured.evaluation.status == "ok":
            return ""
        return self.scene.refusal(trial.genome) or "its loss was no longer a finite number"


def measure(scene: Objective, should_stop: Callable[[], bool] | None, trial: Trial) -> Measured:
    """Make a trial, and say how long it took."""
    started, cpu_started = perf_counter(), thread_time()  # a training has one thread
    evaluation = scene.measure(trial.genome, trial.seed, should_stop)
    return Measured(evaluation, perf_counter() - started, thread_time() - cpu_started)
