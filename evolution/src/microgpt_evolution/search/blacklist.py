"""Blacklist of species that failed repeatedly; random genomes avoid these species."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from microgpt_evolution.objectives.fitness import Fitness, loser_threshold
from microgpt_evolution.population import Organism

MIN_FAILURES = 2


@dataclass(frozen=True)
class Blacklist:
    """The failed evaluations so far, by species."""

    fitness: Fitness
    values: tuple[float, ...] = ()  # fitness of all finished evaluations
    # fitness of each failed evaluation, by species
    failures: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def after(self, generation: Sequence[Organism]) -> "Blacklist":
        """Return the blacklist updated with a generation; elites are counted only once."""
        new = [o for o in generation if o.has_finished and o.origin != "elite"]
        if not new:
            return self
        values = (*self.values, *(organism.fitness for organism in new))
        threshold = loser_threshold(self.fitness, values)
        failures = dict(self.failures)
        for organism in new:
            if organism.fitness > threshold:
                species = organism.genome.species
                failures[species] = (*failures.get(species, ()), organism.fitness)
        return Blacklist(self.fitness, values, failures)

    @property
    def species(self) -> tuple[str, ...]:
        """The species with at least two failures, sorted by decreasing number of failures."""
        listed = [name for name, losses in self.failures.items() if len(losses) >= MIN_FAILURES]
        return tuple(sorted(listed, key=lambda name: -len(self.failures[name])))
