"""Run a search: ask for organisms, evaluate them, tell; then choose the winner and train it again.

Each training run is a trial, which is recorded and may run on any worker.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Literal

from microgpt_evolution.errors import NoWinnerError
from microgpt_evolution.genome import PRIMORDIAL
from microgpt_evolution.objectives.objective import Objective
from microgpt_evolution.search.log import Log
from microgpt_evolution.search.search_settings import FRESH, Records, Search
from microgpt_evolution.strategies.population import N_REPEATS, Finalist, Organism
from microgpt_evolution.trial import Evaluation, Trial, training_seed
from microgpt_evolution.workers import Workers

Stage = Literal["primordial", "generation", "again", "fresh"]
N_FRESH = 3  # training runs of the winner that do not influence the search


@dataclass(frozen=True)
class SearchEvent:
    """Progress of a search, sent when a stage begins and after each evaluation."""

    search: Search  # its populations, with their organisms and generations
    organism: Organism | None  # that was evaluated; None for a training run outside a generation
    n_measured: int  # number of evaluations so far that were not reused
    n_left: int  # estimated number of evaluations to come, assuming no stagnation


OnEvent = Callable[[SearchEvent], None]


class SearchRunner:
    """Runs one search."""

    def __init__(
        self,
        study: Records,
        objective: Objective,
        fresh_objective: Objective,
        workers: Workers,
        log: Log,
        on_event: OnEvent | None = None,
        should_stop: Event | None = None,
    ) -> None:
        """Prepare a search.

        Args:
            fresh_objective: objective of the winner with fresh seeds, which measures all losses.
        """
        self.settings, self.search = study.settings, study.settings.search()
        self._objective, self._fresh_objective = objective, fresh_objective
        self._study, self._workers, self._stop = study, workers, should_stop
        self._log, self._on_event, self._n_measured = log, on_event, 0

    def run(self) -> tuple[Organism, list[Evaluation]]:
        """Run the search; return the winner and its successful evaluations with fresh seeds.

        Raises:
            NoWinnerError: no organism could be trained, or not the winner with a fresh seed.
        """
        primordial = None  # fitness of the default genome, on which the target depends
        if self.settings.fitness in ("held-out", "own"):
            seed = training_seed(self.settings.seed, 0, 0)
            trial = Trial(PRIMORDIAL, seed, "g0-0", "primordial")
            primordial = self._measure("primordial", [trial])[0].fitness
        self._log.begun(primordial)
        for _ in range(self.settings.n_generations):
            self._generation()
        finalists = self._finalists()
        winner = self.search.choose(finalists)
        if not winner:
            if self.settings.fitness == "own":
                problem = "the objective returned no value for any organism; see the warnings"
                raise NoWinnerError(problem)
            raise NoWinnerError(self._study.why_no_winner())
        self._log.ended(self.search, finalists, winner)
        return winner.organism, self._fresh(winner.organism)

    def _generation(self) -> None:
        """Evaluate a generation; all populations together, so that they share the workers."""
        populations = self.search.populations
        todo = [(name, o) for name, population in populations.items() for o in population.ask()]
        self.search.tell(self._measure("generation", [o.trial for _, o in todo], todo))
        self._log.generation_ended(self.search)

    def _finalists(self) -> list[Finalist]:
        """Train the best organisms with more seeds; training runs that fail do not count."""
        organisms, seed = self.search.finalists(), self.settings.seed
        trials = [
            Trial(o.genome, _seed(o, seed, i), f"{o.id}-again{i}", "confirm", (o.id,))
            for o in organisms
            for i in range(1, N_REPEATS + 1)
        ]
        again = self._measure("again", trials)
        return [
            Finalist(o, (o.evaluation, *(e for e in again[i : i + N_REPEATS] if e.status == "ok")))
            for i, o in zip(range(0, len(again), N_REPEATS), organisms, strict=True)
            if o.evaluation
        ]

    def _fresh(self, winner: Organism) -> list[Evaluation]:
        """Train the winner with seeds that did not choose it; the first is that of the run."""
        seeds = [self.settings.seed]
        seeds += [_seed(winner, seeds[0], N_REPEATS + i) for i in range(1, N_FRESH)]
        trials = [
            Trial(winner.genome, seed, f"{winner.id}-fresh{i}", FRESH, (winner.id,))
            for i, seed in enumerate(seeds, start=1)
        ]
        found = self._measure("fresh", trials)
        if not (ok := [evaluation for evaluation in found if evaluation.status == "ok"]):
            raise NoWinnerError(
                f"the winner, {winner.id}, failed with {N_FRESH} fresh seeds ({found[0].reason}); "
                "use another seed"
            )
        return ok

    def _measure(
        self,
        stage: Stage,
        trials: Sequence[Trial],
        organisms: Sequence[tuple[str, Organism]] = (),
    ) -> list[Evaluation]:
        """Evaluate trials; send events when the stage begins and after each evaluation.

        Args:
            organisms: those of the trials, each with the name of its population.
        """
        objective = self._fresh_objective if stage == "fresh" else self._objective
        n_known = sum(self._study.known(trial) is not None for trial in trials)
        n_left = len(trials) - n_known + self._count_later(stage)

        def send(organism: Organism | None = None) -> None:
            if self._on_event:
                self._on_event(SearchEvent(self.search, organism, self._n_measured, n_left))

        def note(i: int, evaluation: Evaluation) -> None:
            nonlocal n_left
            n_left, self._n_measured = n_left - 1, self._n_measured + 1
            organism = None
            if organisms:
                name, organism = organisms[i]
                organism = self.search.populations[name].seen(organism, evaluation)
            send(organism)

        send()
        study, workers = self._study, self._workers
        return study.measure(trials, objective, workers, note, should_stop=self._stop)

    def _count_later(self, stage: Stage) -> int:
        """Estimate the number of evaluations after a stage, assuming no stagnation."""
        if stage in ("again", "fresh"):
            return N_FRESH if stage == "again" else 0
        n_evaluated = self.search.generation if stage == "generation" else 0
        populations = self.search.populations.values()
        n_bred = sum(max(len(each.organisms) - each.n_elites, 0) for each in populations)
        n_left = self.settings.n_generations - n_evaluated
        return n_left * n_bred + self.search.n_finalists * N_REPEATS + N_FRESH


def _seed(organism: Organism, run_seed: int, repeat: int) -> int:
    return training_seed(run_seed, organism.generation, organism.slot, repeat)
