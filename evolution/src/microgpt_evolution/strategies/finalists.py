"""Training runs after the last generation: of the finalists, and of the winner."""

from collections.abc import Sequence

from microgpt_evolution.strategies.population import Organism
from microgpt_evolution.trial import FRESH, RETEST, Trial, training_seed

N_REPEATS = 2  # number of training runs per finalist, in addition to the run in the search
N_FRESH = 3  # training runs of the winner that do not influence the search


def retests(finalists: Sequence[Organism], seed: int) -> list[Trial]:
    """Return trials of the finalists with other seeds, which choose the winner."""
    return [
        Trial(each.genome, _seed(seed, each, i), f"{each.id}-again{i}", RETEST, (each.id,))
        for each in finalists
        for i in range(1, N_REPEATS + 1)
    ]


def fresh_trials(winner: Organism, seed: int) -> list[Trial]:
    """Return trials of the winner with seeds that did not choose it; the first is the search's."""
    seeds = [seed, *(_seed(seed, winner, N_REPEATS + i) for i in range(1, N_FRESH))]
    return [
        Trial(winner.genome, each, f"{winner.id}-fresh{i}", FRESH, (winner.id,))
        for i, each in enumerate(seeds, start=1)
    ]


def _seed(seed: int, organism: Organism, repeat: int) -> int:
    return training_seed(seed, organism.generation, organism.slot, repeat)
