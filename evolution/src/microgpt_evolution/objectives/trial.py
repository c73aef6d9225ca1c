"""A training that is to be measured, and what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from microgpt_evolution.genome import Genome
from microgpt_evolution.population import Evaluation, Organism
from microgpt_evolution.seeds import training_seed

N_REPEATS = 2  # how often one of the best is measured once more


@dataclass(frozen=True)
class Trial:
    """What is trained, and what it is called.

    Attributes:
        id: its name in the run.
        origin: how the organism was made, or why it is trained.
        parents: the ids of those that it was made of.
        genome: its shape and course.
        seed: of the training.
    """

    id: str
    origin: str
    parents: tuple[str, ...]
    genome: Genome
    seed: int

    @classmethod
    def of(cls, organism: Organism) -> "Trial":
        """Return the trial of an organism."""
        return cls(organism.id, organism.origin, organism.parents, organism.genome, organism.seed)

    @classmethod
    def again(cls, organism: Organism, run_seed: int, repeat: int) -> "Trial":
        """Return the trial of an organism once more, with a fresh seed.

        Args:
            organism: one that has been measured.
            run_seed: of the run.
            repeat: 1, 2 …
        """
        seed = training_seed(run_seed, organism.generation, organism.slot, repeat)
        return cls(f"{organism.id}-again{repeat}", "confirm", (organism.id,), organism.genome, seed)


@dataclass(frozen=True)
class Measured:
    """What came of a trial.

    Attributes:
        evaluation: what was measured.
        seconds: how long it took.
        cpu_seconds: how long a processor was at it.
    """

    evaluation: Evaluation
    seconds: float = 0.0
    cpu_seconds: float = 0.0


def all_again(organisms: Sequence[Organism], run_seed: int) -> list[Trial]:
    """Return the trials of the best once more: one score among many is partly luck."""
    repeats = range(1, N_REPEATS + 1)
    return [Trial.again(organism, run_seed, i) for organism in organisms for i in repeats]


def of_each(again: Sequence[Evaluation]) -> list[list[Evaluation]]:
    """Return what the trials of `all_again` came to, by organism, without those that failed."""
    firsts = range(0, len(again), N_REPEATS)
    return [[e for e in again[i : i + N_REPEATS] if e.status == "ok"] for i in firsts]
