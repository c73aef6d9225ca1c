"""An organism without its place, and how it gets one."""

from collections.abc import Sequence
from dataclasses import dataclass

from microgpt_evolution.genome import Genome
from microgpt_evolution.population import Evaluation, Organism, Origin
from microgpt_evolution.seeds import training_seed


@dataclass(frozen=True)
class Offspring:
    """An organism to be: what is not to be trained has a seed and an evaluation."""

    genome: Genome
    origin: Origin
    parents: tuple[Organism, ...] = ()
    seed: int | None = None
    evaluation: Evaluation | None = None

    @classmethod
    def same(cls, organism: Organism, origin: Origin) -> "Offspring":
        """Return an organism as it is, with what is known of it."""
        return cls(organism.genome, origin, (organism,), organism.seed, organism.evaluation)


def place(
    children: Sequence[Offspring], generation: int, run_seed: int, *, first_slot: int = 1
) -> list[Organism]:
    """Return the children as the organisms of a generation, in their order.

    Args:
        children: of one population.
        generation: counted from 1.
        run_seed: of the run; the seeds of the trainings come from it.
        first_slot: so that no two populations of a run share a seed.
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
