"""Run a search from its first generation to its winner, with its log, trace and events.

`SearchRunner` has the loop, the evaluation of generations and the retest of the finalists; its
subclasses in `objective_runners` choose the winner and write the log.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Literal

from microgpt_evolution.evolve_rust import trace
from microgpt_evolution.genome import Genome
from microgpt_evolution.objectives.cached_evaluator import CachedEvaluator, OnMeasured
from microgpt_evolution.objectives.trial import Trial
from microgpt_evolution.population import Evaluation, Organism, count_species
from microgpt_evolution.search.selection import (
    N_REPEATS,
    Candidate,
    Winner,
    confirmation_trials,
    make_candidates,
)
from microgpt_evolution.search.settings import Search, SearchSettings

Stage = Literal["primordial", "generation", "again"]  # "again" is the retest of the finalists


@dataclass(frozen=True)
class SearchEvent:
    """The progress of a run: sent when a stage begins, and after each evaluation."""

    stage: Stage
    generation: int  # the current one; in the retest, the last
    organisms: Sequence[Organism]  # of this generation
    n_later: int  # estimated evaluations of later stages; a search that is stuck has more
    champions: Mapping[str, Organism] = field(default_factory=dict)  # by population, so far
    stagnation: int | None = None  # generations without progress, where they are counted
    n_done: int = 0  # evaluations of this stage that are done, or were on record
    n_all: int = 0  # all evaluations of this stage

    @property
    def n_species(self) -> int:
        """How many species are in the generation."""
        return len(count_species(self.organisms))


def ignore(_: object) -> None:
    """Do nothing."""


@dataclass(frozen=True)
class Listeners:
    """Functions that are called while a search runs."""

    log: Callable[[str], None] = ignore  # with each line of the log
    trace: Callable[[str], None] = ignore  # with each line of the trace
    on_event: Callable[[SearchEvent], None] = ignore


class SearchRunner(ABC):
    """One run of a search."""

    search: Search

    def __init__(
        self, settings: SearchSettings, evaluator: CachedEvaluator, listeners: Listeners
    ) -> None:
        self.settings, self.evaluator = settings, evaluator
        self.search = settings.search()
        self.champions: dict[str, Organism] = {}  # the best so far of each population
        self._listeners = listeners

    def run(self, minutes: float | None = None) -> Winner | None:
        """Return the winner, if there is one; begin no generation after so many minutes."""
        self._started = perf_counter()
        self._begin()
        for number in range(1, self.settings.generations + 1):
            if number > 1:
                self._breed()
            started = perf_counter()
            self._generation(number, started)
            if minutes is not None and perf_counter() - self._started > 60 * minutes:
                break
        return self._end(self._measure_finalists_again())

    @abstractmethod
    def _begin(self) -> None:
        """Write the header of the log."""

    @abstractmethod
    def _generation(self, number: int, started: float) -> None:
        """Evaluate a generation, or a cycle of the Hydra, and log it."""

    def _breed(self) -> None:
        self.search.breed()

    @abstractmethod
    def _end(self, candidates: Sequence[Candidate]) -> Winner | None:
        """Choose the winner and write the end of the log."""

    def _evaluate_generation(self) -> None:
        """Evaluate all populations together, so that workers serve all of them."""
        populations = self.search.populations
        todo = [(name, o) for name, population in populations.items() for o in population.ask()]

        def on_measured(i: int, evaluation: Evaluation) -> None:
            name, organism = todo[i]
            organism = replace(organism, evaluation=populations[name].seen(evaluation))
            self._listeners.trace(trace.done(organism, evaluation.seconds, evaluation.reason))
            self._note_champion(name, organism)

        trials = [Trial.of(organism) for _, organism in todo]
        self.search.tell(self._measure("generation", trials, on_measured))
        for name, population in populations.items():
            self._note_champion(name, population.organisms[0])

    def _measure_finalists_again(self) -> list[Candidate]:
        finalists = self.search.finalists()
        trials = confirmation_trials(finalists, self.settings.seed)
        return make_candidates(finalists, self._measure("again", trials))

    def _measure(
        self, stage: Stage, trials: Sequence[Trial[Genome]], on_measured: OnMeasured | None = None
    ) -> list[Evaluation]:
        """Return the evaluations of trials, and send the events of the stage."""
        n_done = self.evaluator.count_known(trials)
        self._send(stage, n_done, len(trials))

        def note(i: int, evaluation: Evaluation) -> None:
            nonlocal n_done
            n_done += 1
            if on_measured:
                on_measured(i, evaluation)
            self._send(stage, n_done, len(trials))

        return self.evaluator.measure(trials, note)

    def _send(self, stage: Stage, n_done: int, n_all: int) -> None:
        event = SearchEvent(
            stage,
            generation=min(self.search.generation, self.settings.n_generations),
            organisms=self.search.organisms,
            n_later=self._count_later(stage),
            champions=dict(self.champions),
            stagnation=self.search.stagnation,
            n_done=n_done,
            n_all=n_all,
        )
        self._listeners.on_event(event)

    def _count_later(self, stage: Stage) -> int:
        """Return how many evaluations come after a stage, if the search does not get stuck."""
        if stage == "again":
            return 0
        n_evaluated = self.search.generation if stage == "generation" else 0
        populations = self.search.populations.values()
        n_bred = sum(max(len(each.organisms) - each.n_elites, 0) for each in populations)
        n_left = self.settings.n_generations - n_evaluated
        return n_left * n_bred + self.search.n_finalists * N_REPEATS

    def _note_champion(self, name: str, organism: Organism) -> None:
        best = self.champions.get(name)
        if organism.has_finished and (best is None or organism.fitness < best.fitness):
            self.champions[name] = organism

    def _log(self, *lines: str) -> None:
        for line in lines:
            self._listeners.log(line)
