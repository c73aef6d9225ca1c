"""Which genes the organisms had, and which of them mattered."""

import math
from typing import Any

import altair as alt

from microgpt_evolution.genome import GENES
from microgpt_report import theme
from microgpt_report.charts.importance import Importance
from microgpt_report.rows import STANDINGS, Row
from microgpt_report.run_summary import RunSummary

HEIGHT = 320
LABEL: dict[str, Any] = {"align": "right", "dx": -7, "fontSize": 11, "fontWeight": "bold"}
LEAST_RANGE = 0.2  # of shares, so that next to nothing looks like it
APART = 0.06  # of an axis, over which lines through one value are spread, the better above
N_LABELS = 8  # of an axis; one with more values has its ends alone


def varying(rows: list[Row]) -> list[str]:
    """Return the genes that are not the same in all organisms."""
    return [gene for gene in GENES if len({row[gene] for row in rows}) > 1]


def label_rows(rows: list[Row]) -> list[Row]:
    """Return what is written beside the axes: some of the values that there are."""
    labels = []
    for gene in varying(rows):
        values = sorted({row[gene] for row in rows})
        low, span = _scale(rows, gene)
        shown = values if len(values) <= N_LABELS else [values[0], values[-1]]
        labels += [
            {"gene": gene, "at": (math.log(value) - low) / span, "label": f"{value:.3g}"}
            if gene == "lr" else
            {"gene": gene, "at": (math.log(value) - low) / span, "label": f"{value:,}"}
            for value in shown
        ]  # fmt: skip
    return labels


def _scale(rows: list[Row], gene: str) -> tuple[float, float]:
    """Return where the axis of a gene begins and how long it is, in logarithms."""
    values = [row[gene] for row in rows]
    return math.log(min(values)), math.log(max(values)) - math.log(min(values))


def draw(story: RunSummary, rows: list[Row]) -> theme.Chart:
    """Return a line for each organism through its genes, and beside it what it was worth.

    Who drags over the worths sees the lines of those alone.
    """
    brush = alt.selection_interval(name="worths", encodings=["y"])
    color = alt.Color(
        "standing:N",
        title=None,
        scale=alt.Scale(domain=list(STANDINGS), range=[theme.RED, theme.SKY, f"{theme.GREY}60"]),
        legend=alt.Legend(orient="top", symbolType="stroke", symbolOpacity=1),
    )
    genes = varying(rows)
    x = alt.X("gene:N", sort=genes, title=None, axis=alt.Axis(labelAngle=0, domain=False))
    lines = _lines(genes, rows).encode(
        x=x,
        color=color,
        opacity=alt.condition(brush, alt.value(0.6), alt.value(0.03)),
        tooltip=theme.about_an_evaluation(),
    )
    strip = (
        theme.of("evaluations")
        .transform_filter("datum.overall !== null")
        .mark_tick(thickness=1.4, size=26)
        .encode(
            y=alt.Y("overall:Q", title=story.common.title, scale=alt.Scale(zero=False)),
            color=color,
            opacity=alt.condition(brush, alt.value(0.8), alt.value(0.1)),
        )
        .add_params(brush)
        .properties(name="strip", width=40, height=HEIGHT)
    )
    axes, *labels = _axes(x)
    left = alt.layer(axes, lines, *labels).properties(width=theme.WIDTH - 190, height=HEIGHT)
    return alt.hconcat(left, strip)


def _lines(genes: list[str], rows: list[Row]) -> alt.Chart:
    """Return a line for each evaluation, each axis as long as its gene varies."""
    lows = {gene: _scale(rows, gene)[0] for gene in genes}
    spans = {gene: _scale(rows, gene)[1] for gene in genes}
    apart = {gene: APART if len({row[gene] for row in rows}) <= N_LABELS else 0 for gene in genes}
    lines: alt.Chart = (
        theme.of("evaluations")
        .transform_filter("datum.overall !== null")
        .transform_fold([*genes], as_=["gene", "value"])
        .transform_calculate(
            at=f"(log(datum.value) - {lows}[datum.gene]) / {spans}[datum.gene]"
            f" + {apart}[datum.gene] * datum.lead"
        )
        .mark_line(strokeWidth=1.4)
        .encode(y=alt.Y("at:Q", axis=None), detail="id:N")
    )
    return lines


def _axes(x: alt.X) -> tuple[alt.Chart, alt.Chart, alt.Chart]:
    """Return a line for each gene, a halo for its labels, and these."""
    base = theme.of("labels").encode(x=x)
    axes = base.transform_aggregate(low="min(at)", high="max(at)", groupby=["gene"])
    axes = axes.mark_rule(color=theme.GREY).encode(y=alt.Y("low:Q", axis=None), y2="high:Q")
    labels = base.encode(y=alt.Y("at:Q", axis=None), text="label:N")
    return axes, labels.mark_text(**LABEL, style="halo"), labels.mark_text(**LABEL)


def draw_importance(found: list[Importance]) -> theme.Chart:
    """Return a bar for each gene: its share of the differences in worth."""
    order = [one.gene for one in found]
    y = alt.Y("gene:N", sort=order, title=None)
    base = theme.of("importance")
    bars = base.mark_bar(height=16).encode(
        y=y,
        x=alt.X(
            "share:Q",
            title="share of the differences in worth",
            axis=alt.Axis(format="%"),
            scale=alt.Scale(
                domain=[0, max(LEAST_RANGE, *(max(one.share, one.chance) for one in found))]
            ),
        ),
        color=alt.condition(
            "datum.share > datum.chance", alt.value(theme.BLUE), alt.value(theme.GREY)
        ),
        tooltip=[
            alt.Tooltip("gene:N"),
            alt.Tooltip("share:Q", format=".1%"),
            alt.Tooltip("chance:Q", format=".1%", title="by chance, one time in twenty"),
            alt.Tooltip("correlation:Q", format="+.2f", title="rank correlation with worth"),
        ],
    )
    chance = base.mark_tick(color=theme.RED, thickness=2, size=22).encode(y=y, x="chance:Q")
    words = base.mark_text(align="left", dx=8).encode(y=y, x="end:Q", text="word:N")
    return alt.layer(bars, chance, words).properties(
        width=theme.WIDTH - 160, height=30 * len(order)
    )
