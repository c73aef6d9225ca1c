"""Report of a search with a budget: learning curves, the best loss so far, and the organisms."""

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import altair as alt

from microgpt import duration
from microgpt_evolution.budgeted.genome import EVALUATIONS
from microgpt_evolution.budgeted.records import BudgetedRecords
from microgpt_evolution.errors import RunError
from microgpt_evolution.genome import BUDGETED_GENES, Genome, values_of
from microgpt_evolution.runs.run_directory import TrialRecord
from microgpt_report import look, theme
from microgpt_report.page import Report, Row, Section, Table, change, cost, describe_data
from microgpt_report.setting_names import in_words, value_in_words

N_ROWS = 20  # maximum number of organisms in the table
LOSS = "held-out loss, nats per character"


def budgeted_report(directory: Path) -> Report:
    """Return the report of a search, which may still be running.

    Raises:
        RunError: the run is damaged, or no organism has a loss yet.
    """
    run = BudgetedRecords.read(directory)
    settings, rungs = run.settings, run.lines
    losses: dict[str, list[float]] = {}  # of each organism that did not diverge in its first rung
    for rung in sorted(rungs, key=lambda rung: rung.until or 0):
        if rung.losses:
            losses.setdefault(rung.id, []).extend(rung.losses)
    if not losses:
        raise RunError(f"{directory} has no evaluations yet; try again later")
    rule, genomes = settings.first[0], {rung.id: rung.genome for rung in rungs}
    lowest = {id: min(curve) for id, curve in losses.items()}
    ranked = sorted(lowest, key=lowest.__getitem__)
    best = ranked[0]
    start = next((id for id in losses if genomes[id] == rule), best)
    found = f"{lowest[best]:.2f}" if start == best else change(lowest[start], lowest[best])
    spent, took = sum(rung.flops for rung in rungs), sum(rung.seconds for rung in rungs)
    n_complete = sum(len(curve) == EVALUATIONS for curve in losses.values())
    facts = {
        "start": f"{lowest[start]:.4f} nats per character, settings of the rule",
        "result": f"held-out loss {lowest[best]:.4f} nats per character",
        "winner": f"{best}: {genomes[best].describe()}",
        "organisms": f"{len(genomes)}, {n_complete} of them trained to the end",
        "cost": f"{cost(spent, took)}, {spent / settings.budget:.0%} of the budget",
        "seed": str(settings.seed),
        "data": describe_data(settings.input, settings.data_sha256),
    }
    rows = [
        [id, f"{lowest[id]:.4f}", f"{len(losses[id])}/{EVALUATIONS}", _changes(genomes[id], rule)]
        for id in ranked[:N_ROWS]
    ]
    organisms = Section(
        "organisms",
        "Organisms",
        f"The best {min(N_ROWS, len(ranked))} of {len(ranked)} organisms, and how their genes "
        "differ from those of the rule.",
        table=Table(["", "held-out loss", "trained", "genes"], rows, is_prose=True),
    )
    return Report(
        f"Held-out loss {found}, evolved in {duration(took)} of training",
        f"Search with a budget: {directory.name}",
        facts,
        [_curves(rungs, rule), _progress(rungs), organisms],
    )


def _changes(genome: Genome, first: Genome) -> str:
    """Return the genes that differ, for example "layers 3 → 4"."""
    new, old = (values_of(each, BUDGETED_GENES) for each in (genome, first))
    changes = [
        f"{in_words(gene)} {value_in_words(old[gene])} → {value_in_words(new[gene])}"
        for gene in new
        if new[gene] != old[gene]
    ]
    return ", ".join(changes) or "the rule's genome"


def _curves(rungs: Sequence[TrialRecord], rule: Genome) -> Section:
    rows: list[Row] = [
        {
            "id": rung.id,
            "kind": theme.RULE if rung.genome == rule else theme.kind_of(rung.origin),
            "share": evaluation / EVALUATIONS,
            "loss": loss,
            "genome": rung.genome.describe(),
        }
        for rung in rungs
        for evaluation, loss in enumerate(
            rung.losses, start=(rung.until or 0) - len(rung.losses) + 1
        )
    ]
    line = theme.of("curves").encode(
        x=alt.X(
            "share:Q",
            title="share of the training run",
            scale=alt.Scale(domain=[0, 1]),
            axis=alt.Axis(format="%", tickCount=4),
        ),
        y=theme.loss_axis("loss:Q", LOSS),
        color=theme.kind_color({row["kind"] for row in rows}),
        detail="id:N",
        tooltip=theme.tooltip("id", "loss", "genome"),
    )
    return Section(
        "curves",
        "Learning curves",
        "Held-out loss of each organism during its training run. The less promising "
        "organisms pause after the sixth evaluation.",
        alt.layer(line.mark_line(opacity=0.7), theme.points(line)),
        datasets={"curves": rows},
    )


def _progress(rungs: Sequence[TrialRecord]) -> Section:
    finished = [rung for rung in rungs if rung.losses]
    spent = accumulate(rung.flops for rung in finished)
    best = accumulate((min(rung.losses) for rung in finished), min)
    rows: list[Row] = [
        {
            "id": rung.id,
            "origin": rung.origin,
            "operations": operations,
            "loss": min(rung.losses),
            "best": lowest,
            "genome": rung.genome.describe(),
        }
        for rung, operations, lowest in zip(finished, spent, best, strict=True)
    ]
    axis = alt.Axis(format="~s", tickCount=5)
    base = theme.of("progress").encode(x=alt.X("operations:Q", title="operations", axis=axis))
    line = base.mark_line(interpolate="step-after", color=look.ORANGE)
    tooltip = theme.tooltip("id", "origin", "loss", "genome")
    points = theme.points(base).encode(y="loss:Q", color=alt.value(look.BLUE), tooltip=tooltip)
    return Section(
        "progress",
        "Lowest loss so far",
        "Orange line: lowest held-out loss against the operations of the search. Points: lowest "
        "loss of each rung, a stretch of a training run.",
        alt.layer(line.encode(y=theme.loss_axis("best:Q", LOSS)), points),
        datasets={"progress": rows},
    )
