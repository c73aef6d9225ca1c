"""Hydra search: one population ("head") per score; the heads exchange genomes periodically.

Each head breeds like an aesthetic search: from two elites and their mutants, without crossover.
All constants come from evolve-rust.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from random import Random
from typing import Any

from microgpt_evolution.genome import Genome
from microgpt_evolution.objectives.aesthetic_judge import HEADS, HeadName
from microgpt_evolution.strategies.genetic_operators import crossover
from microgpt_evolution.strategies.organism import Finalist, Organism, child, kept
from microgpt_evolution.strategies.population import Population
from microgpt_evolution.trial import Evaluation

N_ELITES = 2
FIXED = Genome(block_size=16, n_ff_exp=4, steps=300)  # genes that do not evolve
WIDTHS, HEAD_COUNTS, DEPTHS = (16, 24, 32), (2, 4), (1, 2, 3)
LR = (0.001, 0.015)
MUTATED_WIDTHS = (16, 24, 32, 40)
MAX_DEPTH = 4
LR_FACTOR, MUTATED_LR = (0.7, 1.3), (1e-4, 0.1)
HEAD_GENERATIONS = 3  # generations per cycle; within a cycle, the heads evolve separately
N_GUESTS = 2  # number of champions that a head receives from other heads


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
    """Return a copy of the genome with one mutated gene, whose new value can equal the old one."""
    match rng.randrange(4):
        case 0:
            return _with_divisible_width(genome, rng.choice(MUTATED_WIDTHS), genome.n_head)
        case 1:
            return _with_divisible_width(genome, genome.n_embd, rng.choice(HEAD_COUNTS))
        case 2:
            n_layer = genome.n_layer + rng.choice((-1, 1))
            return replace(genome, n_layer=min(max(n_layer, 1), MAX_DEPTH))
        case _:
            lr = genome.lr * rng.uniform(*LR_FACTOR)
            return replace(genome, lr=min(max(lr, MUTATED_LR[0]), MUTATED_LR[1]))


def _with_divisible_width(genome: Genome, n_embd: int, n_head: int) -> Genome:
    """Return a copy with the given width and head count, or with an even width and two heads.

    If n_head does not divide n_embd, n_head becomes 2, and an odd n_embd is rounded down.
    """
    if n_embd % n_head:
        n_head = 2
        n_embd = max(n_embd // n_head, 1) * n_head
    return replace(genome, n_embd=n_embd, n_head=n_head)


class AestheticPopulation(Population):
    """A population that maximizes one of the scores of generated names."""

    random_genome = staticmethod(random_genome)

    def _children(self) -> list[Organism]:
        """Return the finished elites and their mutants or, without elites, random organisms."""
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


class Hydra:
    """A search with one population per head; all heads share one random generator.

    After each cycle, the worst organisms of each head are replaced by champions of other heads, and
    by crossovers of these champions with the head's own champion.
    """

    n_finalists, n_per_cycle = N_ELITES * len(HEADS), HEAD_GENERATIONS

    def __init__(
        self, *, size: int, seed: int, head: HeadName | None = None, **options: Any
    ) -> None:
        """Create the first generation of each head. If `head` is given, its champion wins."""
        self._rng, self._head = Random(seed), head
        self.populations: Mapping[str, AestheticPopulation] = {
            name: AestheticPopulation(
                size, measure=name, seed=seed, rng=self._rng, first_slot=1 + i * size, **options
            )
            for i, name in enumerate(HEADS)
        }
        self.met: dict[str, list[Organism]] = {}  # champions of each head at the last exchange
        self.has_exchanged = False  # whether the last generation ended a cycle
        self._first: dict[int, Organism] = {}  # first copy of each organism, by training seed

    @property
    def generation(self) -> int:
        """The current generation number, counted from 1."""
        return next(iter(self.populations.values())).generation

    def ask(self) -> list[Organism]:
        """Return the organisms to evaluate, head by head; breed the next generation if needed."""
        return [o for population in self.populations.values() for o in population.ask()]

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        """Assign the evaluations in the order of `ask`; exchange genomes at the end of a cycle."""
        news = iter(evaluations)
        for population in self.populations.values():
            for organism in population.tell([next(news) for _ in population.ask()]):
                self._first.setdefault(organism.seed, organism)
        self.has_exchanged = self.generation % HEAD_GENERATIONS == 0
        if self.has_exchanged:
            self._exchange()

    def finalists(self) -> list[Organism]:
        """Return the champions of the last exchange, each as it was first evaluated."""
        seeds = dict.fromkeys(o.seed for organisms in self.met.values() for o in organisms)
        return [self._first[seed] for seed in seeds]

    def choose(self, finalists: Sequence[Finalist]) -> Finalist | None:
        """Return the best champion of the chosen head or, by default, the best-ranked finalist.

        By default, a finalist's ranks in all heads are added, as heads' scores are not comparable.
        """
        head = self._head
        if head:
            seeds = {organism.seed for organism in self.met.get(head, ())}
            champions = [each for each in finalists if each.organism.seed in seeds]
            return min(champions, key=lambda each: each.fitness(head), default=None)

        def ranks(one: Finalist) -> int:
            pairs = product(self.populations, finalists)
            return sum(other.fitness(name) < one.fitness(name) for name, other in pairs)

        return min(finalists, key=ranks, default=None)

    def _exchange(self) -> None:
        """Exchange genomes between the heads and start the next generation of each head."""
        self.met = {
            name: [o for o in population.organisms[:N_ELITES] if o.has_finished]
            for name, population in self.populations.items()
        }
        names = [*self.met]
        for i, (name, population) in enumerate(self.populations.items()):
            others = [self.met[other] for other in names[i + 1 :] + names[:i]]
            guests = [champions[0] for champions in others if champions][:N_GUESTS]
            children = [kept(guest, "migrant") for guest in guests]
            for own, guest in product(self.met[name][:1], guests):
                genome = crossover(own.genome, guest.genome, self._rng)
                children.append(child(genome, "cross", own, guest))
            population.receive(children[: max(population.size - N_ELITES, 0)])
