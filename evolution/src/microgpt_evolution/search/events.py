"""How far a run is, for whoever wants to show it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from microgpt_evolution.population import Organism, count_species

# What is measured: the genome that nature starts from, a generation, or the best once more.
Stage = Literal["primordial", "generation", "again"]


@dataclass(frozen=True)
class SearchEvent:
    """Told where a stage begins, and after each of its evaluations.

    Attributes:
        stage: which one.
        generation: the one at hand, or the last before the best are measured again.
        organisms: the generation.
        n_later: evaluations of the stages to come, about: a search that is stuck has more.
        champions: the best so far of each population, by its name, where anything has finished.
        stagnation: the last generations that were no better than the one before, where it counts.
        n_done: evaluations of the stage that are done, or were on record.
        n_all: those that it has; an elite needs none.
    """

    stage: Stage
    generation: int
    organisms: Sequence[Organism]
    n_later: int
    champions: Mapping[str, Organism] = field(default_factory=dict)
    stagnation: int | None = None
    n_done: int = 0
    n_all: int = 0

    @property
    def n_species(self) -> int:
        """How many species are in the generation."""
        return len(count_species(self.organisms))


class Follower:
    """Follows a search, and makes events of what happens."""

    def __init__(self, on_event: Callable[[SearchEvent], None]) -> None:
        self._on_event = on_event
        self._event: SearchEvent | None = None

    def begin(self, event: SearchEvent) -> None:
        """Begin a stage, of which some evaluations may be on record; champions stay known."""
        before = self._event.champions if self._event else {}
        self._event = replace(event, champions=before)
        for name, organism in event.champions.items():
            self._event = self._with(self._event, name, organism)
        self._on_event(self._event)

    def evaluated(self, name: str = "", organism: Organism | None = None) -> None:
        """Count an evaluation.

        Args:
            name: of its population.
            organism: with what it came to, where it takes part in the search.
        """
        assert self._event, "no stage has begun"
        self._event = replace(self._event, n_done=self._event.n_done + 1)
        if organism:
            self._event = self._with(self._event, name, organism)
        self._on_event(self._event)

    def _with(self, event: SearchEvent, name: str, organism: Organism) -> SearchEvent:
        """Return the event with an organism as the champion, if it is one."""
        best = event.champions.get(name)
        if not organism.has_finished or (best and best.fitness <= organism.fitness):
            return event
        return replace(event, champions={**event.champions, name: organism})
