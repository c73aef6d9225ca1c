"""Measure whether the champions of loss searches are good or merely lucky.

Runs `microgpt evolve` with evolve-rust's settings, by held-out loss and, as in evolve-rust, by the
loss of the last document. Each champion and the primordial genome are then trained again with fresh
seeds on the training set, and evaluated on the validation and test sets. Prints the means over the
searches with 95 % intervals and the FLOPs per training run. Writes them to bench/results, with both
losses of every organism in the held-out searches.

    uv run python bench/evolution_fitness.py [--searches 10]

Takes two minutes on two cores.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from statistics import correlation, fmean

from tables import fitness_table
from train_speed import machine, results_file

from microgpt.data.documents import bundled, load_text
from microgpt.data.split import split
from microgpt_evolution.confidence_interval import half_width
from microgpt_evolution.genome import PRIMORDIAL, Genome
from microgpt_evolution.genome_file import read_genome
from microgpt_evolution.objectives.loss_objective import LossObjective
from microgpt_evolution.objectives.retest import retest

FIRST_SEED, FRESH_SEEDS = 42, (1, 2, 3)
OPTIONS: tuple[str, ...] = ("--workers", "2")  # options of each search
KINDS = {
    "last-doc": "champion by last-document loss",
    "held-out": "champion by held-out loss",
}
PARTS = split(load_text(bundled("names.txt")), validation=0.1, test=0.1)


def main() -> None:
    """Search, retest, print the table and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--searches", type=int, default=10)
    n = parser.parse_args().searches
    champions: dict[str, list[dict]] = {"the primordial genome": [worth(PRIMORDIAL)]}
    organisms = []
    for fitness, kind in KINDS.items():
        champions[kind] = []
        for seed in range(FIRST_SEED, FIRST_SEED + n):
            genome, found, evaluations = search(fitness, seed)
            champions[kind].append({"found": found, **worth(genome)})
            print(f"{fitness}, seed {seed}: {genome.describe()} {champions[kind][-1]}", flush=True)
            organisms += [
                [round(line["last_loss"], 3), round(line["val_loss"], 3)]
                for line in evaluations
                if line.get("val_loss") is not None and line["origin"] != "confirm"
            ]
    kept = {
        "machine": machine(all_cores=True),
        "date": str(date.today()),
        "searches": n,
        "summary": {kind: summary(each) for kind, each in champions.items()},
        "champions": champions,
        "organisms": organisms,
        "rank correlation": correlation(*map(ranks, zip(*organisms, strict=True))),
    }
    print(fitness_table(kept))
    print(f"{len(organisms)} organisms, rank correlation {kept['rank correlation']:.2f}")
    results_file("evolution_fitness").write_text(json.dumps(kept) + "\n")


def search(fitness: str, seed: int) -> tuple[Genome, float, list[dict]]:
    """Run a search; return the champion, its last-document loss, and all evaluations."""
    command = [sys.executable, "-m", "microgpt_cli", "evolve", "--data", bundled("names.txt"),
               "--fitness", fitness, "--seed", str(seed), *OPTIONS]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        (lines,) = Path(folder, "experiments").glob("*/evaluations.jsonl")
        champion = read_genome(f"{folder}/genome.json")
        evaluations = [json.loads(line) for line in lines.read_text().splitlines()]
    return champion.genome, champion.loss, [line for line in evaluations if "flops" in line]


def worth(genome: Genome) -> dict[str, float]:
    """Retrain a genome with fresh seeds, and return its mean losses and the FLOPs per run."""
    tested = retest(genome, PARTS, FRESH_SEEDS)
    return {
        "last": fmean(tested.last_losses),
        "val": fmean(tested.val_losses),
        "test": fmean(tested.test_losses),
        "mflops": LossObjective.of(PARTS, "held-out").flops(genome) / 1e6,
    }


def summary(champions: list[dict]) -> dict[str, list[float]]:
    """Return the mean of each figure, and half of its interval if there are several champions."""
    figures = {}
    for name in ("found", "last", "val", "test", "mflops"):
        numbers = [champion[name] for champion in champions if name in champion]
        half = [half_width(numbers)] if len(numbers) > 1 else []
        figures[name] = [fmean(numbers), *half] if numbers else []
    return figures


def ranks(numbers: tuple[float, ...]) -> list[int]:
    """Return the rank of each number."""
    order = sorted(numbers)
    return [order.index(number) for number in numbers]


if __name__ == "__main__":
    main()
