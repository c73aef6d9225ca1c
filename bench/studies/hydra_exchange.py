"""Does an exchange that keeps the heads of the Hydra apart leave more genomes, or better ones?

3.5 times as many genomes; the champions are as good (docs/measurements/evolution.md).

    uv run python bench/study.py hydra_exchange [--searches 10] [--first-seed 42]

Runs the same ten searches with both exchanges: "migrate", the default, and "source", which replaces
six of the eight organisms in each head with the two best organisms of every head. Counts the
distinct genomes and species among the 24 organisms after each cycle. The champion of each head is
then trained again with fresh seeds, which are the same for both exchanges, and generates 200 names
per training run. The differences are paired by the seed of the search. Their mean has a
bootstrapped 95 % interval. Two minutes on two cores. Results of other seeds are not stored.
"""

import tempfile
from argparse import Namespace
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import fmean
from time import perf_counter, process_time

import altair as alt
import numpy as np
from harness import FIRST_SEED
from machine import machine
from tables import headed

from microgpt.data.documents import bundled, load_text
from microgpt.data.split import split
from microgpt.training.engines import prepare_engine
from microgpt_evolution.objectives.cached_evaluator import CachedEvaluator
from microgpt_evolution.objectives.loss_objective import N_SAMPLES, AestheticObjective
from microgpt_evolution.objectives.scores import HeadName
from microgpt_evolution.search.hydra_search import Exchange
from microgpt_evolution.search.records import Records
from microgpt_evolution.search.retest import head_winners
from microgpt_evolution.search.runner import Listener, SearchRunner
from microgpt_evolution.search.settings import SearchSettings
from microgpt_evolution.workers.pools import Threads
from microgpt_report.look import BLUE, GREY, ORANGE

FRESH_SEEDS = range(1, 11)
OPTIONS = {"searches": 10, "first_seed": FIRST_SEED}
HEADS: tuple[HeadName, ...] = ("weaver", "mirror", "spark")
EXCHANGES: tuple[Exchange, ...] = ("migrate", "source")
SIZE, CYCLES, WORKERS = 8, 5, 2
N_DRAWN = 10_000  # number of bootstrap samples
PARTS = split(load_text(bundled("names.txt")), validation=0.1, test=0.1)
OBJECTIVE = AestheticObjective.of(PARTS, n_samples=N_SAMPLES)


def measure(options: Namespace) -> dict | None:
    """Search and retest."""
    prepare_engine("compiled", uses=["training", "evaluation", "generation"])
    seeds = range(options.first_seed, options.first_seed + options.searches)
    runs: dict[Exchange, list[dict]] = {exchange: [] for exchange in EXCHANGES}
    for seed in seeds:
        for exchange in EXCHANGES:
            runs[exchange].append(search(exchange, seed))
            print(f"seed {seed}, {exchange}: {runs[exchange][-1]}", flush=True)
    kept = {
        "machine": machine(all_cores=True),
        "seeds": [seeds.start, seeds.stop - 1],
        "organisms": SIZE * len(HEADS),
        "fresh_seeds": len(FRESH_SEEDS),
        "runs": runs,
        "champions": {head: compared(runs, head) for head in HEADS},
    }
    genomes = {name: fmean(run["genomes"][-1] for run in each) for name, each in runs.items()}
    ratio = genomes["migrate"] / genomes["source"]
    print(f"{ratio:.2f} × as many genomes after the last cycle as with evolve-rust's exchange")
    if vars(options) == OPTIONS:
        return kept
    print(kept["champions"])
    return None


def search(exchange: Exchange, seed: int) -> dict:
    """Run a search; return the diversity after each cycle and the scores of the champions."""
    winners: dict = {}
    alive: dict[str, list[int]] = {"genomes": [], "species": []}

    class Look(Listener):
        def generation_ended(self, run: SearchRunner) -> None:
            if run.search.has_exchanged:
                found = [organism.genome for organism in run.search.organisms]
                alive["genomes"].append(len(set(found)))
                alive["species"].append(len({genome.species for genome in found}))

        def ended(self, run, candidates, winner) -> None:
            winners.update(head_winners(run.search, candidates))

    with tempfile.TemporaryDirectory() as folder, Threads(WORKERS) as pool:
        settings = SearchSettings(
            objective="hydra",
            input="names.txt",
            data_sha256=PARTS.facts.sha256,
            population=SIZE,
            generations=CYCLES,
            seed=seed,
            samples=N_SAMPLES,
            exchange=exchange,
        )
        records = Records.begin(Path(folder), "evolve", settings)
        evaluator = CachedEvaluator(OBJECTIVE, pool, records)
        runner = SearchRunner(settings, evaluator, [Look()])
        started, cpu_started = perf_counter(), process_time()
        runner.run()
        seconds, cpu_seconds = perf_counter() - started, process_time() - cpu_started
        n_evaluations = records.n_known
        records.close()
    return {
        "seed": seed,
        **alive,
        "champions": {head: worth(head, winners[head].organism.genome) for head in HEADS},
        "evaluations": n_evaluations,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
    }


def worth(head: HeadName, genome) -> float:
    """Retrain a champion with fresh seeds, and return its mean score by the measure of its head."""

    def score(seed: int) -> float:
        opinion = OBJECTIVE.measure(genome, seed).scores
        assert opinion
        return opinion.scores[head]

    with ThreadPoolExecutor(WORKERS) as pool:
        return fmean(pool.map(score, FRESH_SEEDS))


def compared(runs: dict[Exchange, list[dict]], head: HeadName) -> dict[str, float | list[float]]:
    """Return the mean score of a head's champions for both exchanges, and the mean difference."""
    ours, theirs = (
        np.array([run["champions"][head] for run in runs[exchange]]) for exchange in EXCHANGES
    )
    return {
        "migrate": float(ours.mean()),
        "source": float(theirs.mean()),
        "difference": float((ours - theirs).mean()),
        "interval": bootstrapped(ours - theirs),
    }


def bootstrapped(differences: Sequence[float] | np.ndarray) -> list[float]:
    """Return the bootstrapped 95 % confidence interval of the mean."""
    rng = np.random.default_rng(0)
    means = rng.choice(differences, (N_DRAWN, len(differences))).mean(axis=1)
    return [float(end) for end in np.percentile(means, [2.5, 97.5])]


def exchange_genomes_table(exchanges: dict, *_: dict) -> str:
    """Return a table of the mean numbers of distinct genomes and species after each cycle."""
    lines = []
    for what in ("genomes", "species"):
        for exchange, runs in exchanges["runs"].items():
            counts = zip(*(run[what] for run in runs), strict=True)
            means = [f"{fmean(each):.1f}" for each in counts]
            lines.append([f"{what}, `{exchange}`", *means])
    return headed(["after cycle", *map(str, range(1, len(lines[0])))], lines)


def exchange_champions_table(exchanges: dict, *_: dict) -> str:
    """Return a table of the scores of each head's champions by exchange, with differences."""
    lines = []
    for head, found in exchanges["champions"].items():
        scores = [f"{found[name]:.3f}" for name in ("migrate", "source")]
        ends = " … ".join(f"{end:+.3f}" for end in found["interval"])
        lines.append([head.title(), *scores, f"{found['difference']:+.3f}", ends])
    head = ["champion", "`migrate`", "`source`", "difference", "95 % interval"]
    return headed(head, lines, exchanges)


def exchanges(found: dict, *_: dict) -> alt.HConcatChart:
    """Return the charts of distinct genomes by exchange and of the champions' score differences."""
    names = {"migrate": "migrate (microgpt)", "source": "source (evolve-rust)"}
    values = [
        {"exchange": names[exchange], "seed": run["seed"], "cycle": i + 1, "genomes": n}
        for exchange, runs in found["runs"].items()
        for run in runs
        for i, n in enumerate(run["genomes"])
    ]
    alive = alt.Chart(alt.Data(values=values)).encode(
        x=alt.X("cycle:O", title="after cycle", axis=alt.Axis(labelAngle=0)),
        color=alt.Color(
            "exchange:N",
            title=None,
            scale=alt.Scale(domain=list(names.values()), range=[ORANGE, BLUE]),
            legend=alt.Legend(symbolType="stroke"),
        ),
    )
    what = f"distinct genomes of {found['organisms']} organisms"
    count = alt.Y("genomes:Q", scale=alt.Scale(domain=[0, found["organisms"]]), title=what)
    mean = alt.Y("mean(genomes):Q", title=what)
    left = alt.layer(
        alive.mark_line(opacity=0.25, strokeWidth=1, aria=False).encode(y=count, detail="seed:N"),
        alive.mark_line(point=True, strokeWidth=3).encode(y=mean),
    ).properties(width=260, height=220, title="Genomes after each cycle")
    heads = [
        {"head": head.title(), "mean": each["difference"], "low": low, "high": high}
        for head, each in found["champions"].items()
        for low, high in [each["interval"]]
    ]
    compared = alt.Chart(alt.Data(values=heads)).encode(y=alt.Y("head:N", sort=None, title=None))
    right = alt.layer(
        alt.Chart(alt.Data(values=[{"zero": 0}])).mark_rule(color=GREY).encode(x="zero:Q"),
        compared.mark_rule(strokeWidth=2, color=ORANGE).encode(
            x=alt.X(
                "low:Q", title="score of microgpt − that of evolve-rust", axis=alt.Axis(tickCount=4)
            ),
            x2="high:Q",
        ),
        compared.mark_point(filled=True, size=90, opacity=1, color=ORANGE).encode(x="mean:Q"),
    ).properties(width=260, height=220, title="Scores of the champions")
    return alt.hconcat(left, right)


TABLES = {
    "exchange_genomes": exchange_genomes_table,
    "exchange_champions": exchange_champions_table,
}
PICTURES = {"exchanges": exchanges}
