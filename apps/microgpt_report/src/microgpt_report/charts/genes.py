"""Parallel-coordinates chart of the genes: one line per organism, colored by its ranking."""

from collections.abc import Mapping, Sequence
from math import log

import altair as alt

from microgpt_evolution.genome import GENES
from microgpt_report import look, theme
from microgpt_report.charts.evaluations import STANDINGS
from microgpt_report.page import Row, Section
from microgpt_report.run_summary import RunSummary
from microgpt_report.setting_names import in_words

HEIGHT, GENE_WIDTH = 320, 80
APART = 0.06  # equal values are spread over this fraction of the axis, with the best on top
N_LABELS = 8  # maximum number of labels per axis; with more values, only the ends are labelled

Values = Mapping[str, Sequence[float]]  # the sorted values of each gene that varies


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


def _labels(varying: Values) -> list[Row]:
    """Return the axis labels: all values of a gene, or only the lowest and the highest."""
    return [
        {"gene": gene, "value": value, "label": f"{value:{'.3g' if gene == 'lr' else ','}}"}
        for gene, values in varying.items()
        for value in (values if len(values) <= N_LABELS else (values[0], values[-1]))
    ]


def _chart(summary: RunSummary, varying: Values) -> alt.HConcatChart:
    """Return the line chart and a strip on which a range of values can be selected."""
    low = {gene: log(values[0]) for gene, values in varying.items()}
    span = {gene: log(values[-1]) - low[gene] for gene, values in varying.items()}
    at = f"(log(datum.value) - {low}[datum.gene]) / {span}[datum.gene]"  # from 0 to 1
    words = {gene: in_words(gene) for gene in varying}
    axis = alt.Axis(labelAngle=-30, labelExpr=f"{words}[datum.value]", domain=False)
    x = alt.X("gene:N", sort=list(varying), title=None, axis=axis)
    y = alt.Y("at:Q", axis=None)
    scale = alt.Scale(domain=list(STANDINGS), range=[look.ORANGE, look.SKY, f"{look.GREY}60"])
    color = alt.Color("standing:N", title=None, scale=scale, legend=alt.Legend(symbolType="stroke"))
    brush = alt.selection_interval(name="worths", encodings=["y"])

    evaluations = theme.of("evaluations").transform_filter("datum.overall !== null")
    strip = (
        evaluations.mark_tick(thickness=1.4, size=26)
        .encode(y=alt.Y("overall:Q", title=summary.common.title, scale=alt.Scale(zero=False)))
        .encode(color=color, opacity=alt.condition(brush, alt.value(0.8), alt.value(0.1)))
        .add_params(brush)
        .properties(name="strip", width=40, height=HEIGHT)
    )
    apart = {gene: APART if len(values) <= N_LABELS else 0 for gene, values in varying.items()}
    lines = (
        evaluations.transform_fold(list(varying), as_=["gene", "value"])
        .transform_calculate(at=f"{at} + {apart}[datum.gene] * datum.lead")
        .mark_line(strokeWidth=1.4)
        .encode(x=x, y=y, detail="id:N", color=color, tooltip=theme.EVALUATION_TOOLTIP)
        .encode(opacity=alt.condition(brush, alt.value(0.6), alt.value(0.03)))
    )
    labels = theme.of("labels").transform_calculate(at=at).encode(x=x)
    axes = labels.transform_aggregate(low="min(at)", high="max(at)", groupby=["gene"])
    axes = axes.mark_rule(color=look.GREY).encode(y=alt.Y("low:Q", axis=None), y2="high:Q")
    texts = [
        labels.mark_text(align="right", dx=-7, fontSize=11, fontWeight="bold", style=style)
        for style in ("halo", "ink")
    ]
    layers = [axes, lines, *(text.encode(y=y, text="label:N") for text in texts)]
    left = alt.layer(*layers).properties(width=alt.Step(GENE_WIDTH), height=HEIGHT)
    return alt.hconcat(left, strip)
