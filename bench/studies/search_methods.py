"""The searches that search_fight.py compares, without the rivals that run on their own.

Each is called with a Ledger, which trains genomes, a random generator and the genome that the rule
chooses for the text. It searches until the Ledger's budget is spent.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random

from studies.rivals.search_job import POINTS, Ledger, Run
from studies.search_table import GENES, GRID, SEEDS, objective_of, ruled_genome

from microgpt_evolution.budgeted.genome import BudgetedGenome
from microgpt_evolution.budgeted.search import SurrogateSearch
from microgpt_evolution.space import Space

RUNGS = (2, 4, POINTS)  # points at which the better half of a generation is kept
SIZE = 8  # organisms of a generation
# Of regularised evolution: among the best of six pairs on a made-up table.
POPULATION, TOURNAMENT = 8, 5


@dataclass(frozen=True)
class Start:
    """The genome that the rule chooses for a text, and the index of the nearest in the table."""

    genome: BudgetedGenome
    index: int


def start_of(text: str) -> Start:
    """Return the rule's genome for a text, with the nearest value of the grid for each gene.

    Values are compared by their logarithms, or directly if one is 0.
    """
    ruled, genes = ruled_genome(objective_of(text)), {}
    for gene, values in GRID.items():
        scale = float if 0 in values else math.log
        wanted = scale(getattr(ruled, gene))
        genes[gene] = min(values, key=lambda value: abs(scale(value) - wanted))
    nearest = replace(ruled, **genes)
    return Start(nearest, index_of(nearest))


Method = Callable[[Ledger, Random, Start], None]


def random_search(ledger: Ledger, rng: Random, start: Start) -> None:
    """Train random genomes."""
    while True:
        ledger.train(ledger.new(rng.randrange(len(GENES))))


def halving(ledger: Ledger, rng: Random, start: Start) -> None:
    """Train generations of random genomes by successive halving."""
    while True:
        halve(ledger, [rng.randrange(len(GENES)) for _ in range(SIZE)])


def ruled_halving(ledger: Ledger, rng: Random, start: Start) -> None:
    """Train generations of random genomes by successive halving; one is the rule's."""
    halve(ledger, [start.index, *(rng.randrange(len(GENES)) for _ in range(SIZE - 1))])
    halving(ledger, rng, start)


def halve(ledger: Ledger, genomes: Sequence[int]) -> None:
    """Train genomes up to each rung, and continue with the better half."""
    runs = [ledger.new(genome) for genome in genomes]
    for until in RUNGS:
        losses = {run: ledger.loss(run, until) for run in runs}
        runs = sorted(losses, key=losses.__getitem__)[: len(runs) // 2]


def local_search(ledger: Ledger, rng: Random, start: Start) -> None:
    """Move to the first better neighbour; if there is none, restart at a random genome."""
    known: dict[int, float] = {}

    def loss(genome: int) -> float:
        if genome not in known:
            known[genome] = ledger.loss(ledger.new(genome))
        return known[genome]

    while True:
        here = rng.randrange(len(GENES))
        untried = shuffled(neighbours(here), rng)
        while untried:
            there = untried.pop()
            if loss(there) < loss(here):
                here, untried = there, shuffled(neighbours(there), rng)


def regularised_evolution(ledger: Ledger, rng: Random, start: Start) -> None:
    """Replace the oldest organism by a mutant of the best of a few (Real et al. 2019, alg. 1)."""
    population: list[tuple[float, int]] = []  # losses and genomes, the oldest first
    while True:
        if len(population) < POPULATION:
            genome = rng.randrange(len(GENES))
        else:
            _, parent = min(rng.sample(population, TOURNAMENT))
            genome = rng.choice(neighbours(parent))
            population.pop(0)
        population.append((ledger.loss(ledger.new(genome)), genome))


def rule(ledger: Ledger, rng: Random, start: Start) -> None:
    """Train only the rule's genome, with one seed after the other."""
    ledger.train(Run(start.index, ledger.seed % len(SEEDS)))


def ours(ledger: Ledger, rng: Random, start: Start) -> None:
    """Search with a surrogate, beginning with the rule's genome."""
    search = SurrogateSearch(
        Space(values=GRID), [start.genome], ledger.budget / POINTS, lambda genome, n: n / POINTS,
        seed=ledger.seed,
    )  # fmt: skip
    while organisms := search.ask():
        losses = []
        for organism in organisms:
            run = Run(index_of(organism.genome), organism.seed % len(SEEDS))
            losses.append(ledger.train(run, organism.next_rung)[len(organism.losses) :])
        search.tell(losses)


def index_of(genome: BudgetedGenome) -> int:
    """Return the index of a genome in the table."""
    return GENES.index(tuple(getattr(genome, gene) for gene in GRID))


def neighbours(genome: int) -> list[int]:
    """Return the genomes that differ by one step of one gene."""
    genes = GENES[genome]
    found = []
    for i, values in enumerate(GRID.values()):
        place = values.index(genes[i])
        for other in values[max(place - 1, 0) : place + 2]:
            if other != genes[i]:
                found.append(GENES.index((*genes[:i], other, *genes[i + 1 :])))
    return found


def shuffled(genomes: Sequence[int], rng: Random) -> list[int]:
    """Return the genomes in random order."""
    return rng.sample(genomes, len(genomes))
