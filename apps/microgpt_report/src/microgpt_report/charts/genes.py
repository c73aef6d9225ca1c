"""Parallel-coordinates chart of the genes: one line per organism, colored by its ranking."""

import math
from collections.abc import Sequence
from typing import Any

import altair as alt

from microgpt_evolution.genome import GENES
from microgpt_report import look, theme
from microgpt_report.evaluation_rows import STANDINGS
from microgpt_report.page import Row, Section
from microgpt_report.run_summary import RunSummary
from microgpt_report.setting_names import in_words

HEIGHT, GENE_WIDTH = 320, 80
LABEL: dict[str, Any] = {"align": "right", "dx": -7, "fontSize": 11, "fontWeight": "bold"}
APART = 0.06  # equal values are spread over this fraction of the axis, with the best on top
N_LABELS = 8  # maximum number of labels per axis; with more values, only the ends are labelled
HAS_WORTH = "datum.overall !== null"


def section(summary: RunSummary, done: Sequence[Row]) -> Section | None:
    """Return the section on the genes of finished evaluations, or None if no gene varies."""
    values = {gene: sorted({row[gene] for row in done}) for gene in GENES}
    varying = {gene: found for gene, found in values.items() if len(found) > 1}
    if not varying:
        return None
    return Section(
        "genes",
        "Genes",
        f"One line per organism, colored by {summary.common.name}. Drag over the strip on the "
        "right to select organisms. All axes are logarithmic.",
        _chart(summary, varying),
        datasets={"labels": _labels(varying)},
    )


def _labels(varying: dict[str, list[float]]) -> list[Row]:
    """Return the axis labels: all values of a gene, or only the lowest and the highest."""
    labels = []
    for gene, values in varying.items():
        low, span = _axis(values)
        form = ".3g" if gene == "lr" else ","
        shown = values if len(values) <= N_LABELS else [values[0], values[-1]]
        labels += [
            {"gene": gene, "at": (math.log(value) - low) / span, "label": f"{value:{form}}"}
            for value in shown
        ]
    return labels


def _axis(values: list[float]) -> tuple[float, float]:
    """Return the start and length of a gene's axis on a logarithmic scale."""
    low = math.log(values[0])
    return low, math.log(values[-1]) - low


def _chart(summary: RunSummary, varying: dict[str, list[float]]) -> alt.HConcatChart:
    """Return the line chart and a strip on which a range of values can be selected."""
    brush = alt.selection_interval(name="worths", encodings=["y"])
    colors = [look.ORANGE, look.SKY, f"{look.GREY}60"]
    scale = alt.Scale(domain=list(STANDINGS), range=colors)
    color = alt.Color("standing:N", title=None, scale=scale, legend=alt.Legend(symbolType="stroke"))
    words = "{" + ", ".join(f"{gene}: '{in_words(gene)}'" for gene in varying) + "}[datum.value]"
    axis = alt.Axis(labelAngle=-30, labelExpr=words, domain=False)
    x = alt.X("gene:N", sort=list(varying), title=None, axis=axis)
    opacity = alt.condition(brush, alt.value(0.6), alt.value(0.03))
    tooltip = theme.EVALUATION_TOOLTIP
    lines = _lines(varying).encode(x=x, color=color, opacity=opacity, tooltip=tooltip)
    strip = (
        theme.of("evaluations")
        .transform_filter(HAS_WORTH)
        .mark_tick(thickness=1.4, size=26)
        .encode(
            y=alt.Y("overall:Q", title=summary.common.title, scale=alt.Scale(zero=False)),
            color=color,
            opacity=alt.condition(brush, alt.value(0.8), alt.value(0.1)),
        )
        .add_params(brush)
        .properties(name="strip", width=40, height=HEIGHT)
    )
    base = theme.of("labels").encode(x=x)
    axes = base.transform_aggregate(low="min(at)", high="max(at)", groupby=["gene"])
    axes = axes.mark_rule(color=look.GREY).encode(y=alt.Y("low:Q", axis=None), y2="high:Q")
    labels = base.encode(y=alt.Y("at:Q", axis=None), text="label:N")
    halo, text = labels.mark_text(**LABEL, style="halo"), labels.mark_text(**LABEL)
    left = alt.layer(axes, lines, halo, text).properties(width=alt.Step(GENE_WIDTH), height=HEIGHT)
    return alt.hconcat(left, strip)


def _lines(varying: dict[str, list[float]]) -> alt.Chart:
    """Return a chart with one line per evaluation. Each axis spans the values of one gene."""
    lows = {gene: _axis(values)[0] for gene, values in varying.items()}
    spans = {gene: _axis(values)[1] for gene, values in varying.items()}
    apart = {gene: APART if len(values) <= N_LABELS else 0 for gene, values in varying.items()}
    lines: alt.Chart = (
        theme.of("evaluations")
        .transform_filter(HAS_WORTH)
        .transform_fold(list(varying), as_=["gene", "value"])
        .transform_calculate(
            at=f"(log(datum.value) - {lows}[datum.gene]) / {spans}[datum.gene]"
            f" + {apart}[datum.gene] * datum.lead"
        )
        .mark_line(strokeWidth=1.4)
    )
    return lines.encode(y=alt.Y("at:Q", axis=None), detail="id:N")
