"""Organisms, evaluations and populations, with ranking and diversity."""

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import TYPE_CHECKING, Literal

from microgpt_evolution.genome import Genome
from microgpt_evolution.objectives.scores import NameScores
from microgpt_evolution.seeds import training_seed

if TYPE_CHECKING:
    from microgpt.state import TrainingPlan, TrainState

    Checkpoint = tuple[TrainingPlan, TrainState]  # from which training continues

# "refused": too large to train; "diverged": non-finite loss; "crashed": any other failure.
Status = Literal["ok", "diverged", "crashed", "refused"]
Provenance = Literal[  # how an organism was created
    "random", "genome",  # first generation; "genome" comes from a warm start
    "elite", "immigrant", "cross", "mutant", "hyper",  # regular generations
    "re-eval", "grown", "champion", "tuned", "cataclysm",  # during stagnation
    "migrant",  # from another head of the Hydra
]  # fmt: skip

TOURNAMENT_SIZE = 3
N_FINALISTS = 3
POPULATION = "champion"  # name of the population in searches with one population


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The measurements of an organism. Losses are in nats per token."""

    status: Status
    fitness: float = math.inf  # the value that the search minimises
    last_loss: float | None = None  # loss on the last training document
    val_loss: float | None = None
    samples: tuple[str, ...] = ()  # generated names, if they are scored
    scores: NameScores | None = None  # scores of the generated names
    train_loss: float | None = None  # mean loss of the last 100 steps, set only in sweeps
    losses: tuple[float, ...] = ()  # one per evaluation, set only in searches with a budget
    reason: str = field(default="", compare=False)  # error message on one line
    seconds: float = field(default=0.0, compare=False)
    cpu_seconds: float = field(default=0.0, compare=False)
    checkpoint: "Checkpoint | None" = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Organism:
    """A genome with its position in a population and its evaluation."""

    genome: Genome
    origin: Provenance
    seed: int  # training seed; an elite keeps its seed and its evaluation
    generation: int  # generation number, counted from 1
    slot: int  # position in the generation before ranking, counted from 1
    parents: tuple[str, ...] = ()  # ids of the parents; the parent of an elite is its previous copy
    evaluation: Evaluation | None = None

    @property
    def id(self) -> str:
        """The id of the organism, such as "g3-5"; unique within a run."""
        return f"g{self.generation}-{self.slot}"

    @property
    def fitness(self) -> float:
        """The value that the search minimises, or infinity if there is no finite fitness."""
        e = self.evaluation
        return e.fitness if e and e.status == "ok" and math.isfinite(e.fitness) else math.inf

    @property
    def worth(self) -> float:
        """The loss (lower is better), or the score (higher is better)."""
        return -self.fitness if self.evaluation and self.evaluation.scores else self.fitness

    @property
    def has_finished(self) -> bool:
        """Whether the organism has a finite fitness; only finished organisms can win."""
        return self.fitness < math.inf


@dataclass(frozen=True)
class Offspring:
    """An organism without a slot; `seed` and `evaluation` are set only in copies."""

    genome: Genome
    origin: Provenance
    parents: tuple[Organism, ...] = ()
    seed: int | None = None
    evaluation: Evaluation | None = None

    @classmethod
    def same(cls, organism: Organism, origin: Provenance) -> "Offspring":
        """Return a copy of an organism with the same seed and evaluation."""
        return cls(organism.genome, origin, (organism,), organism.seed, organism.evaluation)


class Population(ABC):
    """A search with one population; the caller evaluates what `ask` returns, and tells it."""

    n_elites = 1  # number of organisms copied to the next generation with their evaluation
    n_finalists = N_FINALISTS  # maximum number of organisms in the retest

    def __init__(self, organisms: Sequence[Organism]) -> None:
        self.organisms = list(organisms)  # current generation in slot order; ranked after `tell`
        self.generations: list[list[Organism]] = []  # evaluated generations, each ranked

    @property
    def generation(self) -> int:
        """The current generation number, counted from 1."""
        return self.organisms[0].generation

    @property
    def stagnation(self) -> int | None:
        """The number of generations without progress, or None if this number is not tracked."""
        return None

    @property
    def populations(self) -> Mapping[str, "Population"]:
        """The populations of the search, by name."""
        return {POPULATION: self}

    def ask(self) -> list[Organism]:
        """Return the organisms to evaluate; breed the next generation if this one was told."""
        if self.generations and self.organisms is self.generations[-1]:
            self.breed()
        return [organism for organism in self.organisms if organism.evaluation is None]

    def tell(self, evaluations: Sequence[Evaluation]) -> list[Organism]:
        """Assign the evaluations, in the order of `ask`, and return the ranked population."""
        told = {o.slot: e for o, e in zip(self.ask(), evaluations, strict=True)}
        evaluated = [
            replace(o, evaluation=self.seen(o.evaluation or told[o.slot])) for o in self.organisms
        ]
        self.organisms = rank(evaluated)
        self.generations.append(self.organisms)
        return self.organisms

    @abstractmethod
    def breed(self) -> None:
        """Replace the current generation with the next generation."""

    def finalists(self) -> list[Organism]:
        """Return the best organisms of all generations, with distinct genomes."""
        best: dict[Genome, Organism] = {}
        for organism in rank([o for ranked in self.generations for o in ranked if o.has_finished]):
            best.setdefault(organism.genome, organism)
        return list(best.values())[:N_FINALISTS]

    def seen(self, evaluation: Evaluation) -> Evaluation:
        """Return the evaluation with `fitness` set to the value that this population minimises."""
        return evaluation


def place(
    children: Sequence[Offspring], generation: int, run_seed: int, *, first_slot: int = 1
) -> list[Organism]:
    """Return the children as organisms of a generation, with slots numbered from first_slot."""
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
    """Return the organisms sorted from best to worst; unfinished organisms come last."""
    return sorted(organisms, key=lambda organism: organism.fitness)


def tournament(organisms: Sequence[Organism], rng: Random) -> Organism:
    """Return the best of three organisms drawn with replacement."""
    drawn = [rng.choice(organisms) for _ in range(TOURNAMENT_SIZE)]
    return min(drawn, key=lambda organism: organism.fitness)


def count_species(organisms: Sequence[Organism]) -> Counter[str]:
    """Return the number of organisms per species."""
    return Counter(organism.genome.species for organism in organisms)


def diversity(organisms: Sequence[Organism]) -> float:
    """Return the number of species divided by the number of organisms."""
    return len(count_species(organisms)) / len(organisms)


def monoculture(organisms: Sequence[Organism]) -> float:
    """Return the fraction of organisms that belong to the largest species."""
    return max(count_species(organisms).values()) / len(organisms)
