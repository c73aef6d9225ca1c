"""Gene importance: the chart, and how it is computed.

Importance is the share of the variance in fitness that a gene explains. Organisms are grouped by
the gene's value, and the Kruskal-Wallis test compares the fitness ranks of the groups. The effect
size is η²_H (Tomczak & Tomczak 2014): the share of the rank variance that the groups explain, minus
the share expected by chance. The test detects any form of dependence, such as an optimum in the
middle.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import correlation, fmean

import altair as alt

from microgpt_evolution.genome import GENES
from microgpt_report import look, theme
from microgpt_report.page import Row, Section
from microgpt_report.run_summary import CONFIRM, PRIMORDIAL, RunSummary
from microgpt_report.setting_names import with_name

LEAST_RANGE = 0.2  # minimum length of the axis; otherwise, small shares would look large
FEWEST = 12  # minimum number of evaluations to estimate importance
MAX_GROUPS = 4
CHI_SQUARED_95 = (3.841, 5.991, 7.815)  # 95th percentiles for 1, 2 and 3 degrees of freedom
CLEAR = 0.25  # minimum absolute rank correlation for which a direction is reported


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
