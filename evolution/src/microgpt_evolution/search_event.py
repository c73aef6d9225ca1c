"""How far a run is, for whoever wants to show it. This module knows nothing of how it is shown."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from microgpt_evolution.finalists import N_FINALISTS
from microgpt_evolution.loss_search import LossSearch
from microgpt_evolution.population import Organism, count_species
from microgpt_evolution.trial import N_REPEATS

# What is measured: the genome that nature starts from, a generation, or the best once more.
Stage = Literal["primordial", "generation", "again"]


@dataclass(frozen=True)
class SearchEvent:
    """Told where a stage begins, and after each of its evaluations.

    Attributes:
        stage: which one.
        generation: the one at hand, or the last before the best are measured again.
        n_done: evaluations of the stage that are done, or were on record.
        n_all: those that it has; an elite needs none.
        n_later: evaluations of the stages to come, about: a search that is stuck has more.
        best: the best organism so far, if anything has finished.
        n_species: in the generation.
        stagnation: the last generations that were no better than the one before.
    """

    stage: Stage
    generation: int
    n_done: int
    n_all: int
    n_later: int
    best: Organism | None
    n_species: int
    stagnation: int


class Follower:
    """Follows a search, and makes events of what happens."""

    def __init__(
        self, search: LossSearch, generations: int, on_event: Callable[[SearchEvent], None]
    ) -> None:
        self._search, self._generations, self._on_event = search, generations, on_event
        self._event: SearchEvent | None = None

    def begin(self, stage: Stage, n_all: int, n_done: int) -> None:
        """Begin a stage, of which some evaluations may be on record."""
        population, told = self._search.population, self._search.generations
        generation = population[0].generation
        n_bred = {"primordial": self._generations, "generation": self._generations - generation}
        n_later = n_bred.get(stage, 0) * (len(population) - 1)  # there will be an elite
        self._event = SearchEvent(
            stage,
            generation,
            n_done,
            n_all,
            n_later + (0 if stage == "again" else N_FINALISTS * N_REPEATS),
            best=self._better(told[-1][0]) if told else None,
            n_species=len(count_species(population)),
            stagnation=self._search.ladder.stagnation,
        )
        self._on_event(self._event)

    def evaluated(self, organism: Organism | None = None) -> None:
        """Count an evaluation.

        Args:
            organism: with what it came to, where it takes part in the search.
        """
        assert self._event, "no stage has begun"
        best = self._better(organism) if organism else self._event.best
        self._event = replace(self._event, n_done=self._event.n_done + 1, best=best)
        self._on_event(self._event)

    def _better(self, organism: Organism) -> Organism | None:
        """Return the better of the best so far and another, if anything has finished."""
        best = self._event.best if self._event else None
        if not organism.has_finished or (best and best.fitness <= organism.fitness):
            return best
        return organism
