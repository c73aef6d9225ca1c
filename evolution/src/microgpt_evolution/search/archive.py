"""MAP-Elites archive (Mouret & Clune 2015): the best organism per size and novelty."""

import math
from dataclasses import dataclass, field

from microgpt_evolution.population import Organism

# Cells are indexed by log2 of the number of parameters, in steps of 1/2, and by the fraction of
# novel names, in steps of 1/50. Values outside the grid are assigned to the nearest cell.
LEAST_LOG_PARAMS, N_SIZES = 12, 9
LEAST_NOVELTY, N_NOVELTIES = 40, 10
N_CELLS = N_SIZES * N_NOVELTIES


@dataclass
class Archive:
    """The best organism found for each combination of size and novelty."""

    cells: dict[tuple[int, int], Organism] = field(default_factory=dict)

    def add(self, organism: Organism, *, n_params: int) -> None:
        """Add a finished organism if its cell is empty or contains a worse organism."""
        if organism.evaluation is None or organism.evaluation.scores is None:
            return
        size = math.floor(2 * (math.log2(n_params) - LEAST_LOG_PARAMS))
        newness = math.floor(50 * organism.evaluation.scores.novel) - LEAST_NOVELTY
        cell = _within(size, N_SIZES), _within(newness, N_NOVELTIES)
        old = self.cells.get(cell)
        if organism.has_finished and (old is None or organism.fitness < old.fitness):
            self.cells[cell] = organism


def _within(i: int, n: int) -> int:
    return min(max(i, 0), n - 1)
