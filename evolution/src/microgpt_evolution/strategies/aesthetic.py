"""Aesthetic search: a population with two elites and their mutants, without crossover.

The Hydra has one such population per head. All constants come from evolve-rust.
"""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from microgpt_evolution.genome import Genome
from microgpt_evolution.strategies.population import Organism, Population, child, kept

N_ELITES = 2
FIXED = Genome(block_size=16, n_ff_exp=4, steps=300)  # the genes that do not evolve
WIDTHS, HEAD_COUNTS, DEPTHS = (16, 24, 32), (2, 4), (1, 2, 3)
LR = (0.001, 0.015)
MUTATED_WIDTHS = (16, 24, 32, 40)
MAX_DEPTH = 4
LR_FACTOR, MUTATED_LR = (0.7, 1.3), (1e-4, 0.1)


def random_genome(rng: Random) -> Genome:
    """Return a genome with random width, head count, depth and learning rate."""
    return replace(
        FIXED,
        n_embd=rng.choice(WIDTHS),
        n_layer=rng.choice(DEPTHS),
        n_head=rng.choice(HEAD_COUNTS),
        lr=rng.uniform(*LR),
    )


def mutate(genome: Genome, rng: Random) -> Genome:
    """Return a copy of the genome with one mutated gene; the new value may equal the old value."""
    match rng.randrange(4):
        case 0:
            return _with_shared_width(genome, rng.choice(MUTATED_WIDTHS), genome.n_head)
        case 1:
            return _with_shared_width(genome, genome.n_embd, rng.choice(HEAD_COUNTS))
        case 2:
            n_layer = genome.n_layer + rng.choice((-1, 1))
            return replace(genome, n_layer=min(max(n_layer, 1), MAX_DEPTH))
        case _:
            lr = genome.lr * rng.uniform(*LR_FACTOR)
            return replace(genome, lr=min(max(lr, MUTATED_LR[0]), MUTATED_LR[1]))


def _with_shared_width(genome: Genome, n_embd: int, n_head: int) -> Genome:
    """Return a copy with this width and head count; use two heads if n_head does not divide n_embd.

    For two heads, an odd width is rounded to an even number.
    """
    if n_embd % n_head:
        n_head = 2
        n_embd = max(n_embd // n_head, 1) * n_head
    return replace(genome, n_embd=n_embd, n_head=n_head)


class AestheticPopulation(Population):
    """A population that maximises one of the scores of names."""

    random_genome = staticmethod(random_genome)

    def _children(self) -> list[Organism]:
        """Keep the finished elites and add their mutants; without elites, add random organisms."""
        elites = [o for o in self.organisms[:N_ELITES] if o.has_finished]
        children = [kept(elite, "elite") for elite in elites]
        while len(children) < self.size:
            if elites:
                parent = self.rng.choice(elites)
                children.append(child(mutate(parent.genome, self.rng), "mutant", parent))
            else:
                children.append(child(random_genome(self.rng), "random"))
        return children

    def receive(self, children: Sequence[Organism]) -> None:
        """Start a new generation in which the children replace the worst organisms."""
        stay = self.organisms[: self.size - len(children)]
        elites = [kept(organism, "elite") for organism in stay]
        self.organisms = self._placed([*elites, *children], self.generation + 1)
