"""Job protocol between search_fight.py and the searches, and the account of their training runs.

A rival is a process. It reads a job from a file of JSON, runs a search for each seed of the job,
and prints the requests of each search as JSON, in order. All searches, ours too, take the losses
from a Ledger.
"""

import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from itertools import product
from random import Random
from typing import Any, NamedTuple

POINTS = 8  # number of evaluations of a complete training run
MAX_REQUESTS = 2000  # a search may not ask forever for what it knows already

Losses = Sequence[Sequence[Sequence[float]]]  # by seed, genome and point; empty: it diverged


class SpentError(Exception):
    """The budget of a search is spent."""


class Run(NamedTuple):
    """A training run: the index of a genome, and that of its seed."""

    genome: int
    seed: int


class Ledger:
    """The training runs of a search and their cost: one point of training costs 1.

    Attributes:
        budget: of the search, in points.
        seed: of the search.
        requests: all requests as (genome, seed, last point).
        points: the run and the point of each evaluation that was paid, in order.
    """

    def __init__(self, losses: Losses, budget: int, seed: int) -> None:
        """Open an account with a budget in points."""
        self._losses, self.budget, self.seed = losses, budget, seed
        self._rng = Random(f"training seeds {seed}")  # independent of the search's Random(seed)
        self._trained: Counter[Run] = Counter()  # number of points
        self.requests: list[tuple[int, int, int]] = []
        self.points: list[tuple[Run, int]] = []

    @property
    def n_seeds(self) -> int:
        """The number of seeds with which each genome was trained."""
        return len(self._losses)

    def new(self, genome: int) -> Run:
        """Return a training run for a genome, with a random seed."""
        return Run(genome, self._rng.randrange(self.n_seeds))

    def train(self, run: Run, until: int = POINTS) -> list[float]:
        """Train up to a point, and return the validation losses so far.

        Only points that were not trained before are paid for. A run that diverged has a single,
        infinite loss, and costs one point.

        Raises:
            SpentError: the budget is spent.
        """
        if len(self.requests) == MAX_REQUESTS:
            raise SpentError
        self.requests.append((*run, until))
        losses = [*self._losses[run.seed][run.genome][:until]] or [math.inf]
        while self._trained[run] < len(losses):
            if len(self.points) == self.budget:
                raise SpentError
            self._trained[run] += 1
            self.points.append((run, self._trained[run]))
        return losses

    def loss(self, run: Run, until: int = POINTS) -> float:
        """Train up to a point, and return the lowest validation loss so far.

        microgpt keeps the weights with the lowest loss.
        """
        return min(self.train(run, until))


@dataclass
class Job:
    """Searches to be run by a rival.

    Attributes:
        grid: the values of each gene, in ascending order; the table has all combinations.
        budget: of each search, in points.
    """

    grid: dict[str, list[float]]
    losses: Losses
    budget: int
    seeds: list[int]

    def __post_init__(self) -> None:
        self._genomes = list(product(*self.grid.values()))

    def genome_of(self, genes: Mapping[str, float]) -> int:
        """Return the index of a genome in the table."""
        return self._genomes.index(tuple(genes[gene] for gene in self.grid))


def answer(search: Callable[[Job, Ledger, int], Any]) -> None:
    """Run a rival; `search` searches with the given seed until the budget is spent."""
    with open(sys.argv[1]) as file:
        job = Job(**json.load(file))
    found = []
    for seed in job.seeds:
        ledger = Ledger(job.losses, job.budget, seed)
        with suppress(SpentError), redirect_stdout(sys.stderr):
            search(job, ledger, seed)
        found.append(ledger.requests)
    print(json.dumps(found))
