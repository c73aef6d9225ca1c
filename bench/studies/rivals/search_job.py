"""Job protocol between a benchmark and the searches, and the account of their training runs.

A rival is a process. It reads a job from a file of JSON, runs a search for each seed of the job,
and prints the requests of each search as JSON, in order. All searches, ours too, take the losses
from a Ledger. search_fight.py, whose jobs have the losses of all runs, repeats the requests in a
Ledger of its own. The jobs of search_real.py have no losses: the Ledger asks for those of each run
with a line of JSON on stdout, and reads them from stdin.
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
    """A training run: the index of a genome, and that of its seed.

    Without a table, the genome is the places of its genes' values, and the seed is a random number.
    """

    genome: int | tuple[int, ...]
    seed: int


class Ledger:
    """The training runs of a search and their cost: one point of training costs 1.

    Attributes:
        budget: of the search, in points.
        seed: of the search.
        requests: all requests as (genome, seed, last point).
        points: the run and the point of each evaluation that was paid, in order.
        trained: the number of points up to which each run was trained.
    """

    def __init__(self, losses: Losses | None, budget: int, seed: int) -> None:
        """Open an account with a budget in points."""
        self._losses, self.budget, self.seed = losses, budget, seed
        self._rng = Random(f"training seeds {seed}")  # independent of the search's Random(seed)
        self.requests: list[tuple[int, int, int]] = []
        self.points: list[tuple[Run, int]] = []
        self.trained: Counter[Run] = Counter()

    def new(self, genome: int | tuple[int, ...]) -> Run:
        """Return a training run for a genome, with a random seed."""
        if self._losses is None:
            return Run(genome, self._rng.randrange(2**31))
        return Run(genome, self._rng.randrange(len(self._losses)))

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
        losses = self._losses_of(run, until) or [math.inf]
        while self.trained[run] < len(losses):
            if len(self.points) == self.budget:
                raise SpentError
            self.trained[run] += 1
            self.points.append((run, self.trained[run]))
        return losses

    def _losses_of(self, run: Run, until: int) -> list[float]:
        """Return the losses up to a point; fewer or none if the run diverged."""
        if self._losses is not None:
            return [*self._losses[run.seed][run.genome][:until]]
        if self.trained[run] < until and len(self.points) + until - self.trained[run] > self.budget:
            raise SpentError  # the part that can be paid would be trained for nothing
        print(json.dumps([*run, until]), file=sys.__stdout__, flush=True)
        return json.loads(sys.stdin.readline())

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
        losses: validation losses; None: they must be asked for.
        budget: of each search, in points.
        first: the genes to begin with; None: the search decides.
    """

    grid: dict[str, list[float]]
    losses: Losses | None
    budget: int
    seeds: list[int]
    first: dict[str, float] | None

    def __post_init__(self) -> None:
        self._genomes = list(product(*self.grid.values())) if self.losses is not None else []

    def genome_of(self, genes: Mapping[str, float]) -> int | tuple[int, ...]:
        """Return the index of a genome in the table; without one, the genes, which are places."""
        genome = tuple(genes[gene] for gene in self.grid)
        if self.losses is None:  # ConfigSpace has integers of NumPy, which JSON refuses
            return tuple(map(int, genome))
        return self._genomes.index(genome)


def answer(search: Callable[[Job, Ledger, int], Any]) -> None:
    """Run a rival; `search` searches with the given seed until the budget is spent."""
    with open(sys.argv[1]) as file:
        job = Job(**json.load(file))
    found = []
    for seed in job.seeds:
        ledger = Ledger(job.losses, job.budget, seed)
        with suppress(SpentError), redirect_stdout(sys.stderr):  # DEHB logs to stdout
            search(job, ledger, seed)
        found.append(ledger.requests)
    if job.losses is not None:
        print(json.dumps(found))
