"""Report of a search with a budget: learning curves, the best loss so far, and the organisms."""

from collections.abc import Sequence
from dataclasses import asdict
from itertools import accumulate
from pathlib import Path

import altair as alt
from altair.typing import ChartType

from microgpt.amounts import duration
from microgpt_evolution.budgeted.genome import BudgetedGenome
from microgpt_evolution.budgeted.objective import EVALUATIONS
from microgpt_evolution.budgeted.records import BudgetedRecords, RungRecord
from microgpt_evolution.errors import RunError
from microgpt_report import look, theme
from microgpt_report.page import Report, Row, Section, Table, change, cost, describe_data
from microgpt_report.setting_names import in_words, value_in_words

N_ROWS = 20  # maximum number of organisms in the table


def budgeted_report(directory: Path) -> Report:
    """Return the report of a search, which may still be running.

    Raises:
        RunError: the run is damaged, or no organism has a loss yet.
    """
    run = BudgetedRecords.read(directory)
    settings, rungs = run.settings, run.lines
    curves = _curves(rungs)
    if not curves:
        raise RunError(f"{directory} has no evaluations yet; try again later")
    genomes = {rung.id: rung.genome for rung in rungs}
    ranked = sorted(curves, key=lambda id: min(curves[id]))
    best = ranked[0]
    spent = sum(rung.operations for rung in rungs)
    start = next((id for id in curves if genomes[id] == settings.first[0]), best)
    lowest, took = min(curves[best]), sum(rung.seconds for rung in rungs)
    found = f"{lowest:.2f}" if start == best else change(min(curves[start]), lowest)
    headline = f"Held-out loss {found}, evolved in {duration(took)} of training"
    facts = {
        "start": f"{min(curves[start]):.4f} nats per character, settings of the rule",
        "result": f"held-out loss {lowest:.4f} nats per character",
        "winner": f"{best}: {genomes[best].describe()}",
        "organisms": f"{len(genomes)}, {sum(map(_is_complete, curves.values()))} of them trained "
        "to the end",
        "cost": f"{cost(spent, took)}, {spent / settings.budget:.0%} of the budget",
        "seed": str(settings.seed),
        "data": describe_data(settings.input, settings.data_sha256),
    }
    curve_rows = _curve_rows(rungs, settings.first[0])
    sections = [
        Section(
            "curves",
            "Learning curves",
            "Held-out loss of each organism during its training run. Those that promise little "
            "pause after the sixth evaluation.",
            _curves_chart(curve_rows),
            datasets={"curves": curve_rows},
        ),
        Section(
            "progress",
            "Lowest loss so far",
            "Orange line: lowest held-out loss against the operations of the search. Points: "
            "lowest loss of each rung, a stretch of a training run.",
            _progress_chart(),
            datasets={"progress": _progress_rows(rungs)},
        ),
        Section(
            "organisms",
            "Organisms",
            f"The best {min(N_ROWS, len(ranked))} of {len(ranked)}, and what distinguishes each "
            "from that of the rule.",
            table=_table(ranked[:N_ROWS], curves, genomes, settings.first[0]),
        ),
    ]
    return Report(headline, f"Search with a budget: {directory.name}", facts, sections)


def _is_complete(curve: Sequence[float]) -> bool:
    return len(curve) == EVALUATIONS


def _curves(rungs: Sequence[RungRecord]) -> dict[str, list[float]]:
    """Return the losses of each organism that did not diverge in its first rung."""
    curves: dict[str, list[float]] = {}
    for rung in sorted(rungs, key=lambda rung: rung.until):
        if rung.losses:
            curves.setdefault(rung.id, []).extend(rung.losses)
    return curves


def _curve_rows(rungs: Sequence[RungRecord], rule: BudgetedGenome) -> list[Row]:
    return [
        {
            "id": rung.id,
            "kind": theme.RULE if rung.genome == rule else theme.kind_of(rung.origin),
            "share": evaluation / EVALUATIONS,
            "loss": loss,
            "genome": rung.genome.describe(),
        }
        for rung in rungs
        for evaluation, loss in enumerate(rung.losses, start=rung.until - len(rung.losses) + 1)
    ]


def _curves_chart(rows: Sequence[Row]) -> ChartType:
    line = theme.of("curves").encode(
        x=alt.X(
            "share:Q",
            title="share of the training run",
            scale=alt.Scale(domain=[0, 1]),
            axis=alt.Axis(format="%", tickCount=4),
        ),
        y=theme.loss_axis("loss:Q", "held-out loss, nats per character"),
        color=theme.kind_color({str(row["kind"]) for row in rows}),
        detail="id:N",
        tooltip=theme.tooltip("id", "loss", "genome"),
    )
    return alt.layer(line.mark_line(opacity=0.7), theme.points(line))


def _progress_rows(rungs: Sequence[RungRecord]) -> list[Row]:
    finished = [rung for rung in rungs if rung.losses]
    spent = accumulate(rung.operations for rung in finished)
    losses = [min(rung.losses) for rung in finished]
    return [
        {
            "id": rung.id,
            "origin": rung.origin,
            "operations": operations,
            "loss": loss,
            "best": best,
            "genome": rung.genome.describe(),
        }
        for rung, operations, loss, best in zip(
            finished, spent, losses, accumulate(losses, min), strict=True
        )
    ]


def _progress_chart() -> ChartType:
    base = theme.of("progress").encode(
        x=alt.X("operations:Q", title="operations", axis=alt.Axis(format="~s", tickCount=5))
    )
    line = base.mark_line(interpolate="step-after", color=look.ORANGE).encode(
        y=theme.loss_axis("best:Q", "held-out loss, nats per character")
    )
    points = theme.points(base).encode(
        y="loss:Q",
        color=alt.value(look.BLUE),
        tooltip=theme.tooltip("id", "origin", "loss", "genome"),
    )
    return alt.layer(line, points)


def _table(
    ids: Sequence[str],
    curves: dict[str, list[float]],
    genomes: dict[str, BudgetedGenome],
    first: BudgetedGenome,
) -> Table:
    rows = [
        [
            id,
            f"{min(curves[id]):.4f}",
            f"{len(curves[id])}/{EVALUATIONS}",
            _changes(genomes[id], first),
        ]
        for id in ids
    ]
    return Table(["", "held-out loss", "trained", "genes"], rows, is_prose=True)


def _changes(genome: BudgetedGenome, first: BudgetedGenome) -> str:
    """Return the genes that differ, for example "layers 3 → 4"."""
    new, old = asdict(genome), asdict(first)
    changes = [
        f"{in_words(gene)} {value_in_words(old[gene])} → {value_in_words(new[gene])}"
        for gene in new
        if new[gene] != old[gene]
    ]
    return ", ".join(changes) or "the rule's genome"
