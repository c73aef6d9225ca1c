"""Stagnation: generations without progress lead to a championship, and then to a cataclysm.

The constants come from evolve-rust. `winners` are the organisms with a finite fitness, best first.
"""

import math
from collections.abc import Callable, Sequence
from random import Random

from microgpt_evolution.strategies.genetic_operators import WIDE, crossover, fine_tune, grow
from microgpt_evolution.strategies.organism import Organism, child

CHAMPIONSHIP_AFTER = 2  # generations without progress after which only the best organisms breed
CATACLYSM_AFTER = 4  # generations without progress after which random genomes restart the search
PROGRESS = 1e-8  # minimum decrease of the loss; smaller ones can be rounding errors
N_CHAMPIONS = 3
Newcomer = Callable[..., Organism]  # draws an organism with a random genome


def count(n: int, before: float | None, best: float) -> int:
    """Return the new number of generations without progress; `before` is None at first.

    In evolve-rust, any change counts as progress, even that of an elite that a championship
    evaluates again with a new seed. For this reason, evolve-rust never reaches a cataclysm.
    """
    has_gained = before is None or (best < math.inf and best <= before - PROGRESS)
    return 0 if has_gained else n + 1


def championship(
    winners: Sequence[Organism], size: int, rng: Random, newcomer: Newcomer
) -> list[Organism]:
    """Return the best genome, offspring of the N_CHAMPIONS best genomes, and a newcomer."""
    best, champions = winners[0], winners[:N_CHAMPIONS]
    children = [child(best.genome, "re-eval", best)]
    if size > 1:
        children.append(child(grow(best.genome, rng), "grown", best))
    for i in range(min(len(champions), size - len(children))):
        a, b = champions[i], champions[(i + 1) % len(champions)]
        crossed = crossover(a.genome, b.genome, rng)
        children.append(child(fine_tune(crossed, rng), "champion", a, b))
    while len(children) < size - 1:
        children.append(child(fine_tune(best.genome, rng), "tuned", best))
    if len(children) < size:
        children.append(newcomer())
    return children


def cataclysm(winners: Sequence[Organism], size: int, newcomer: Newcomer) -> list[Organism]:
    """Return the best genome, if any has a finite fitness, and newcomers from wide ranges."""
    children = [child(best.genome, "re-eval", best) for best in winners[:1]]
    return children + [newcomer("cataclysm", WIDE) for _ in range(size - len(children))]
