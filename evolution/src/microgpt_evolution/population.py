"""A generation: its organisms, what was measured of them, who wins, and how much they differ."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from microgpt_evolution.genome import Genome
from microgpt_evolution.objectives.scores import Scores

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


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was measured of an organism.

    Attributes:
        status: what became of it.
        fitness: what the search compares; lower is better.
        last_loss: the loss of the last training document, in nats per token.
        val_loss: the held-out loss, in nats per token.
        samples: names that it has made up, where those are judged.
        vote: what they come to.
    """

    status: Status
    fitness: float = math.inf
    last_loss: float | None = None
    val_loss: float | None = None
    samples: tuple[str, ...] = ()
    vote: Scores | None = None


@dataclass(frozen=True, slots=True)
class Organism:
    """A genome in its place.

    Attributes:
        genome: its shape and how it is trained.
        origin: how it was made.
        seed: of its training. An elite keeps it, together with what it gave.
        generation: counted from 1.
        slot: its place in the generation before that is ranked, counted from 1.
        parents: the ids of those that it was made of; an elite's is the organism that it was.
        evaluation: None until it has been evaluated.
    """

    genome: Genome
    origin: Origin
    seed: int
    generation: int
    slot: int
    parents: tuple[str, ...] = ()
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
