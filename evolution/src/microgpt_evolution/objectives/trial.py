"""Trials: the trainings that a search or a sweep has evaluated."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from microgpt_evolution.genome import Genome
from microgpt_evolution.population import Evaluation, Organism
from microgpt_evolution.seeds import training_seed

Config = TypeVar("Config")

N_REPEATS = 2  # how often one of the best is measured once more


@dataclass(frozen=True)
class Trial(Generic[Config]):
    """A training that is to be evaluated."""

    config: Config  # a genome, or a point of a sweep
    seed: int
    id: str = ""  # its name in the run of a search
    origin: str = ""  # how the organism was made, or why it is trained
    parents: tuple[str, ...] = ()  # ids

    @classmethod
    def of(cls, organism: Organism) -> "Trial[Genome]":
        """Return the trial of an organism."""
        return Trial(organism.genome, organism.seed, organism.id, organism.origin, organism.parents)


def all_again(organisms: Sequence[Organism], run_seed: int) -> list[Trial[Genome]]:
    """Return the trials of the best once more, with fresh seeds: one score is partly luck."""
    return [
        Trial(
            organism.genome,
            training_seed(run_seed, organism.generation, organism.slot, repeat),
            f"{organism.id}-again{repeat}",
            "confirm",
            (organism.id,),
        )
        for organism in organisms
        for repeat in range(1, N_REPEATS + 1)
    ]


def of_each(again: Sequence[Evaluation]) -> list[list[Evaluation]]:
    """Return what the trials of `all_again` came to, by organism, without those that failed."""
    firsts = range(0, len(again), N_REPEATS)
    return [[e for e in again[i : i + N_REPEATS] if e.status == "ok"] for i in firsts]
