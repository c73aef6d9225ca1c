"""Run a search from its first generation to its winner, with its log, trace and events.

`SearchRunner` has the loop, the evaluation of generations and the retest of the best; its
subclasses in `objective_runners` add the lines of the log. Nothing is printed.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Literal, Protocol

from microgpt_evolution.evolve_rust import trace
from microgpt_evolution.genome import Genome
from microgpt_evolution.objectives.cached_evaluator import CachedEvaluator, OnMeasured
from microgpt_evolution.objectives.trial import N_REPEATS, Trial, all_again, of_each
from microgpt_evolution.population import Evaluation, Organism, Population, count_species
from microgpt_evolution.search.selection import Candidate, Winner
from microgpt_evolution.search.settings import SearchSettings

# What is measured: the genome that nature starts from, a generation, or the best once more.
Stage = Literal["primordial", "generation", "again"]


class Search(Protocol):
    """A search, one generation at a time; it trains nothing."""

    @property
    def populations(self) -> Mapping[str, Population]:
        """The populations, by name."""

    @property
    def organisms(self) -> list[Organism]:
        """The organisms of all populations; ranked within each once it was told of."""

    @property
    def generation(self) -> int:
        """The number of the generation at hand, counted from 1."""

    @property
    def stagnation(self) -> int | None:
        """The last generations that were no better than the one before, where it counts."""

    @property
    def n_finalists(self) -> int:
        """How many organisms are measured again at the end, at most."""

    def ask(self) -> list[Organism]:
        """Return the organisms that have no evaluation."""

    def tell(self, evaluations: Sequence[Evaluation]) -> object:
        """Take the evaluations of the organisms of `ask`, in their order, and rank."""

    def breed(self) -> None:
        """Replace the generation by the next."""

    def finalists(self) -> list[Organism]:
        """Return the organisms that are measured again at the end."""


@dataclass(frozen=True)
class SearchEvent:
    """The progress of a run: sent where a stage begins, and after each of its evaluations."""

    stage: Stage
    generation: int  # the one at hand, or the last before the best are measured again
    organisms: Sequence[Organism]  # of this generation
    n_later: int  # evaluations of later stages, about: a search that is stuck has more
    champions: Mapping[str, Organism] = field(default_factory=dict)  # by population, so far
    stagnation: int | None = None  # generations without progress, where they are counted
    n_done: int = 0  # evaluations of the stage that are done, or were on record
    n_all: int = 0  # those that it has

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
    trace: Callable[[str], None] = ignore  # with each line about a single organism
    on_event: Callable[[SearchEvent], None] = ignore


class SearchRunner(ABC):
    """One run of a search.

    Attributes:
        champions: the best so far of each population that has one, by its name.
    """

    search: Search

    def __init__(
        self, settings: SearchSettings, evaluator: CachedEvaluator, listeners: Listeners
    ) -> None:
        self.settings, self.evaluator = settings, evaluator
        self.search = settings.search()
        self.champions: dict[str, Organism] = {}
        self._listeners = listeners

    def run(self, minutes: float | None = None) -> Winner | None:
        """Return the winner; None if nothing has finished, or nothing of the head asked for.

        Args:
            minutes: begin no generation, or cycle of the Hydra, after so long.
        """
        self._started = perf_counter()
        self._begin()
        for number in range(1, self.settings.generations + 1):
            if number > 1:
                self._breed()
            started = perf_counter()
            self._generation(number, started)
            if minutes is not None and perf_counter() - self._started > 60 * minutes:
                break
        return self._end(self._retest())

    @abstractmethod
    def _begin(self) -> None:
        """Write the head of the log."""

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

    def _retest(self) -> list[Candidate]:
        """Return the best organisms, measured again with fresh seeds."""
        finalists = self.search.finalists()
        again = self._measure("again", all_again(finalists, self.settings.seed))
        return [
            Candidate(organism, (organism.evaluation, *more))
            for organism, more in zip(finalists, of_each(again), strict=True)
            if organism.evaluation
        ]

    def _measure(
        self, stage: Stage, trials: Sequence[Trial[Genome]], on_measured: OnMeasured | None = None
    ) -> list[Evaluation]:
        """Return the evaluations of trials, and send the events of the stage."""
        n_done = self.evaluator.count_known(trials)

        def send() -> None:
            event = SearchEvent(
                stage,
                generation=min(self.search.generation, self.settings.n_generations),
                organisms=self.search.organisms,
                n_later=self._count_later(stage),
                champions=dict(self.champions),
                stagnation=self.search.stagnation,
                n_done=n_done,
                n_all=len(trials),
            )
            self._listeners.on_event(event)

        def note(i: int, evaluation: Evaluation) -> None:
            nonlocal n_done
            n_done += 1
            if on_measured:
                on_measured(i, evaluation)
            send()

        send()
        return self.evaluator.measure(trials, note)

    def _count_later(self, stage: Stage) -> int:
        """Return how many evaluations come after a stage, if the search does not get stuck."""
        if stage == "again":
            return 0
        n_evaluated = self.search.generation if stage == "generation" else 0
        n_born = sum(
            max(len(population.organisms) - population.n_elites, 0)
            for population in self.search.populations.values()
        )
        n_left = self.settings.n_generations - n_evaluated
        return n_left * n_born + self.search.n_finalists * N_REPEATS

    def _note_champion(self, name: str, organism: Organism) -> None:
        best = self.champions.get(name)
        if organism.has_finished and (best is None or organism.fitness < best.fitness):
            self.champions[name] = organism

    def _log(self, *lines: str) -> None:
        for line in lines:
            self._listeners.log(line)
