"""Operators of the loss search that make genomes: random, mutation, crossover, fine-tuning, growth.

They are pure functions of genomes and an rng. Every constant is evolve-rust's. Growth, which is
unlimited there, ends at the range of a gene (`WHOLE_LIMITS`).
"""

import random
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

from microgpt_evolution.genome import GENES, WHOLE_LIMITS, Genome

_Number = TypeVar("_Number", int, float)

HEAD_COUNTS = (8, 4, 2, 1)  # what the head constraint tries, in turn
STEP_CHANGES = (-500, -250, -100, 100, 250, 500)
MUTATED_STEPS = (100, 2000)
TUNED_STEPS, TUNED_LR = (100, 3000), (1e-4, 0.05)
GROWN_CONTEXTS = (12, 16, 24, 32)


@dataclass(frozen=True)
class Space:
    """What a random genome is drawn from, each gene by itself."""

    n_emb: tuple[int, ...]
    n_ctx: tuple[int, ...]
    n_layer: tuple[int, ...]
    n_head: tuple[int, ...]
    n_ff_exp: tuple[int, ...]
    steps: tuple[int, ...]
    log10_lr: tuple[float, float]  # the learning rate is 10 to the power of a number in between

    def draw(self, gene: str, rng: random.Random) -> Any:
        """Return a value for the gene of this name."""
        if gene == "lr":
            return 10 ** rng.uniform(*self.log10_lr)
        return rng.choice(getattr(self, gene))


NORMAL = Space(
    n_emb=(8, 12, 16, 20, 24, 32),
    n_ctx=(8, 12, 16, 24),
    n_layer=(1, 2, 3),
    n_head=(1, 2, 4),
    n_ff_exp=(1, 2, 3, 4),
    steps=(200, 300, 500, 750, 1000, 1500),
    log10_lr=(-3.0, -1.3),
)
WIDE = Space(  # for a cataclysm
    n_emb=(8, 16, 24, 32, 48, 64),
    n_ctx=(8, 12, 16, 24, 32),
    n_layer=(1, 2, 3, 4, 5, 6),
    n_head=(1, 2, 4, 8),
    n_ff_exp=(1, 2, 3, 4, 5, 6),
    steps=(300, 500, 1000, 1500, 2000, 3000),
    log10_lr=(-4.0, -1.0),
)
MUTATED = replace(NORMAL, n_layer=(1, 2, 3, 4))  # but for the steps, which move


def random_genome(rng: random.Random, space: Space = NORMAL) -> Genome:
    """Return a genome of which each gene is drawn from a space."""
    return _with_fitting_heads({gene: space.draw(gene, rng) for gene in GENES})


def mutate(genome: Genome, rng: random.Random) -> Genome:
    """Return the genome after one to three changes, of which several may be of one gene."""
    genes = asdict(genome)
    for _ in range(rng.randint(1, 3)):
        gene = rng.choice(GENES)
        if gene == "steps":
            genes[gene] = _clamp(genes[gene] + rng.choice(STEP_CHANGES), MUTATED_STEPS)
        else:
            genes[gene] = MUTATED.draw(gene, rng)
    return _with_fitting_heads(genes)


def crossover(a: Genome, b: Genome, rng: random.Random) -> Genome:
    """Return a genome that has each gene from either parent with even odds."""
    return _with_fitting_heads({gene: getattr(rng.choice((a, b)), gene) for gene in GENES})


def fine_tune(genome: Genome, rng: random.Random) -> Genome:
    """Return the genome with another learning rate, other steps, or a little of both."""
    match rng.randrange(3):
        case 0:
            return _tuned(genome, lr_factor=rng.uniform(0.7, 1.3))
        case 1:
            return _tuned(genome, more_steps=rng.randint(-200, 200))
        case _:
            factor = rng.uniform(0.8, 1.2)
            return _tuned(genome, lr_factor=factor, more_steps=rng.randint(-100, 100))


def grow(genome: Genome, rng: random.Random) -> Genome:
    """Return the genome with more layers, heads, context or hidden units, one of them.

    What has reached the end of its range stays; where heads cannot be doubled, a layer is added.
    """
    match rng.randrange(4):
        case 0:
            return _increased(genome, "n_layer")
        case 1:
            n_head = 2 * genome.n_head
            if genome.n_emb % n_head or n_head > WHOLE_LIMITS["n_head"][1]:
                return _increased(genome, "n_layer")
            return replace(genome, n_head=n_head)
        case 2:
            longer = [n_ctx for n_ctx in GROWN_CONTEXTS if n_ctx > genome.n_ctx]
            return replace(genome, n_ctx=min(longer, default=genome.n_ctx))
        case _:
            return _increased(genome, "n_ff_exp")


def _with_fitting_heads(genes: dict[str, Any]) -> Genome:
    """Return the genome; where its heads do not share n_emb evenly, with the most that do."""
    if genes["n_emb"] % genes["n_head"]:
        genes["n_head"] = next(n_head for n_head in HEAD_COUNTS if genes["n_emb"] % n_head == 0)
    return Genome(**genes)


def _tuned(
    genome: Genome, *, lr_factor: float | None = None, more_steps: int | None = None
) -> Genome:
    if lr_factor is not None:
        genome = replace(genome, lr=_clamp(genome.lr * lr_factor, TUNED_LR))
    if more_steps is not None:
        genome = replace(genome, steps=_clamp(genome.steps + more_steps, TUNED_STEPS))
    return genome


def _increased(genome: Genome, gene: str) -> Genome:
    genes = asdict(genome)
    genes[gene] = _clamp(genes[gene] + 1, WHOLE_LIMITS[gene])
    return Genome(**genes)


def _clamp(value: _Number, limits: tuple[_Number, _Number]) -> _Number:
    return min(max(value, limits[0]), limits[1])
