"""Organisms and their evaluations; ranking, tournaments and diversity."""

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Literal

from microgpt_evolution.genome import Genome
from microgpt_evolution.objectives.scores import NameScores

if TYPE_CHECKING:
    from microgpt import TrainingPlan, TrainState

# "refused": too large to train; "diverged": non-finite loss; "crashed": any other failure.
Status = Literal["ok", "diverged", "crashed", "refused"]
Provenance = Literal[  # how an organism was created
    "random", "genome",  # first generation; "genome" comes from a warm start
    "elite", "immigrant", "cross", "mutant", "hyper",  # regular generations
    "re-eval", "grown", "champion", "tuned", "cataclysm",  # during stagnation
    "migrant",  # from another head of the Hydra
]  # fmt: skip

TOURNAMENT_SIZE = 3
Key = tuple[Genome, int, int | None]  # genome, seed, and end of a rung
ShouldStop = Callable[[], bool]  # polled during training; if it returns true, training stops


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
    value: float | None = None  # of an objective of the user, set only with one
    losses: tuple[float, ...] = ()  # one per evaluation, set only in searches with a budget
    reason: str = field(default="", compare=False)  # error message on one line
    seconds: float = field(default=0.0, compare=False)
    cpu_seconds: float = field(default=0.0, compare=False)
    checkpoint: "tuple[TrainingPlan, TrainState] | None" = field(  # from which training continues
        default=None, compare=False, repr=False
    )


@dataclass(frozen=True)
class Trial:
    """A training run that a search or a sweep evaluates.

    In a search with a budget, a trial is a rung: the run is continued up to one of its evaluations.
    """

    genome: Genome
    seed: int
    id: str = ""  # id of the organism in a search; empty in a sweep
    origin: str = ""  # how the organism was created, or why it is trained
    parents: tuple[str, ...] = ()  # ids of the parent organisms
    until: int | None = None  # number of evaluations at which the rung ends
    losses: tuple[float, ...] = ()  # of its evaluations so far, in nats per character
    state: "TrainState | None" = field(default=None, compare=False, repr=False)

    @property
    def key(self) -> "Key":
        """What identifies the record of the trial."""
        return self.genome, self.seed, self.until

    @property
    def n_evaluations(self) -> int:
        """The number of evaluations of the rung."""
        assert self.until is not None
        return self.until - len(self.losses)


@dataclass(frozen=True, slots=True)
class Organism:
    """A genome with its position in a population and its evaluation."""

    genome: Genome
    origin: Provenance
    seed: int = 0  # training seed; an elite keeps its seed and its evaluation
    generation: int = 0  # generation number, counted from 1
    slot: int = 0  # position in the generation before ranking, counted from 1
    parents: tuple[str, ...] = ()  # ids of the parents; the parent of an elite is its previous copy
    evaluation: Evaluation | None = None

    @property
    def id(self) -> str:
        """The id of the organism, such as "g3-5"; unique within a run."""
        return f"g{self.generation}-{self.slot}"

    @property
    def trial(self) -> Trial:
        """The training run of the organism."""
        return Trial(self.genome, self.seed, self.id, self.origin, self.parents)

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


def training_seed(run_seed: int, generation: int, slot: int, repeat: int = 0) -> int:
    """Return the seed of a training run, from 0 to 2**63 - 1.

    The seed is the upper 63 bits of the first 8 bytes, big-endian, of the SHA-256 of the string
    "run_seed/generation/slot/repeat". It does not depend on the machine or the Python version.

    Args:
        generation: generation number, counted from 1.
        slot: position in the generation, counted from 1.
        repeat: 0 in the search; 1, 2 … in a retest.

    Examples:
        >>> training_seed(42, generation=1, slot=1)
        1326003655785742465
    """
    digest = hashlib.sha256(f"{run_seed}/{generation}/{slot}/{repeat}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
