"""Who has won a search, and by what measure."""

from dataclasses import dataclass

from microgpt_evolution.objectives.heads import HeadName
from microgpt_evolution.objectives.trial import N_REPEATS
from microgpt_evolution.population import Evaluation, Organism
from microgpt_evolution.seeds import training_seed

N_FRESH = 2  # seeds that the winner is examined with, besides that of the run


@dataclass(frozen=True)
class Winner:
    """The winner of a run.

    Attributes:
        organism: as the search found it.
        measure: a key of `Vote.scores`, where scores were to become large.
        head: whose champion it is, if one head was picked.
    """

    organism: Organism
    measure: str | None = None
    head: HeadName | None = None

    @property
    def found(self) -> Evaluation:
        """What the search measured of it."""
        assert self.organism.evaluation
        return self.organism.evaluation

    def fresh_seeds(self, run_seed: int) -> list[int]:
        """Return seeds that had no say: the run's, which trained nobody, and two new ones."""
        organism, first = self.organism, N_REPEATS + 1
        repeats = range(first, first + N_FRESH)
        place = run_seed, organism.generation, organism.slot
        return [run_seed, *(training_seed(*place, repeat) for repeat in repeats)]
