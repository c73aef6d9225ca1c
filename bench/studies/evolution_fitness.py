"""Are the champions of loss searches good, or merely lucky?

Those by last-document loss are lucky; those by held-out loss are good
(docs/measurements/evolution.md).

    uv run python bench/study.py evolution_fitness [--searches 10]

Runs `microgpt evolve` with evolve-rust's settings, by held-out loss and, as in evolve-rust, by the
loss of the last document. Each champion and the primordial genome are then trained again with fresh
seeds on the training set, and evaluated on the validation and test sets. Stores the means over the
searches with 95 % intervals, the FLOPs per training run, and both losses of every organism in the
held-out searches. Two minutes on two cores.
"""

import json
import subprocess
import sys
import tempfile
from argparse import Namespace
from pathlib import Path
from statistics import correlation, fmean

import altair as alt
from harness import FIRST_SEED
from machine import machine
from tables import headed

from microgpt.data.documents import bundled, load_text
from microgpt.data.split import split
from microgpt_evolution.confidence_interval import half_width
from microgpt_evolution.genome import PRIMORDIAL, Genome
from microgpt_evolution.genome_file import read_genome
from microgpt_evolution.objectives.loss_objective import LossObjective
from microgpt_evolution.search.retest import retest
from microgpt_report.look import BLUE, GREEN, GREY, ORANGE

FRESH_SEEDS = (1, 2, 3)
SEARCH: tuple[str, ...] = ("--workers", "2")  # options of each search
OPTIONS = {"searches": 10}
KINDS = {"last-doc": "champion by last-document loss", "held-out": "champion by held-out loss"}
PARTS = split(load_text(bundled("names.txt")), validation=0.1, test=0.1)


def measure(options: Namespace) -> dict:
    """Search and retest."""
    n = options.searches
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
    related = correlation(*map(ranks, zip(*organisms, strict=True)))
    print(f"{len(organisms)} organisms, rank correlation {related:.2f}")
    return {
        "machine": machine(all_cores=True),
        "searches": n,
        "summary": {kind: summary(each) for kind, each in champions.items()},
        "champions": champions,
        "organisms": organisms,
        "rank correlation": related,
    }


def search(fitness: str, seed: int) -> tuple[Genome, float, list[dict]]:
    """Run a search; return the champion, its last-document loss, and all evaluations."""
    command = [sys.executable, "-m", "microgpt_cli", "evolve", "--data", bundled("names.txt"),
               "--fitness", fitness, "--seed", str(seed), *SEARCH]  # fmt: skip
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


def fitness_table(fitness: dict, *_: dict) -> str:
    """Return a table of the champions' losses by kind of search, and of the primordial genome's."""
    head = ["", "last document (search)", "last document (retest)", "held out (retest)",
            "test (retest)", "MFLOP per training run"]  # fmt: skip
    lines = []
    for kind, summary in fitness["summary"].items():
        losses = [interval(summary[name], 3) for name in ("found", "last", "val", "test")]
        lines.append([kind, *losses, interval(summary["mflops"], 0)])
    return headed(head, lines, fitness)


def interval(mean_and_half: list[float], decimals: int) -> str:
    """Format a mean, with the half-width of its confidence interval if there is one."""
    return " ± ".join(f"{number:,.{decimals}f}" for number in mean_and_half) or "–"


def last_document(fitness: dict, *_: dict) -> alt.LayerChart:
    """Return the chart of held-out loss against last-document loss of organisms and champions."""
    everyone = "organisms of the search"
    kinds = [everyone, *fitness["champions"]]
    champions = [
        {"kind": kind, "last": champion.get("found", champion["last"]), "val": champion["val"]}
        for kind, each in fitness["champions"].items()
        for champion in each
    ]
    organisms = [{"kind": everyone, "last": x, "val": y} for x, y in fitness["organisms"]]
    color = alt.Color(
        "kind:N",
        title=None,
        scale=alt.Scale(domain=kinds, range=[GREY, GREEN, ORANGE, BLUE]),
        legend=alt.Legend(columns=2),
    )
    layers = [
        alt.Chart(alt.Data(values=values))
        .mark_point(filled=True, size=size, opacity=opacity, clip=True, aria=False)
        .encode(
            x=alt.X(
                "last:Q",
                scale=alt.Scale(domain=[1, 4]),
                title="loss of the last training document, nats per token",
            ),
            y=alt.Y(
                "val:Q", scale=alt.Scale(domain=[2.25, 3]), title="held-out loss, nats per token"
            ),
            color=color,
        )
        for values, size, opacity in ((organisms, 20, 0.4), (champions, 90, 1))
    ]
    return alt.layer(*layers).properties(
        width=520, height=300, title="Loss of the last document against held-out loss"
    )


TABLES = {"evolution_fitness": fitness_table}
PICTURES = {"last_document": last_document}
