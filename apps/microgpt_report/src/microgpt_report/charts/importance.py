"""Chart of how much of the differences in worth goes with each gene."""

from collections.abc import Sequence
from dataclasses import asdict

import altair as alt
from altair.typing import ChartType

from microgpt_evolution.genome import GENES
from microgpt_report import theme
from microgpt_report.gene_importance import Importance, importance
from microgpt_report.page import Row, Section
from microgpt_report.run_summary import CONFIRM, PRIMORDIAL, RunSummary

LEAST_RANGE = 0.2  # of the axis, so that a small share looks small
FEWEST = 12  # evaluations from which importance can be told


def section(summary: RunSummary, done: Sequence[Row]) -> Section | None:
    """Return the section, given the evaluations that finished; None if they are too few."""
    bred = [row for row in done if row["origin"] not in (CONFIRM, PRIMORDIAL)]
    if len(bred) < FEWEST:
        return None
    sign = -1 if summary.common.is_loss else 1
    worths = [sign * row["overall"] for row in bred]
    genes = [importance(gene, [row[gene] for row in bred], worths) for gene in GENES]
    found = sorted((gene for gene in genes if gene), key=lambda gene: -gene.share)
    if not found:
        return None
    rows = [asdict(one) | {"word": one.word, "end": max(one.share, one.chance)} for one in found]
    return Section(
        "importance",
        "Which genes mattered",
        f"How much of the differences in {summary.common.name} goes with one gene alone: the share "
        "of the variance of its ranks that lies between groups of organisms, made by the gene (up "
        "to four; eta squared of Kruskal and Wallis's H). Chance alone gets beyond the red mark "
        "one time in twenty; bars that do not are grey. Genes that were bred together share what "
        "one of them did.",
        _chart(found),
        datasets={"importance": rows},
    )


def _chart(found: Sequence[Importance]) -> ChartType:
    """Return a bar for each gene: its share of the differences in worth."""
    y = alt.Y("gene:N", sort=[one.gene for one in found], title=None)
    largest = max(LEAST_RANGE, *(max(one.share, one.chance) for one in found))
    x = alt.X(
        "share:Q",
        title="share of the differences in worth",
        axis=alt.Axis(format="%"),
        scale=alt.Scale(domain=[0, largest]),
    )
    base = theme.of("importance")
    blue, grey = alt.value(theme.BLUE), alt.value(theme.GREY)
    bars = base.mark_bar(height=16).encode(
        x=x,
        y=y,
        color=alt.condition("datum.share > datum.chance", blue, grey),
        tooltip=theme.tooltip("gene", "share", "chance", "correlation"),
    )
    chance = base.mark_tick(color=theme.RED, thickness=2, size=22).encode(y=y, x="chance:Q")
    words = base.mark_text(align="left", dx=8).encode(y=y, x="end:Q", text="word:N")
    return alt.layer(bars, chance, words).properties(
        width=theme.WIDTH - 160, height=30 * len(found)
    )
