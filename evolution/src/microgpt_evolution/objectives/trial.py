"""Trials: training runs that a search or a sweep evaluates."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from microgpt_evolution.genome import Genome
from microgpt_evolution.population import Organism

Config = TypeVar("Config")


@dataclass(frozen=True)
class Trial(Generic[Config]):
    """A configuration and a seed to evaluate."""

    config: Config  # a genome or a sweep configuration
    seed: int
    id: str = ""  # of the organism, in a search
    origin: str = ""  # how the organism was made, or why it is trained
    parents: tuple[str, ...] = ()  # ids

    @classmethod
    def of(cls, organism: Organism) -> "Trial[Genome]":
        """Return the trial of an organism."""
        return Trial(organism.genome, organism.seed, organism.id, organism.origin, organism.parents)
