"""The best of a run, each measured with several seeds: the lowest loss of many is partly luck.

This module knows nothing of how they are measured, and prints nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from microgpt_evolution import interval
from microgpt_evolution.genome import Genome
from microgpt_evolution.population import Organism, rank
from microgpt_evolution.seeds import training_seed
from microgpt_evolution.trial import N_REPEATS

N_FINALISTS = 3
N_FRESH = 2  # seeds that the winner is judged by, besides that of the run


@dataclass(frozen=True)
class Finalist:
    """One of the best, measured with several seeds.

    Attributes:
        organism: as the search found it.
        losses: its fitness with each seed; the first is the search's own.
    """

    organism: Organism
    losses: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean fitness."""
        return fmean(self.losses)

    def line(self, place: int) -> str:
        """Return what the log says of it."""
        organism = self.organism
        described = f"{organism.genome.describe()} [{organism.origin}]"
        return f"  {place}. {interval.describe(self.losses)} | {described}"

    def fresh_seeds(self, run_seed: int) -> list[int]:
        """Return the seeds to judge it by: the run's, which trained nobody, and two new ones."""
        organism, first = self.organism, N_REPEATS + 1
        repeats = range(first, first + N_FRESH)
        place = run_seed, organism.generation, organism.slot
        return [run_seed, *(training_seed(*place, repeat) for repeat in repeats)]


def choose(generations: Sequence[Sequence[Organism]]) -> list[Organism]:
    """Return the best organisms of a run, no two of the same genome."""
    best: dict[Genome, Organism] = {}
    for organism in rank([o for ranked in generations for o in ranked if o.has_finished]):
        best.setdefault(organism.genome, organism)
    return list(best.values())[:N_FINALISTS]
