"""Run a search: evaluate generations, notify listeners, retest the best, choose the winner."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from microgpt_evolution.genome import PRIMORDIAL
from microgpt_evolution.objectives.cached_evaluator import CachedEvaluator
from microgpt_evolution.organism import Evaluation, Organism, Trial, count_species, training_seed
from microgpt_evolution.search.log import Log
from microgpt_evolution.search.retest import (
    N_REPEATS,
    Winner,
    choose,
    confirmation_trials,
    make_candidates,
)
from microgpt_evolution.search.search_records import SearchSettings

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
    n_measured: int = 0  # number of evaluations in all stages that were not reused
    organism: Organism | None = None  # of the generation, with its evaluation, if that has ended

    @property
    def n_species(self) -> int:
        """The number of species in the generation."""
        return len(count_species(self.organisms))


OnEvent = Callable[[SearchEvent], None]


class SearchRunner:
    """Runs one search."""

    def __init__(
        self,
        settings: SearchSettings,
        evaluator: CachedEvaluator,
        log: Log | None = None,
        on_event: OnEvent | None = None,
    ) -> None:
        self.settings, self.evaluator = settings, evaluator
        self.search = settings.search()
        self.champions: dict[str, Organism] = {}  # best organism of each population so far
        self._log, self._on_event, self._n_measured = log or Log(lambda line: None), on_event, 0

    def run(self) -> Winner | None:
        """Run the search and return its winner, or None."""
        primordial = None  # fitness of the default genome, on which the target depends
        if self.settings.fitness in ("held-out", "own"):
            seed = training_seed(self.settings.seed, 0, 0)
            trial = Trial(PRIMORDIAL, seed, "g0-0", "primordial")
            primordial = self._measure("primordial", [trial])[0].fitness
        self._log.begun(self.settings, primordial)
        for number in range(1, self.settings.n_generations + 1):
            self._generation()
            if number % self.settings.cycle == 0 and self._is_target_reached():
                break
        finalists = self.search.finalists()
        trials = confirmation_trials(finalists, self.settings.seed)
        candidates = make_candidates(finalists, self._measure("again", trials))
        winner = choose(self.search, candidates, self.settings.head)
        self._log.ended(self.search, candidates, winner)
        return winner

    def _is_target_reached(self) -> bool:
        """Return whether an organism is as good as the target of the space file, if it has one."""
        space = self.settings.space
        if space is None or space.target is None:
            return False
        target = space.target if self.settings.fitness else -space.target  # fitness is minimised
        return any(champion.fitness <= target for champion in self.champions.values())

    def _generation(self) -> None:
        """Evaluate a generation; all populations together, so that they share the workers."""
        populations = self.search.populations
        todo = [(name, o) for name, population in populations.items() for o in population.ask()]
        self.search.tell(self._measure("generation", [o.trial for _, o in todo], todo))
        for name, population in populations.items():
            self._note_champion(name, population.generations[-1][0])
        self._log.generation_ended(self.search, self.settings.n_generations)

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
        n_done = self.evaluator.count_known(trials)

        def send(organism: Organism | None = None) -> None:
            if self._on_event:
                event = SearchEvent(
                    stage,
                    generation=min(self.search.generation, self.settings.n_generations),
                    organisms=self.search.organisms,
                    n_later=self._count_later(stage),
                    champions=dict(self.champions),
                    stagnation=self.search.stagnation,
                    n_done=n_done,
                    n_all=len(trials),
                    n_measured=self._n_measured,
                    organism=organism,
                )
                self._on_event(event)

        def note(i: int, evaluation: Evaluation) -> None:
            nonlocal n_done
            n_done, self._n_measured, organism = n_done + 1, self._n_measured + 1, None
            if organisms:
                name, organism = organisms[i]
                seen = self.search.populations[name].seen(evaluation)
                organism = replace(organism, evaluation=seen)
                self._note_champion(name, organism)
            send(organism)

        send()
        return self.evaluator.measure(trials, note)

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
