"""Organisms, their evaluations, and the populations that they form: ranking and diversity."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Literal

from microgpt_evolution.genome import Genome
from microgpt_evolution.objectives.scores import Scores
from microgpt_evolution.seeds import training_seed

# What became of an evaluation. `refused`: too large, known before it began; `diverged`: the loss
# was no longer a finite number; `crashed`: all else.
Status = Literal["ok", "diverged", "crashed", "refused"]
Origin = Literal[
    "random", "genome",  # of the first generation; "genome" is one from a file
    "elite", "immigrant", "cross", "mutant", "hyper",  # of the normal generations
    "re-eval", "grown", "champion", "tuned", "cataclysm",  # of a search that is stuck
    "migrant",  # from another head of the Hydra
]  # fmt: skip

TOURNAMENT_SIZE = 3
POPULATION = "champion"  # the name of the only population of a search: its champion is shown


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was measured of an organism. Losses are in nats per token."""

    status: Status
    fitness: float = math.inf  # what the search minimises
    last_loss: float | None = None  # of the last training document
    val_loss: float | None = None  # held out
    samples: tuple[str, ...] = ()  # generated names, where they are judged
    vote: Scores | None = None  # the scores of those names
    train_loss: float | None = None  # the mean of the last 100 steps, in a sweep
    reason: str = field(default="", compare=False)  # what went wrong, in a line
    seconds: float = field(default=0.0, compare=False)
    cpu_seconds: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class Organism:
    """A genome with its place in a population."""

    genome: Genome
    origin: Origin
    seed: int  # of its training; an elite keeps it, together with its evaluation
    generation: int  # counted from 1
    slot: int  # its place in the generation before that is ranked, counted from 1
    parents: tuple[str, ...] = ()  # ids; an elite's parent is the organism that it was
    evaluation: Evaluation | None = None

    @property
    def id(self) -> str:
        """Its name in a run, such as "g3-5"."""
        return f"g{self.generation}-{self.slot}"

    @property
    def fitness(self) -> float:
        """What the search compares: infinite unless the evaluation gave a finite number."""
        evaluation = self.evaluation
        if evaluation is None or evaluation.status != "ok" or not math.isfinite(evaluation.fitness):
            return math.inf
        return evaluation.fitness

    @property
    def worth(self) -> float:
        """The fitness as people read it: a score is the better the higher."""
        return -self.fitness if self.evaluation and self.evaluation.vote else self.fitness

    @property
    def has_finished(self) -> bool:
        """Whether it was evaluated, and can win."""
        return self.fitness < math.inf


@dataclass(frozen=True)
class Offspring:
    """An organism before it has a place. One that is not trained has a seed and an evaluation."""

    genome: Genome
    origin: Origin
    parents: tuple[Organism, ...] = ()
    seed: int | None = None
    evaluation: Evaluation | None = None

    @classmethod
    def same(cls, organism: Organism, origin: Origin) -> "Offspring":
        """Return an organism as it is, with its evaluation."""
        return cls(organism.genome, origin, (organism,), organism.seed, organism.evaluation)


class Population:
    """A population that is evolved one generation at a time: ask, tell, breed.

    It also is the simplest search, of one population. Subclasses add `breed`.

    Attributes:
        organisms: the generation at hand, in the order of the slots; ranked once it was told of.
        generations: those that it was told of, each ranked.
    """

    n_elites = 1  # organisms of a bred generation that need no evaluation

    def __init__(self, organisms: Sequence[Organism]) -> None:
        self.organisms = list(organisms)
        self.generations: list[list[Organism]] = []

    @property
    def generation(self) -> int:
        """The number of the generation at hand, counted from 1."""
        return self.organisms[0].generation

    @property
    def populations(self) -> Mapping[str, "Population"]:
        """The populations of the search, by name."""
        return {POPULATION: self}

    def ask(self) -> list[Organism]:
        """Return the organisms of the generation at hand that have no evaluation."""
        return [organism for organism in self.organisms if organism.evaluation is None]

    def tell(self, evaluations: Sequence[Evaluation]) -> list[Organism]:
        """Take the evaluations of the organisms of `ask`, in their order; return all, ranked."""
        told = {o.slot: e for o, e in zip(self.ask(), evaluations, strict=True)}
        self.organisms = rank(
            [
                replace(organism, evaluation=self.seen(organism.evaluation or told[organism.slot]))
                for organism in self.organisms
            ]
        )
        self.generations.append(self.organisms)
        return self.organisms

    def seen(self, evaluation: Evaluation) -> Evaluation:
        """Return an evaluation with the fitness that it has in this population."""
        return evaluation


def place(
    children: Sequence[Offspring], generation: int, run_seed: int, *, first_slot: int = 1
) -> list[Organism]:
    """Return the children as the organisms of a generation, in their order.

    The training seeds are derived from the run_seed, the generation and the slot; first_slot
    differs between the populations of a run.
    """
    return [
        Organism(
            genome=child.genome,
            origin=child.origin,
            seed=training_seed(run_seed, generation, slot) if child.seed is None else child.seed,
            generation=generation,
            slot=slot,
            parents=tuple(parent.id for parent in child.parents),
            evaluation=child.evaluation,
        )
        for slot, child in enumerate(children, start=first_slot)
    ]


def rank(organisms: Sequence[Organism]) -> list[Organism]:
    """Return the organisms, the best first; those that have not finished last, in their order."""
    return sorted(organisms, key=lambda organism: organism.fitness)


def tournament(organisms: Sequence[Organism], rng: Random) -> Organism:
    """Return the best of three that are drawn with replacement."""
    drawn = [rng.choice(organisms) for _ in range(TOURNAMENT_SIZE)]
    return min(drawn, key=lambda organism: organism.fitness)


def count_species(organisms: Sequence[Organism]) -> Counter[str]:
    """Return how many organisms each species has."""
    return Counter(organism.genome.species for organism in organisms)


def diversity(organisms: Sequence[Organism]) -> float:
    """Return the number of species for each organism: 1 if no two are of the same."""
    return len(count_species(organisms)) / len(organisms)


def monoculture(organisms: Sequence[Organism]) -> float:
    """Return the share of the largest species: 1 if all organisms are of the same."""
    return max(count_species(organisms).values()) / len(organisms)
