"""Regret of `evolve --minutes` and of other searches, for the same cost.

    uv run python bench/search_fight.py [--searches 30]

A search requests training runs of genomes from a table (results/search_table.json.xz): validation
losses at eight points of each training run, and the test loss, for 1,024 genomes, two texts and
two seeds. A run may end at any of the points; if it continues from an earlier one, only the rest
is paid for. All searches have the same budget. The regret of a search at a cost is the test loss of
the model that its user would have at that cost, which is the one with the lowest validation loss,
minus the best mean test loss of the table.

Optuna runs in an environment of its own, which uv creates. Takes minutes.
"""

import json
import lzma
import math
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from random import Random
from statistics import fmean, median

import numpy as np
from harness import BENCH, RESULTS, parsed, results_file, script
from rivals.search_job import POINTS, Job, Ledger, Losses, Run, SpentError
from tables import headed

from microgpt.data.documents import bundled, load_text
from microgpt.data.split import split, split_stream
from microgpt.training.choice import choose
from microgpt_evolution.budget_plan import genome_of
from microgpt_evolution.genome import Genome, Space
from microgpt_evolution.objectives.rung_objective import RungObjective
from microgpt_evolution.strategies.surrogate import SurrogateSearch

TABLE = RESULTS / "search_table.json.xz"  # made by the study `search_table`, last at a922fbb8
OPERATIONS = 3e11  # of a training run of the table
GRID: dict[str, tuple[float, ...]] = {
    "n_embd": (24, 40, 64, 104),
    "n_layer": (1, 2, 3, 5),
    "lr": (0.0015, 0.003, 0.006, 0.012),
    "dropout": (0.0, 0.1, 0.2, 0.35),
    "n_tokens": (250, 700, 2000, 6000),
}
GENES = list(product(*GRID.values()))
BUDGET = 30  # of a search, in complete training runs
COSTS = (1, 5, 10, BUDGET)  # of the table
COMPARED = (10, BUDGET)  # costs at which ours is compared with the others
N_DRAWN = 10_000  # bootstrap samples
TITLES = {
    "random": "random search",
    "optuna": "Optuna (TPE, median pruner)",
    "rule": "the rule, no search",
    "ours": "microgpt evolve --minutes",
}


@dataclass(frozen=True)
class TextTable:
    """The losses of a text, by seed and genome.

    Attributes:
        validation: at each point; empty if the run diverged.
        test: at the end; infinite if the run diverged.
    """

    validation: Losses
    test: list[list[float]]

    @classmethod
    def from_losses(cls, losses: list[list[list[float]]]) -> "TextTable":
        """Return the losses of a text of the table, by seed and genome."""
        return cls(
            [[each[:POINTS] for each in of_seed] for of_seed in losses],
            [[each[POINTS] if each else math.inf for each in of_seed] for of_seed in losses],
        )

    @property
    def best(self) -> float:
        """The lowest mean test loss of a genome over the seeds."""
        return min(map(fmean, zip(*self.test, strict=True)))

    def regrets(self, requests: list[tuple[int, int, int]]) -> list[float]:
        """Return the regret of a search at each whole cost."""
        ledger = Ledger(self.validation, BUDGET * POINTS, seed=0)
        with suppress(SpentError):
            for genome, seed, until in requests:
                ledger.train(Run(genome, seed), until)
        best_loss, shift = self.best, self._shift()
        trained: dict[Run, int] = {}
        best, lowest = None, math.inf
        found = [max(each for of_seed in self.test for each in of_seed if each < math.inf)]
        for run, point in ledger.points:
            trained[run] = point
            loss = min(self.validation[run.seed][run.genome][:point], default=math.inf)
            if loss < lowest:
                best, lowest = run, loss
            if best is None:  # all runs diverged
                found.append(found[0])
            elif trained[best] == POINTS:
                found.append(self.test[best.seed][best.genome])
            else:
                found.append(lowest + shift)
        found += [found[-1]] * (BUDGET * POINTS + 1 - len(found))  # a search may end early
        return [round(loss - best_loss, 4) for loss in found[POINTS::POINTS]]

    def _shift(self) -> float:
        """Return the median difference between the test loss and the lowest validation loss.

        The test loss of an incomplete run is estimated as its validation loss plus this difference,
        because one of the two sets is harder to predict.
        """
        return median(
            test - min(losses)
            for tests, of_seed in zip(self.test, self.validation, strict=True)
            for test, losses in zip(tests, of_seed, strict=True)
            if losses
        )


def main() -> None:
    """Run the searches, print their regrets, and store them unless there are fewer searches."""
    options = parsed(__doc__, searches=30)
    seeds, fight = list(range(options.searches)), {}
    for text, by_seed in read_table().items():
        losses, start = TextTable.from_losses(list(by_seed.values())), start_of(text)
        regrets = {}
        for name in TITLES:
            requests = searches(name, losses.validation, start, seeds)
            regrets[name] = np.array([losses.regrets(each) for each in requests])
            print(f"{text}, {name}: {regrets[name][:, -1].mean():.4f}", flush=True)
        fight[text] = summary(regrets)
    if not options.is_short:
        results_file("search_fight").write_text(json.dumps(fight) + "\n")
    print(fight_tables(fight))


def read_table() -> dict[str, dict[str, list[list[float]]]]:
    """Return validation losses and then the test loss, by text, seed and index in GENES."""
    found: dict[str, dict[str, list[list[float]]]] = json.loads(lzma.decompress(TABLE.read_bytes()))
    return found


def start_of(text: str) -> Genome:
    """Return the rule's genome for a text, with the nearest value of the grid for each gene.

    Values are compared by their logarithms, or directly if one is 0.
    """
    objective, genes = objective_of(text), {}
    tokens = objective.tokens()
    choice = choose(objective.sets, tokens.tokenizer, OPERATIONS, text=objective.text, given={})
    length = tokens.training.chunk_length(choice.model.block_size)
    ruled = genome_of(choice, length)
    for gene, values in GRID.items():
        scale = float if 0 in values else math.log
        wanted = scale(getattr(ruled, gene))
        genes[gene] = min(values, key=lambda value: abs(scale(value) - wanted))
    return replace(ruled, **genes)


def objective_of(text: str) -> RungObjective:
    """Return the objective for a text of the table.

    One text is a tenth of the names, where training overfits without regularization. The other is
    Shakespeare, which a training run reads only a few times.
    """
    if text == "names":
        sets = split(load_text(bundled("names.txt")), validation=0.05, test=0.05)
        return RungObjective(replace(sets, train=sets.train[::10]), "lines", OPERATIONS)
    whole = bundled("shakespeare.txt").read_text(encoding="utf-8")
    sets = split_stream(whole, validation=0.015, test=0.015, gap=256)
    return RungObjective(sets, "stream", OPERATIONS)


def searches(
    name: str, losses: Losses, start: Genome, seeds: list[int]
) -> list[list[tuple[int, int, int]]]:
    """Return the requests of the searches of a method, in order."""
    if name == "optuna":
        grid = {gene: [*values] for gene, values in GRID.items()}
        return rival_searches(Job(grid, losses, BUDGET * POINTS, seeds))
    method: Callable[[Ledger, Random, Genome], None]
    method = {"random": random_search, "rule": rule, "ours": ours}[name]
    found = []
    for seed in seeds:
        ledger = Ledger(losses, BUDGET * POINTS, seed)
        with suppress(SpentError):
            method(ledger, Random(seed), start)
        found.append(ledger.requests)
    return found


def rival_searches(job: Job) -> list[list[tuple[int, int, int]]]:
    """Return the requests of the searches of Optuna, in order."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "job.json")
        path.write_text(json.dumps(asdict(job)))
        found = subprocess.check_output(script(BENCH / "rivals" / "optuna_search.py", path))
    return json.loads(found)


def random_search(ledger: Ledger, rng: Random, start: Genome) -> None:
    """Train random genomes."""
    while True:
        ledger.train(ledger.new(rng.randrange(len(GENES))))


def rule(ledger: Ledger, rng: Random, start: Genome) -> None:
    """Train only the rule's genome, with one seed after the other."""
    ledger.train(Run(index_of(start), ledger.seed % ledger.n_seeds))


def ours(ledger: Ledger, rng: Random, start: Genome) -> None:
    """Search with a surrogate, beginning with the rule's genome."""
    search = SurrogateSearch(
        Space(values=GRID), [start], ledger.budget / POINTS, lambda genome, n: n / POINTS,
        seed=ledger.seed,
    )  # fmt: skip
    while organisms := search.ask():
        losses = []
        for organism in organisms:
            run = Run(index_of(organism.genome), organism.seed % ledger.n_seeds)
            losses.append(ledger.train(run, organism.until)[len(organism.losses) :])
        search.tell(losses)


def index_of(genome: Genome) -> int:
    """Return the index of a genome in the table."""
    return GENES.index(tuple(getattr(genome, gene) for gene in GRID))


def summary(regrets: dict[str, np.ndarray]) -> dict[str, dict]:
    """Return the mean regrets of each method, and their differences from ours, by cost."""
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
    rng = np.random.default_rng(0)
    means = rng.choice(numbers, (N_DRAWN, len(numbers))).mean(axis=1)
    return [round(float(each), 5) for each in (numbers.mean(), *np.percentile(means, [2.5, 97.5]))]


def fight_tables(fight: dict) -> str:
    """Return a table of the regrets, and of their differences from ours, for each text."""
    head = [*(f"after {cost}" for cost in COSTS), *(f"− ours after {cost}" for cost in COMPARED)]
    tables = []
    for text, found in fight.items():
        lines = []
        for name, title in TITLES.items():
            cells = [f"{regret:.4f}" for regret in found["regrets"][name].values()]
            differences = found["differences"].get(name, {})
            compared = [difference(each) for each in differences.values()] or ["", ""]
            lines.append([title, *cells, *compared])
        tables.append(headed([text, *head], lines))
    return "\n\n".join(tables)


def difference(found: list[float]) -> str:
    """Format a mean and its interval."""
    mean, low, high = found
    return f"{mean:+.4f} ({low:+.4f} … {high:+.4f})"


TABLES = {"search_fight": fight_tables}

if __name__ == "__main__":
    main()
