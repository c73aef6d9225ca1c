"""Which losses has every genome of a grid?

The table on which search_fight.py compares searches (docs/measurements/evolution.md).

    uv run python bench/study.py search_table [--workers 2]

Each of the 1,024 genomes is trained with two seeds for the same number of operations. One text is a
tenth of the names: with these operations, training overfits without regularization. The other is
Shakespeare, which is read only a few times. Stores the validation loss at eight points of each
training run and the test loss, in nats per character. An interrupted run can be continued. Takes
about three hours on one core.
"""

import json
import lzma
from argparse import Namespace
from dataclasses import dataclass, replace
from itertools import product

from harness import BENCH

from microgpt.data.documents import bundled, load_text
from microgpt.data.split import split, split_stream
from microgpt.files.atomic_files import publish
from microgpt.training.choice import choose
from microgpt.training.engines import prepare_engine
from microgpt.training.train import train
from microgpt_evolution.budgeted.genome import BudgetedGenome
from microgpt_evolution.budgeted.objective import BudgetedObjective, Rung
from microgpt_evolution.workers.pools import Threads
from microgpt_evolution.workers.retrying_driver import Outcome, evaluate_all

TABLE = BENCH / "results" / "search_table.json.xz"
OPERATIONS = 3e11  # per training run; about two seconds with the evaluations
GRID: dict[str, tuple[float, ...]] = {
    "n_embd": (24, 40, 64, 104),
    "n_layer": (1, 2, 3, 5),
    "lr": (0.0015, 0.003, 0.006, 0.012),
    "dropout": (0.0, 0.1, 0.2, 0.35),
    "n_tokens": (250, 700, 2000, 6000),
}
GENES = list(product(*GRID.values()))
SEEDS = (1, 2)
OPTIONS = {"workers": 1}
EVERY = 64  # number of training runs between writes


@dataclass(frozen=True)
class Table:
    """The losses of the training runs, in nats per character.

    Attributes:
        losses: validation losses at the evaluations, then the test loss, by text, seed and index
            in GENES; None for runs that are missing, an empty list for those that diverged.
    """

    losses: dict[str, dict[str, list[list[float] | None]]]


def measure(options: Namespace) -> None:
    """Run the missing training runs."""
    prepare_engine("compiled", uses=("training", "evaluation"))
    table = read_table()
    with Threads(options.workers) as pool:
        for text in ("names", "shakespeare"):
            objective = objective_of(text)
            missing = [
                (seed, i)
                for seed in SEEDS
                for i, losses in enumerate(table.losses[text][str(seed)])
                if losses is None
            ]
            for first in range(0, len(missing), EVERY):
                run(table, text, objective, missing[first : first + EVERY], pool)
                print(f"{text}: {len(missing) - first} training runs left", flush=True)


def run(
    table: Table,
    text: str,
    objective: BudgetedObjective,
    points: list[tuple[int, int]],
    pool: Threads,
) -> None:
    """Train some genomes, given by seed and index, and add their losses to the table."""
    genomes = genomes_of(objective)

    def losses_of(point: tuple[int, int]) -> list[float]:
        seed, i = point
        found = objective.measure(Rung(genomes[i]), seed)
        if not found.checkpoint:
            return []
        plan, state = found.checkpoint  # of a complete training run, which has a test loss
        result = train(
            objective.parts,
            model=plan.model,
            config=plan.config,
            tokenizer=plan.tokenizer,
            resume=state,
        )
        return [*found.losses, *([] if result.test_loss is None else [result.test_loss])]

    def add(place: int, outcome: Outcome[list[float]]) -> None:
        seed, i = points[place]
        assert outcome.result is not None, outcome.error
        table.losses[text][str(seed)][i] = [round(each, 4) for each in outcome.result]

    evaluate_all(losses_of, points, pool, on_outcome=add)
    content = lzma.compress(json.dumps(table.losses).encode())
    publish(TABLE.parent, {TABLE.name: content})


def read_table() -> Table:
    """Return the table so far."""
    if TABLE.exists():
        return Table(json.loads(lzma.decompress(TABLE.read_bytes())))
    empty = {str(seed): [None] * len(GENES) for seed in SEEDS}
    return Table(json.loads(json.dumps({"names": empty, "shakespeare": empty})))


def objective_of(text: str) -> BudgetedObjective:
    """Return the objective for a text of the table."""
    if text == "names":
        parts = split(load_text(bundled("names.txt")), validation=0.05, test=0.05)
        return BudgetedObjective(replace(parts, train=parts.train[::10]), "lines", OPERATIONS)
    whole = bundled("shakespeare.txt").read_text(encoding="utf-8")
    parts = split_stream(whole, validation=0.015, test=0.015, gap=256)
    return BudgetedObjective(parts, "stream", OPERATIONS)


def genomes_of(objective: BudgetedObjective) -> list[BudgetedGenome]:
    """Return the genomes of the grid; the other genes are those that the rule chooses."""
    ruled = ruled_genome(objective)
    return [replace(ruled, **dict(zip(GRID, genes, strict=True))) for genes in GENES]


def ruled_genome(objective: BudgetedObjective) -> BudgetedGenome:
    """Return the genome that the rule chooses."""
    tokens = objective.tokens(None)
    choice = choose(objective.parts, tokens.tokenizer, OPERATIONS, text=objective.text)
    return BudgetedGenome.of(choice, tokens.training.chunk_length(choice.model.block_size), None)
