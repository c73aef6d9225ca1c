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
    id: str = ""  # id of the organism in a search; empty in a sweep
    origin: str = ""  # how the organism was created, or why it is trained
    parents: tuple[str, ...] = ()  # ids of the parent organisms

    @classmethod
    def of(cls, organism: Organism) -> "Trial[Genome]":
        """Return the trial of an organism."""
        return Trial(organism.genome, organism.seed, organism.id, organism.origin, organism.parents)
