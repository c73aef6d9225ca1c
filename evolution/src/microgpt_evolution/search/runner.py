"""Run a search, choose its winner, and report progress through a log, a trace and events.

`SearchRunner` runs the generations and retests the finalists. Its subclasses, one per objective,
choose the winner and write the log and the trace in evolve-rust's format.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Literal

from microgpt_evolution.evolve_rust import aesthetic_log, hydra_log, loss_log, loss_log_end, trace
from microgpt_evolution.genome import PRIMORDIAL, Genome
from microgpt_evolution.objectives.cached_evaluator import CachedEvaluator, OnMeasured
from microgpt_evolution.objectives.fitness import target
from microgpt_evolution.objectives.hydra_heads import HeadName
from microgpt_evolution.objectives.trial import Trial
from microgpt_evolution.population import Evaluation, Organism, count_species
from microgpt_evolution.search.aesthetic_search import JUDGE
from microgpt_evolution.search.archive import Archive
from microgpt_evolution.search.hydra_search import HEAD_GENERATIONS, Hydra
from microgpt_evolution.search.loss_search import LossSearch
from microgpt_evolution.search.selection import (
    N_REPEATS,
    RETESTED,
    Candidate,
    Winner,
    best_for,
    best_for_all,
    confirmation_trials,
    make_candidates,
)
from microgpt_evolution.search.settings import Search, SearchSettings
from microgpt_evolution.seeds import training_seed

Stage = Literal["primordial", "generation", "again"]  # "again": retest of the finalists


@dataclass(frozen=True)
class SearchEvent:
    """Progress of a search, sent when a stage begins and after each evaluation."""

    stage: Stage
    generation: int  # current generation; during the retest, the last generation
    organisms: Sequence[Organism]  # organisms of the current generation
    n_later: int  # estimated number of evaluations in later stages, assuming no stagnation
    champions: Mapping[str, Organism] = field(default_factory=dict)  # best organism per population
    stagnation: int | None = None  # number of generations without progress; None if not tracked
    n_done: int = 0  # number of finished evaluations in this stage, including reused ones
    n_all: int = 0  # total number of evaluations in this stage

    @property
    def n_species(self) -> int:
        """The number of species in the generation."""
        return len(count_species(self.organisms))


def ignore(_: object) -> None:
    """Do nothing; this is the default callback."""


@dataclass(frozen=True)
class Listeners:
    """Callbacks for the log, the trace and the events of a search."""

    log: Callable[[str], None] = ignore  # called with each line of the log
    trace: Callable[[str], None] = ignore  # called with each line of the trace
    on_event: Callable[[SearchEvent], None] = ignore


class SearchRunner(ABC):
    """Base class of the runners; an instance runs one search."""

    search: Search

    def __init__(
        self, settings: SearchSettings, evaluator: CachedEvaluator, listeners: Listeners
    ) -> None:
        self.settings, self.evaluator = settings, evaluator
        self.search = settings.search()
        self.champions: dict[str, Organism] = {}  # best organism of each population so far
        self._listeners = listeners

    def run(self, minutes: float | None = None) -> Winner | None:
        """Run the search and return its winner, or None. No generation starts after `minutes`."""
        self._started = perf_counter()
        self._begin()
        for number in range(1, self.settings.generations + 1):
            if number > 1:
                self._breed()
            started = perf_counter()
            self._generation(number, started)
            is_late = minutes is not None and perf_counter() - self._started > 60 * minutes
            if is_late or self._is_target_reached():
                break
        return self._end(self._measure_finalists_again())

    def _is_target_reached(self) -> bool:
        """Return whether an organism is as good as the target of the space file, if it has one."""
        space = self.settings.space
        if space is None or space.target is None:
            return False
        target = space.target if self.settings.fitness else -space.target  # fitness is minimised
        return any(champion.fitness <= target for champion in self.champions.values())

    @abstractmethod
    def _begin(self) -> None:
        """Write the header of the log."""

    @abstractmethod
    def _generation(self, number: int, started: float) -> None:
        """Evaluate and log one generation, or one cycle of the Hydra."""

    def _breed(self) -> None:
        self.search.breed()

    @abstractmethod
    def _end(self, candidates: Sequence[Candidate]) -> Winner | None:
        """Choose the winner and write the end of the log."""

    def _evaluate_generation(self) -> None:
        """Evaluate all populations together, so that they share the workers."""
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
        """Evaluate trials; send events when the stage begins and after each evaluation."""
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
        """Estimate the number of evaluations after a stage, assuming no stagnation."""
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


class LossRunner(SearchRunner):
    """Runs a loss search and logs it in evolve-rust's format."""

    search: LossSearch
    target = target("last-doc")  # target fitness; in held-out searches, `_begin` sets another value
    _is_reached = False

    def _begin(self) -> None:
        settings = self.settings
        if settings.fitness == "held-out":
            seed = training_seed(settings.seed, 0, 0)
            primordial = Trial(PRIMORDIAL, seed, "g0-0", "primordial")
            (evaluation,) = self._measure("primordial", [primordial])
            self.target = target("held-out", evaluation.fitness)
        if settings.space and settings.space.target is not None:
            self.target = settings.space.target
        self._log(*loss_log.header(settings, self.target, self.evaluator.records.log))
        if settings.warm_start:
            self._listeners.trace(trace.descended(self.search.organisms))

    def _generation(self, number: int, started: float) -> None:
        search = self.search
        self._log(loss_log.generation_start(number, self.settings.generations))
        self._listeners.trace(trace.evaluating(search.organisms))
        for organism in search.organisms:
            self._listeners.trace(trace.started(organism))
        self._evaluate_generation()
        ranked = search.organisms
        self._log(*loss_log.ranking(ranked))
        if ranked[0].fitness < self.target and not self._is_reached:
            self._is_reached = True
            self._log(loss_log.target_reached(self.target))
        self._log(
            *loss_log.summary(
                ranked,
                stagnation=search.stagnation,
                n_blacklisted=len(search.blacklist.species),
                seconds=perf_counter() - started,
            )
        )

    def _breed(self) -> None:
        ranked, stagnation = self.search.organisms, self.search.stagnation
        self.search.breed()
        stage, n_blacklisted = self.search.stage, len(self.search.blacklist.species)
        self._log(*loss_log.event(stage, stagnation))
        for line in trace.bred(stage, ranked, self.search.organisms, n_blacklisted):
            self._listeners.trace(line)

    def _end(self, candidates: Sequence[Candidate]) -> Winner | None:
        generations, blacklist = self.search.generations, self.search.blacklist
        seconds = perf_counter() - self._started
        report = loss_log_end.end_report(
            generations, target=self.target, blacklist=blacklist, seconds=seconds
        )
        self._log(*report)
        if not candidates:
            return None
        candidates = sorted(candidates, key=lambda candidate: candidate.mean(None))
        self._log("", RETESTED)
        for place, candidate in enumerate(candidates, start=1):
            genome, origin = candidate.organism.genome.describe(), candidate.organism.origin
            self._log(f"  {place}. {candidate.describe(None)} | {genome} [{origin}]")
        return Winner(candidates[0].organism)


class AestheticRunner(SearchRunner):
    """Runs an aesthetic search and logs it in evolve-rust's format."""

    def _begin(self) -> None:
        self._log(*aesthetic_log.header(self.settings, self.evaluator.records.log))

    def _generation(self, number: int, started: float) -> None:
        self._log(*aesthetic_log.generation_start(number, self.settings.generations))
        self._listeners.trace(trace.evaluating(self.search.organisms))
        self._evaluate_generation()
        ranked = self.search.organisms
        for organism in sorted(ranked, key=lambda organism: organism.slot):
            self._log(*aesthetic_log.organism(organism))
        self._log(*aesthetic_log.generation_end(ranked, perf_counter() - started))

    def _end(self, candidates: Sequence[Candidate]) -> Winner | None:
        if not candidates:
            return None
        winner = best_for(JUDGE, candidates)
        self._log(*aesthetic_log.finalists(candidates, winner, JUDGE))
        return Winner(winner.organism, JUDGE)


class HydraRunner(SearchRunner):
    """Runs a Hydra search and logs it in evolve-rust's format."""

    search: Hydra
    winners: Mapping[HeadName, Candidate]  # winner of each head in the retest; set by `_end`

    def _begin(self) -> None:
        self.archives = {name: Archive() for name in self.search.heads}
        self._log(*hydra_log.header(self.settings, self.evaluator.records.log))

    def _generation(self, number: int, started: float) -> None:
        search = self.search
        self._log(*hydra_log.cycle_start(number, self.settings.generations))
        for generation in range(HEAD_GENERATIONS):
            if generation:
                search.breed()
            self._listeners.trace(trace.evaluating(search.organisms))
            self._evaluate_generation()
            for name, population in search.heads.items():
                self._log(hydra_log.top(name, population.organisms))
                for organism in population.organisms:
                    n_params = self.evaluator.objective.n_params(organism.genome)
                    self.archives[name].add(organism, n_params=n_params)
        self._log(*hydra_log.champions(search.champions()))
        search.breed()
        self._log(*hydra_log.gathering())
        seconds = perf_counter() - started
        self._log(*hydra_log.cycle_end(search.organisms, self.archives, seconds))

    def _breed(self) -> None:
        """Do nothing; `_generation` has already bred the next generation."""

    def _end(self, candidates: Sequence[Candidate]) -> Winner | None:
        by_seed = {candidate.organism.seed: candidate for candidate in candidates}
        self.winners = {
            head: best_for(head, [by_seed[organism.seed] for organism in organisms])
            for head, organisms in self.search.met.items()
            if organisms
        }
        heads, head = list(self.search.heads), self.settings.head
        if not self.winners or (head and head not in self.winners):
            return None
        winner = self.winners[head] if head else best_for_all(heads, candidates)
        self._log(*hydra_log.ascended(self.winners))
        self._log(*hydra_log.chosen(winner, heads, head))
        return Winner(winner.organism, head or JUDGE, head)  # by default, report the judge's score


RUNNERS: Mapping[str, type[SearchRunner]] = {
    "loss": LossRunner,
    "aesthetic": AestheticRunner,
    "hydra": HydraRunner,
}
