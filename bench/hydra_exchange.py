"""Compare both exchanges of the Hydra by the diversity of the heads and by their champions.

Runs the same ten searches with both exchanges: "migrate", the default, and "source", which replaces
six of eight organisms in each head by the two best of all heads. Counts the distinct genomes and
species among the 24 organisms after each cycle. The champion of each head is then trained again
with fresh seeds, which are the same for both exchanges, and generates 200 names per training run.
The differences are paired by the seed of the search. Their mean has a bootstrapped 95 % interval.

    uv run python bench/hydra_exchange.py [--searches 10] [--first-seed 42]

Takes two minutes on two cores. With the default seeds, writes the results to bench/results.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from statistics import fmean
from time import perf_counter, process_time

import numpy as np
from tables import exchange_champions_table, exchange_genomes_table
from train_speed import machine, results_file

from microgpt.data.documents import bundled, load_text
from microgpt.data.split import split
from microgpt.training.engines import prepare_engine
from microgpt_evolution.objectives.aesthetic_objective import N_SAMPLES, AestheticObjective
from microgpt_evolution.objectives.cached_evaluator import CachedEvaluator
from microgpt_evolution.objectives.hydra_heads import HeadName
from microgpt_evolution.runs.records import Records
from microgpt_evolution.search.hydra_search import Exchange
from microgpt_evolution.search.runner import HydraRunner, Listeners
from microgpt_evolution.search.settings import SearchSettings
from microgpt_evolution.workers.pools import Threads

FIRST_SEED, N_SEARCHES, FRESH_SEEDS = 42, 10, range(1, 11)
HEADS: tuple[HeadName, ...] = ("weaver", "mirror", "spark")
EXCHANGES: tuple[Exchange, ...] = ("migrate", "source")
SIZE, CYCLES, WORKERS = 8, 5, 2
N_DRAWN = 10_000  # number of bootstrap samples
PARTS = split(load_text(bundled("names.txt")), validation=0.1, test=0.1)
OBJECTIVE = AestheticObjective.of(PARTS, n_samples=N_SAMPLES)


def main() -> None:
    """Search, retest, print the tables and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--searches", type=int, default=N_SEARCHES)
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    arguments = parser.parse_args()
    prepare_engine("compiled", uses=["training", "evaluation", "generation"])
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.searches)
    runs: dict[Exchange, list[dict]] = {exchange: [] for exchange in EXCHANGES}
    for seed in seeds:
        for exchange in EXCHANGES:
            runs[exchange].append(search(exchange, seed))
            print(f"seed {seed}, {exchange}: {runs[exchange][-1]}", flush=True)
    kept = {
        "machine": machine(all_cores=True),
        "date": str(date.today()),
        "seeds": [seeds.start, seeds.stop - 1],
        "organisms": SIZE * len(HEADS),
        "fresh_seeds": len(FRESH_SEEDS),
        "runs": runs,
        "champions": {head: compared(runs, head) for head in HEADS},
    }
    genomes = {name: fmean(run["genomes"][-1] for run in each) for name, each in runs.items()}
    print(exchange_genomes_table(kept), exchange_champions_table(kept), sep="\n\n")
    ratio = genomes["migrate"] / genomes["source"]
    print(f"\n{ratio:.2f} × as many genomes after the last cycle as with evolve-rust's exchange")
    if (arguments.searches, arguments.first_seed) == (N_SEARCHES, FIRST_SEED):
        results_file("hydra_exchange").write_text(json.dumps(kept) + "\n")


def search(exchange: Exchange, seed: int) -> dict:
    """Run a search; return the diversity after each cycle and the scores of the champions."""
    alive: dict[str, list[int]] = {"genomes": [], "species": []}

    def look(line: str) -> None:
        if line.startswith(">> Cycle Complete"):
            found = [organism.genome for organism in runner.search.organisms]
            alive["genomes"].append(len(set(found)))
            alive["species"].append(len({genome.species for genome in found}))

    with tempfile.TemporaryDirectory() as folder, Threads(WORKERS) as pool:
        records = Records.begin(Path(folder), "evolve", {})
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
        evaluator = CachedEvaluator(OBJECTIVE, pool, records)
        runner = HydraRunner(settings, evaluator, Listeners(log=look))
        started, cpu_started = perf_counter(), process_time()
        runner.run()
        seconds, cpu_seconds = perf_counter() - started, process_time() - cpu_started
        n_evaluations = records.n_known
        records.close()
    return {
        "seed": seed,
        **alive,
        "champions": {head: worth(head, runner.winners[head].organism.genome) for head in HEADS},
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


if __name__ == "__main__":
    main()
