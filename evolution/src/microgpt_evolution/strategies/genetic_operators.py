"""Genetic operators of a search by loss: random genomes, mutation, crossover and growth.

The constants come from evolve-rust, except that growth is limited by `LIMITS`.
"""

from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import Any, TypeVar

from microgpt_evolution.genome import GENES, LIMITS, Genome, values_of

_Number = TypeVar("_Number", int, float)

HEAD_COUNTS = (8, 4, 2, 1)
STEP_CHANGES = (-500, -250, -100, 100, 250, 500)
MUTATED_STEPS = (100, 2000)
TUNED_STEPS, TUNED_LR = (100, 3000), (1e-4, 0.05)
GROWN_CONTEXTS = (12, 16, 24, 32)

Values = Mapping[str, tuple[float, ...]]  # allowed values per gene; for lr, the range of log10(lr)

NORMAL: Values = {
    "n_embd": (8, 12, 16, 20, 24, 32),
    "block_size": (8, 12, 16, 24),
    "n_layer": (1, 2, 3),
    "n_head": (1, 2, 4),
    "n_ff_exp": (1, 2, 3, 4),
    "steps": (200, 300, 500, 750, 1000, 1500),
    "lr": (-3.0, -1.3),
}
WIDE: Values = {  # used in a cataclysm, the restart after long stagnation
    "n_embd": (8, 16, 24, 32, 48, 64),
    "block_size": (8, 12, 16, 24, 32),
    "n_layer": (1, 2, 3, 4, 5, 6),
    "n_head": (1, 2, 4, 8),
    "n_ff_exp": (1, 2, 3, 4, 5, 6),
    "steps": (300, 500, 1000, 1500, 2000, 3000),
    "lr": (-4.0, -1.0),
}
MUTATED: Values = {**NORMAL, "n_layer": (1, 2, 3, 4)}  # values drawn by `mutate`, except for steps


def random_genome(rng: Random, space: Values = NORMAL) -> Genome:
    """Draw each gene independently from `space`; change n_head if it does not divide n_embd."""
    return _with_fitting_heads({gene: _draw(gene, space, rng) for gene in GENES})


def mutate(genome: Genome, rng: Random) -> Genome:
    """Return a copy with one to three mutations; a gene can be mutated more than once."""
    genes = values_of(genome, GENES)
    for _ in range(rng.randint(1, 3)):
        gene = rng.choice(GENES)
        if gene == "steps":
            genes[gene] = _clamp(genes[gene] + rng.choice(STEP_CHANGES), MUTATED_STEPS)
        else:
            genes[gene] = _draw(gene, MUTATED, rng)
    return _with_fitting_heads(genes)


def crossover(a: Genome, b: Genome, rng: Random) -> Genome:
    """Draw each of GENES from a or b, and change n_head if it does not divide n_embd."""
    return _with_fitting_heads({gene: getattr(rng.choice((a, b)), gene) for gene in GENES})


def fine_tune(genome: Genome, rng: Random) -> Genome:
    """Return a copy with another learning rate or step count, or with smaller changes to both."""
    lr, steps = genome.lr, genome.steps
    match rng.randrange(3):
        case 0:
            return replace(genome, lr=_clamp(lr * rng.uniform(0.7, 1.3), TUNED_LR))
        case 1:
            return replace(genome, steps=_clamp(steps + rng.randint(-200, 200), TUNED_STEPS))
        case _:
            lr = _clamp(lr * rng.uniform(0.8, 1.2), TUNED_LR)
            return replace(genome, lr=lr, steps=_clamp(steps + rng.randint(-100, 100), TUNED_STEPS))


def grow(genome: Genome, rng: Random) -> Genome:
    """Return a copy with more layers, more heads, a longer context or a wider MLP.

    A gene at its upper limit is left unchanged. If n_head cannot be doubled, a layer is added.
    """
    gene = rng.choice(("n_layer", "n_head", "block_size", "n_ff_exp"))
    n_head = 2 * genome.n_head
    if gene == "n_head" and genome.n_embd % n_head == 0 and n_head <= LIMITS["n_head"][1]:
        return replace(genome, n_head=n_head)
    if gene == "block_size":
        longer = [length for length in GROWN_CONTEXTS if length > genome.block_size]
        return replace(genome, block_size=min(longer, default=genome.block_size))
    gene = "n_layer" if gene == "n_head" else gene
    return replace(genome, **{gene: _clamp(getattr(genome, gene) + 1, LIMITS[gene])})


def _with_fitting_heads(genes: dict[str, Any]) -> Genome:
    """Build a genome; if n_head does not divide n_embd, use the largest head count that does."""
    if genes["n_embd"] % genes["n_head"]:
        genes["n_head"] = next(n_head for n_head in HEAD_COUNTS if genes["n_embd"] % n_head == 0)
    return Genome(**genes)


def _draw(gene: str, space: Values, rng: Random) -> float:
    return 10 ** rng.uniform(*space["lr"]) if gene == "lr" else rng.choice(space[gene])


def _clamp(value: _Number, limits: tuple[_Number, _Number]) -> _Number:
    return min(max(value, limits[0]), limits[1])
