"""Measure the regret of `evolve --minutes` and of other searches at the same cost.

    uv run python bench/search_fight.py [--searches 30]

A search requests training runs of genomes from results/search_table.json.xz. This table has the
validation losses at eight points of each training run, and its test loss, for 1,024 genomes, two
texts and two seeds. A run can end at any point; if it later continues, only the additional points
are paid for. All searches have the same budget. The regret of a search at a cost is the test loss
of the best model found at that cost, which is the one with the lowest validation loss, minus the
lowest mean test loss of the table. Takes a few minutes.
"""

import json
import lzma
import math
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import product
from random import Random
from statistics import fmean, median
from typing import Any

import numpy as np
from harness import RESULTS, headed, needs, parsed, store

from microgpt import bundled, load_text, split, split_documents
from microgpt.training.choice import choose
from microgpt_evolution.budget_plan import genome_of
from microgpt_evolution.genome import Genome, Space
from microgpt_evolution.objectives.rung_objective import RungObjective
from microgpt_evolution.strategies.surrogate_search import SurrogateSearch

OPTUNA = "optuna==5.0.0"
TABLE = RESULTS / "search_table.json.xz"  # made at commit a922fbb8, by studies/search_table.py
OPERATIONS = 3e11  # number of operations per training run of the table
GRID: dict[str, tuple[float, ...]] = {
    "n_embd": (24, 40, 64, 104),
    "n_layer": (1, 2, 3, 5),
    "lr": (0.0015, 0.003, 0.006, 0.012),
    "dropout": (0.0, 0.1, 0.2, 0.35),
    "n_tokens": (250, 700, 2000, 6000),
}
GENES = list(product(*GRID.values()))
POINTS = 8  # number of evaluations of a complete training run
BUDGET = 30  # budget of a search, in complete training runs
MAX_TRIALS = 1000  # repeated trials cost nothing, so a search could otherwise be endless
COSTS = (1, 5, 10, BUDGET)  # costs in the table of regrets, in complete runs
COMPARED = (10, BUDGET)  # costs at which microgpt's search is compared with the other searches
N_DRAWN = 10_000  # number of bootstrap samples

# By seed and genome: the validation loss at each point, and then the test loss; empty if the run
# diverged.
Losses = Sequence[Sequence[Sequence[float]]]
Run = tuple[int, int]  # the indexes of a genome and of its seed


class SpentError(Exception):
    """The budget of a search is spent."""


class Ledger:
    """The training runs of a search and their cost: one point of training costs 1.

    Attributes:
        points: the run and the point of each evaluation that was paid for, oldest first.
    """

    def __init__(self, losses: Losses, seed: int) -> None:
        self.losses, self.seed = losses, seed
        self._rng = Random(f"training seeds {seed}")  # independent of the search's Random(seed)
        self._trained: Counter[Run] = Counter()  # number of points trained so far, by run
        self.points: list[tuple[Run, int]] = []

    def drawn(self, genome: int) -> Run:
        """Return a training run of a genome with a randomly drawn seed."""
        return genome, self._rng.randrange(len(self.losses))

    def seeded(self, genome: Genome, seed: int) -> Run:
        """Return the training run of a genome of the grid with a seed."""
        return GENES.index(tuple(getattr(genome, gene) for gene in GRID)), seed % len(self.losses)

    def validation(self, run: Run, until: int = POINTS) -> list[float]:
        """Return a run's first `until` validation losses, or [infinity] if the run diverged."""
        return [*self._losses(run)[:POINTS][:until]] or [math.inf]

    def test(self, run: Run) -> float:
        """Return the test loss of a complete run, or infinity if the run diverged."""
        return (*self._losses(run), *[math.inf] * (POINTS + 1))[POINTS]

    def _losses(self, run: Run) -> Sequence[float]:
        genome, seed = run
        return self.losses[seed][genome]

    def train(self, run: Run, until: int = POINTS) -> list[float]:
        """Train a run up to evaluation `until`; return its losses. Raise SpentError without budget.

        Points that the run has already reached cost nothing.
        """
        losses = self.validation(run, until)
        while self._trained[run] < len(losses):
            if len(self.points) == BUDGET * POINTS:
                raise SpentError
            self._trained[run] += 1
            self.points.append((run, self._trained[run]))
        return losses

    def regrets(self) -> list[float]:
        """Return the regret of the search at the cost of 1, 2, ... BUDGET complete runs."""
        runs = [[(i, seed) for seed in range(len(self.losses))] for i in range(len(GENES))]
        best_mean = min(fmean(map(self.test, of_genome)) for of_genome in runs)
        ended = [run for of_genome in runs for run in of_genome if self.test(run) < math.inf]
        # The validation set and the test set are not equally hard to predict, so the test loss of
        # an incomplete run is estimated as its validation loss plus the median difference.
        shift = median(self.test(run) - min(self.validation(run)) for run in ended)
        trained: dict[Run, int] = {}
        best, lowest = None, math.inf
        found = [max(map(self.test, ended))]
        for run, point in self.points:
            trained[run] = point
            loss = min(self.validation(run, point))
            if loss < lowest:
                best, lowest = run, loss
            if best is None:  # all runs so far diverged
                found.append(found[0])
            else:
                found.append(self.test(best) if trained[best] == POINTS else lowest + shift)
        found += [found[-1]] * (BUDGET * POINTS + 1 - len(found))  # if the search ended early
        return [round(loss - best_mean, 4) for loss in found[POINTS::POINTS]]


def main() -> None:
    options = parsed(__doc__, searches=30)
    if "optuna" in SEARCHES:
        needs(OPTUNA)
    fight = {}
    for text, by_seed in read_table().items():
        start, regrets = start_of(text), {}
        for name, (_, search) in SEARCHES.items():
            found = []
            for seed in range(options.searches):
                ledger = Ledger(list(by_seed.values()), seed)
                with suppress(SpentError):
                    search(ledger, start)
                found.append(ledger.regrets())
            regrets[name] = np.array(found)
        fight[text] = summary(regrets)
    print(fight_tables(store("search_fight", {"texts": fight}, options)))


def read_table() -> dict[str, dict[str, Any]]:
    """Return the validation losses, then the test loss, as found[text][seed][index in GENES]."""
    found: dict[str, dict[str, Any]] = json.loads(lzma.decompress(TABLE.read_bytes()))
    return found


def start_of(text: str) -> Genome:
    """Return the genome that `train --minutes` chooses for a text, rounded to values of the grid.

    The rounding is on a logarithmic scale, except for genes of which one value in the grid is 0.
    """
    objective, genes = objective_of(text), {}
    tokens = objective.tokens()
    choice = choose(objective.sets, tokens.tokenizer, OPERATIONS, text=objective.text, given={})
    ruled = genome_of(choice, tokens.training.chunk_length(choice.model.block_size))
    for gene, values in GRID.items():
        scale = float if 0 in values else math.log
        wanted = scale(getattr(ruled, gene))
        genes[gene] = min(values, key=lambda value: abs(scale(value) - wanted))
    return replace(ruled, **genes)


def objective_of(text: str) -> RungObjective:
    """Return the objective for a text of the table.

    One text is a tenth of the names, where training overfits without regularization. The other is
    Shakespeare, which a training run repeats only a few times.
    """
    if text == "names":
        sets = split(load_text(bundled("names.txt")), validation=0.05, test=0.05)
        return RungObjective(replace(sets, train=sets.train[::10]), "lines", OPERATIONS)
    whole = bundled("shakespeare.txt").read_text(encoding="utf-8")
    return RungObjective(split_documents(whole, 0.015, 0.015, 256), "stream", OPERATIONS)


def random_search(ledger: Ledger, start: Genome) -> None:
    """Train random genomes until the budget is spent."""
    rng = Random(ledger.seed)
    while True:
        ledger.train(ledger.drawn(rng.randrange(len(GENES))))


def optuna_search(ledger: Ledger, start: Genome) -> None:
    """Search with TPE and the median pruner, with their default settings.

    A gene is an integer, the index of its value, because Optuna has no ordered categories. A trial
    reports its loss at each point, and is not pruned at the last point, where it is complete.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=ledger.seed)
    study = optuna.create_study(sampler=sampler, pruner=optuna.pruners.MedianPruner())
    for _ in range(MAX_TRIALS):
        trial = study.ask()
        genes = (
            values[trial.suggest_int(gene, 0, len(values) - 1)] for gene, values in GRID.items()
        )
        run = ledger.drawn(GENES.index(tuple(genes)))
        for point in range(1, POINTS + 1):
            loss = min(ledger.train(run, point))  # microgpt keeps the weights with the lowest loss
            trial.report(loss, point)
            if math.isinf(loss) or (point < POINTS and trial.should_prune()):
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                break
        else:
            study.tell(trial, loss)


def rule(ledger: Ledger, start: Genome) -> None:
    """Train only the genome `start`, which `train --minutes` would choose, and only once."""
    ledger.train(ledger.seeded(start, ledger.seed))


def ours(ledger: Ledger, start: Genome) -> None:
    """Search as `evolve --minutes` does: with a surrogate, beginning with the genome `start`."""
    space, seed = Space(values=GRID), ledger.seed
    search = SurrogateSearch(space, [start], BUDGET, lambda genome, n: n / POINTS, seed=seed)
    while organisms := search.ask():
        losses = []
        for organism in organisms:
            run = ledger.seeded(organism.genome, organism.seed)
            losses.append(ledger.train(run, organism.until)[len(organism.losses) :])
        search.tell(losses)


SEARCHES: dict[str, tuple[str, Callable[[Ledger, Genome], None]]] = {
    "random": ("random search", random_search),
    "optuna": ("Optuna (TPE, median pruner)", optuna_search),
    "rule": ("the rule, no search", rule),
    "ours": ("microgpt evolve --minutes", ours),
}


def summary(regrets: dict[str, np.ndarray]) -> dict[str, dict[str, Any]]:
    """Return the mean regrets of each search, and their differences from microgpt's, by cost."""
    return {
        "regrets": {
            name: {str(cost): interval(each[:, cost - 1])[0] for cost in COSTS}
            for name, each in regrets.items()
        },
        "differences": {
            name: {str(cost): interval((each - regrets["ours"])[:, cost - 1]) for cost in COMPARED}
            for name, each in regrets.items()
            if name != "ours"
        },
    }


def interval(numbers: np.ndarray) -> list[float]:
    """Return the mean, and the ends of its bootstrapped 95 % confidence interval."""
    means = np.random.default_rng(0).choice(numbers, (N_DRAWN, len(numbers))).mean(axis=1)
    return [round(float(each), 5) for each in (numbers.mean(), *np.percentile(means, [2.5, 97.5]))]


def fight_tables(fight: dict[str, Any]) -> str:
    """Return a table of the regrets, and of their differences from microgpt's, for each text."""
    head = [*(f"after {cost}" for cost in COSTS), *(f"− ours after {cost}" for cost in COMPARED)]
    tables = []
    for text, found in fight["texts"].items():
        lines = []
        for name, (title, _) in SEARCHES.items():
            cells = [f"{regret:.4f}" for regret in found["regrets"][name].values()]
            differences = found["differences"].get(name, {}).values()
            compared = [
                f"{mean:+.4f} ({low:+.4f} … {high:+.4f})" for mean, low, high in differences
            ]
            lines.append([title, *cells, *(compared or ["", ""])])
        tables.append(headed([text, *head], lines))
    return "\n\n".join(tables)


TABLES = {"search_fight": fight_tables}

if __name__ == "__main__":
    main()
