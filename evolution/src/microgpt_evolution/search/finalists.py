"""The best of a run, each measured with several seeds: the lowest loss of many is partly luck."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from microgpt_evolution import confidence_interval
from microgpt_evolution.genome import Genome
from microgpt_evolution.population import Organism, rank

N_FINALISTS = 3


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
        return f"  {place}. {confidence_interval.describe(self.losses)} | {described}"


def choose(generations: Sequence[Sequence[Organism]]) -> list[Organism]:
    """Return the best organisms of a run, no two of the same genome."""
    best: dict[Genome, Organism] = {}
    for organism in rank([o for ranked in generations for o in ranked if o.has_finished]):
        best.setdefault(organism.genome, organism)
    return list(best.values())[:N_FINALISTS]
