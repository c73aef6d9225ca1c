"""Charts of the genes: parallel coordinates, with a line per organism, and gene importance.

Importance is the share of the variance in fitness that a gene explains. Organisms are grouped by
the gene's value, and the Kruskal-Wallis test compares the fitness ranks of the groups. The effect
size is η²_H (Tomczak & Tomczak 2014): the share of the rank variance that the groups explain, minus
the share expected by chance. The test detects any form of dependence, such as an optimum in the
middle.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import log
from statistics import correlation, fmean

import altair as alt

from microgpt_evolution.genome import GENES
from microgpt_report import look, theme
from microgpt_report.charts.evaluations import STANDINGS
from microgpt_report.page import Row, Section
from microgpt_report.run_summary import CONFIRM, PRIMORDIAL, RunSummary
from microgpt_report.setting_names import in_words, with_name

HEIGHT, GENE_WIDTH = 320, 80
APART = 0.06  # equal values are spread over this fraction of the axis, with the best on top
N_LABELS = 8  # maximum number of labels per axis; with more values, only the ends are labelled
LEAST_RANGE = 0.2  # minimum length of the axis; otherwise, small shares would look large
FEWEST = 12  # minimum number of evaluations to estimate importance
MAX_GROUPS = 4
CHI_SQUARED_95 = (3.841, 5.991, 7.815)  # 95th percentiles for 1, 2 and 3 degrees of freedom
CLEAR = 0.25  # minimum absolute rank correlation for which a direction is reported

Values = Mapping[str, Sequence[float]]  # the sorted values of each gene that varies


def parallel_coordinates(summary: RunSummary, done: Sequence[Row]) -> Section | None:
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


@dataclass(frozen=True)
class Importance:
    """Strength and direction of the association between a gene and fitness."""

    gene: str
    share: float  # fraction of rank variance explained, 0 to 1; negative estimates are clipped to 0
    chance: float  # significance threshold: exceeded by chance in 5 % of cases
    correlation: float  # rank correlation of gene and fitness; positive if large values are better

    @property
    def word(self) -> str:
        """A phrase that says whether larger or smaller values are better; empty if unclear."""
        if self.share <= self.chance or abs(self.correlation) < CLEAR:
            return ""
        return "larger is better" if self.correlation > 0 else "smaller is better"


def importance(gene: str, values: Sequence[float], worths: Sequence[float]) -> Importance | None:
    """Return the importance of a gene, given the gene value and fitness of each organism.

    Higher fitness is better. Returns None if there are fewer than two groups or too few organisms,
    or if all fitness values are equal.
    """
    n = len(values)
    groups = _groups(values)
    k = len(set(groups))
    if k < 2 or n <= k + 1 or len(set(worths)) == 1:
        return None
    ranks, middle, between = _ranks(worths), (n + 1) / 2, 0.0
    for group in set(groups):
        members = [rank for rank, g in zip(ranks, groups, strict=True) if g == group]
        between += len(members) * (fmean(members) - middle) ** 2
    whole = sum((rank - middle) ** 2 for rank in ranks)
    h = (n - 1) * between / whole  # dividing by `whole` also corrects for ties
    return Importance(
        gene,
        max(0.0, (h - k + 1) / (n - k)),
        (CHI_SQUARED_95[k - 2] - k + 1) / (n - k),
        correlation(_ranks(values), ranks),
    )


def _groups(values: Sequence[float]) -> list[int]:
    """Return the group index of each value; many distinct values are grouped into quartiles."""
    distinct = sorted(set(values))
    if len(distinct) <= MAX_GROUPS:
        return [distinct.index(value) for value in values]
    return [int(MAX_GROUPS * (rank - 0.5) / len(values)) for rank in _ranks(values)]


def _ranks(values: Sequence[float]) -> list[float]:
    """Return the rank of each value, starting at 1; tied values get their mean rank."""
    in_order = sorted(values)
    return [(bisect_left(in_order, v) + bisect_right(in_order, v) + 1) / 2 for v in values]


def importances(summary: RunSummary, done: Sequence[Row]) -> Section | None:
    """Return the section on gene importance, or None if too few evaluations have finished."""
    bred = [row for row in done if row["origin"] not in (CONFIRM, PRIMORDIAL)]
    if len(bred) < FEWEST:
        return None
    sign = -1 if summary.common.is_loss else 1
    worths = [sign * row["overall"] for row in bred]
    genes = [importance(gene, [row[gene] for row in bred], worths) for gene in GENES]
    found = sorted((gene for gene in genes if gene), key=lambda gene: -gene.share)
    if not found:
        return None
    rows = [
        asdict(one)
        | {"name": with_name(one.gene), "word": one.word, "end": max(one.share, one.chance)}
        for one in found
    ]
    largest = max(LEAST_RANGE, *(row["end"] for row in rows))
    axis, scale = alt.Axis(format="%", tickCount=6), alt.Scale(domain=[0, largest])
    x = alt.X("share:Q", title="explained share of the rank variance", axis=axis, scale=scale)
    base = theme.of("importance").encode(
        y=alt.Y("name:N", sort=[row["name"] for row in rows], title=None)
    )
    blue, grey = alt.value(look.BLUE), alt.value(look.GREY)
    bars = base.mark_bar(height=16).encode(
        x=x,
        color=alt.condition("datum.share > datum.chance", blue, grey),
        tooltip=theme.tooltip("name", "share", "chance", "correlation"),
    )
    chance = base.mark_tick(color=look.ORANGE, thickness=2, size=22).encode(x="chance:Q")
    words = base.mark_text(align="left", dx=8).encode(x="end:Q", text="word:N")
    chart = alt.layer(bars, chance, words)
    return Section(
        "importance",
        "Gene importance",
        f"Share of the rank variance of the {summary.common.name} that each gene explains alone: "
        "eta squared of the Kruskal-Wallis H, with up to four groups. Orange mark: significance at "
        "95 %; bars that do not reach it are grey. Genes inherited together share effects.",
        chart.properties(width=theme.WIDTH - 160, height=30 * len(rows)),
        datasets={"importance": rows},
    )
