"""Does `evolve --minutes` find better settings than other searches, for the same cost?

Yes: after 30 training runs it beats all eleven others on names, and nine of them on Shakespeare
(docs/measurements/evolution.md).

    uv run python bench/study.py search_fight [--searches 30] [--only METHOD]

A search requests training runs of genomes from the table of search_table.py, each up to one of
eight points; if a run continues from an earlier point, only the rest is paid for. All searches have
the same budget. The regret of a search at a cost is the test loss of the model that its user would
have at that cost, which is the one with the lowest validation loss, minus the best mean test loss
of the table.

Optuna, DEHB and SMAC3 run in separate environments, which uv creates. Takes minutes; with --only,
the stored results of the other methods are kept.
"""

import json
import math
import os
import subprocess
import tempfile
from argparse import Namespace
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from statistics import fmean, median

import altair as alt
import numpy as np
from harness import BENCH, script
from studies.rivals.search_job import POINTS, Job, Ledger, Losses, Run, SpentError
from studies.search_methods import (
    Method,
    Start,
    halving,
    local_search,
    ours,
    random_search,
    regularised_evolution,
    rule,
    ruled_halving,
    start_of,
)
from studies.search_table import GENES, GRID, SEEDS, Table, read_table
from tables import headed

from microgpt.files.atomic_files import publish
from microgpt_report.look import AMBER, BLUE, GREEN, GREY, ORANGE, PINK
from microgpt_report.theme import LOG

RESULTS = BENCH / "results" / "search_fight.json"
BUDGET = 30  # of a search, in complete training runs
COMPARED = (10, BUDGET)  # costs at which ours is compared with the others
N_DRAWN = 10_000  # bootstrap samples
METHODS: dict[str, Method] = {
    "random": random_search,
    "halving": halving,
    "local": local_search,
    "evolution": regularised_evolution,
    "rule": rule,
    "ruled_halving": ruled_halving,
    "ours": ours,
}
RIVALS = {
    "optuna": ["optuna_search.py", "median"],
    "optuna_hyperband": ["optuna_search.py", "hyperband"],
    "ruled_optuna": ["optuna_search.py", "median"],  # begins with the rule's genome
    "dehb": ["dehb_search.py"],
    "smac": ["smac_search.py"],
}
TITLES = {
    "random": "random search",
    "halving": "random search with successive halving",
    "local": "local search",
    "evolution": "regularised evolution",
    "optuna": "Optuna (TPE, median pruner)",
    "optuna_hyperband": "Optuna (TPE, Hyperband)",
    "dehb": "DEHB",
    "smac": "SMAC3 (random forest, Hyperband)",
    "rule": "the rule, no search",
    "ruled_halving": "the rule, then random search with successive halving",
    "ruled_optuna": "the rule, then Optuna",
    "ours": "microgpt evolve --minutes",
}
OPTIONS = {"searches": 30, "only": TITLES}
# SMAC3 depends on the order of sets, and wastes time on threads that wait for one another.
ENVIRONMENT = {"PYTHONHASHSEED": "0", "LOKY_MAX_CPU_COUNT": "1"}


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
    def of(cls, table: Table, text: str) -> "TextTable":
        """Return the losses of a text of the table."""
        losses = [table.losses[text][str(seed)] for seed in SEEDS]
        if any(each is None for of_seed in losses for each in of_seed):
            raise SystemExit("The table is not complete. Run bench/studies/search_table.py.")
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


def measure(options: Namespace) -> None:
    """Run the searches, and print and store their regrets."""
    table = read_table()
    stored = json.loads(RESULTS.read_text()) if options.only and RESULTS.exists() else {}
    fight = {}
    for text in table.losses:
        losses, start = TextTable.of(table, text), start_of(text)
        regrets = stored[text]["regrets"] if stored else {}
        for name in [options.only] if options.only else [*METHODS, *RIVALS]:
            requests = searches(name, losses.validation, start, options.searches)
            regrets[name] = [losses.regrets(each) for each in requests]
            print(f"{text}, {name}: {fmean(each[-1] for each in regrets[name]):.4f}", flush=True)
        fight[text] = {"best": losses.best, "regrets": regrets, **summary(regrets)}
    publish(RESULTS.parent, {RESULTS.name: json.dumps(fight).encode() + b"\n"})
    print(fight_tables(fight))


def searches(
    name: str, losses: Losses, start: Start, n_searches: int
) -> list[list[tuple[int, int, int]]]:
    """Return the requests of the searches of a method, in order."""
    seeds = list(range(n_searches))
    if name in RIVALS:
        is_ruled = name.startswith("ruled_")
        grid = {gene: [*values] for gene, values in GRID.items()}
        first = dict(zip(GRID, GENES[start.index], strict=True)) if is_ruled else None
        job = Job(grid, losses, BUDGET * POINTS, seeds, first)
        return rival_searches(name, job)
    found = []
    for seed in seeds:
        ledger = Ledger(losses, BUDGET * POINTS, seed)
        with suppress(SpentError):
            METHODS[name](ledger, Random(seed), start)
        found.append(ledger.requests)
    return found


def rival_searches(name: str, job: Job) -> list[list[tuple[int, int, int]]]:
    """Return the requests of the searches of a rival, in order."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "job.json")
        path.write_text(json.dumps(asdict(job)))
        command, environment = command_of(name, path)
        found = subprocess.check_output(command, env=environment)
    return json.loads(found)


def command_of(name: str, job: Path) -> tuple[list[str], dict[str, str]]:
    """Return the command of a rival for a job, and its environment variables."""
    program, *options = RIVALS[name]
    path = BENCH / "studies" / "rivals" / program
    return script(path, job, *options), os.environ | ENVIRONMENT


def summary(regrets: dict[str, list[list[float]]]) -> dict[str, dict]:
    """Return the mean regrets of each method, and their differences from ours."""
    at = {name: np.array(each) for name, each in regrets.items()}  # (searches, costs)
    curves = {name: [interval(each[:, i]) for i in range(BUDGET)] for name, each in at.items()}
    differences = {
        name: {cost: interval((each - at["ours"])[:, cost - 1]) for cost in COMPARED}
        for name, each in at.items()
        if name != "ours" and at.get("ours", np.empty(0)).shape == each.shape
    }
    return {"curves": curves, "differences": differences}


def interval(numbers: np.ndarray) -> list[float]:
    """Return the mean, and the ends of its bootstrapped 95 % confidence interval."""
    rng = np.random.default_rng(0)
    means = rng.choice(numbers, (N_DRAWN, len(numbers))).mean(axis=1)
    return [round(float(each), 5) for each in (numbers.mean(), *np.percentile(means, [2.5, 97.5]))]


COSTS = (1, 5, 10, 30)  # columns, in complete training runs


def fight_section(fight: dict, *_: dict) -> str:
    """Return the picture and the tables."""
    about = "regret of each search against operations, with 95 % intervals"
    return f"![{about}](../pictures/search_fight.svg)\n\n{fight_tables(fight)}"


def fight_tables(fight: dict) -> str:
    """Return a table of the regrets, and of their differences from ours, for each text."""
    tables = []
    for text, found in fight.items():
        compared = [*next(iter(found["differences"].values()), {})]
        head = [
            *(f"after {cost}" for cost in COSTS),
            *(f"− ours after {each}" for each in compared),
        ]
        lines = []
        for name, title in TITLES.items():
            if name in found["curves"]:
                cells = [f"{found['curves'][name][cost - 1][0]:.4f}" for cost in COSTS]
                cells += [difference(each) for each in found["differences"].get(name, {}).values()]
                lines.append([title, *cells, *[""] * (len(head) - len(cells))])
        tables.append(headed([text, *head], lines))
    return "\n\n".join(tables)


def difference(found: list[float]) -> str:
    """Format a mean and its interval."""
    mean, low, high = found
    return f"{mean:+.4f} ({low:+.4f} … {high:+.4f})"


SOLID, DASHED, DOTTED = [1, 0], [6, 3], [2, 2]
LOOKS = {  # color and dashes of each method
    "random": (GREY, SOLID),
    "halving": (AMBER, SOLID),
    "local": (PINK, SOLID),
    "evolution": (PINK, DOTTED),
    "optuna": (BLUE, SOLID),
    "optuna_hyperband": (BLUE, DOTTED),
    "dehb": (GREEN, SOLID),
    "smac": (GREEN, DOTTED),
    "rule": (GREY, DASHED),
    "ruled_halving": (AMBER, DASHED),
    "ruled_optuna": (BLUE, DASHED),
    "ours": (ORANGE, SOLID),
}
X = alt.X(
    "cost:Q",
    scale=alt.Scale(type="log", domain=[1, 30]),
    axis=alt.Axis(values=[1, 2, 3, 5, 10, 20, 30]),
    title=f"operations, in complete training runs{LOG}",
)
Y = alt.Y(
    "mean:Q",
    scale=alt.Scale(type="log", domain=[0.001, 0.5]),
    axis=alt.Axis(values=[0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5], format=".3~f"),
    title=f"loss above the best, nats per character{LOG}",
)


def fight_picture(fight: dict, *_: dict) -> alt.VConcatChart:
    """Return the charts of the mean regret of each search for each text, with 95 % intervals."""
    return alt.vconcat(*(regrets(text, found) for text, found in fight.items()))


def regrets(text: str, found: dict) -> alt.LayerChart:
    """Return the chart for a text."""
    names = [name for name in TITLES if name in found["curves"]]
    values = [
        {"method": TITLES[name], "cost": i + 1, "mean": mean, "low": low, "high": high}
        for name in names
        for i, (mean, low, high) in enumerate(found["curves"][name])
    ]
    titles = [TITLES[name] for name in names]
    legend = alt.Legend(columns=2, symbolType="stroke", symbolSize=500)
    color, dash = (
        channel(
            "method:N",
            title=None,
            scale=alt.Scale(domain=titles, range=[LOOKS[name][i] for name in names]),
            legend=legend,
        )
        for i, channel in enumerate((alt.Color, alt.StrokeDash))
    )
    chart = alt.Chart(alt.Data(values=values)).encode(x=X)
    return alt.layer(
        chart.mark_area(opacity=0.1, clip=True, aria=False).encode(
            y=alt.Y("low:Q"), y2="high:Q", color=color
        ),
        chart.mark_line(strokeWidth=2, clip=True).encode(y=Y, color=color, strokeDash=dash),
    ).properties(width=520, height=300, title=f"Searches for hyper-parameters: {text}")


TABLES = {"search_fight": fight_section}
PICTURES = {"search_fight": fight_picture}
