"""Chart of how much of the differences in worth goes with each gene.

The organisms are grouped by the gene, and the ranks of their worth compared: Kruskal and Wallis's
H, as the share of the variance of the ranks that the groups explain, less what chance would: η²_H
of Tomczak & Tomczak 2014. It sees any shape of dependence, a best learning rate in the middle too.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from statistics import correlation

import altair as alt
from altair.typing import ChartType

from microgpt_evolution.genome import GENES
from microgpt_report import theme
from microgpt_report.page import Row, Section
from microgpt_report.run_summary import CONFIRM, PRIMORDIAL, RunSummary

LEAST_RANGE = 0.2  # of the axis, so that a small share looks small
FEWEST = 12  # evaluations from which importance can be told
MAX_GROUPS = 4
CHI_SQUARED_95 = (3.841, 5.991, 7.815)  # of 1, 2, 3 degrees of freedom
CLEAR = 0.25  # a rank correlation from which on it is told


@dataclass(frozen=True)
class Importance:
    """The association of a gene with worth."""

    gene: str
    share: float  # of the variance of the ranks, 0 to 1; less than 0 counts as 0
    chance: float  # the share that chance alone exceeds one time in twenty
    correlation: float  # of the ranks of gene and worth; above 0 more is better

    @property
    def word(self) -> str:
        """Which values are better, if one direction is."""
        if self.share <= self.chance or abs(self.correlation) < CLEAR:
            return ""
        return "more is better" if self.correlation > 0 else "less is better"


def importance(gene: str, values: Sequence[float], worths: Sequence[float]) -> Importance | None:
    """Return the importance of a gene, given its value and the worth of each organism.

    More worth is better. There must be two groups, and organisms and worths enough: else None.
    """
    n = len(values)
    groups = _groups(values)
    k = len(set(groups))
    if k < 2 or n <= k + 1 or len(set(worths)) == 1:
        return None
    ranks = _ranks(worths)
    middle = (n + 1) / 2
    between = 0.0
    for group in set(groups):
        members = [rank for rank, g in zip(ranks, groups, strict=True) if g == group]
        between += len(members) * (sum(members) / len(members) - middle) ** 2
    whole = sum((rank - middle) ** 2 for rank in ranks)
    h = (n - 1) * between / whole  # which is corrected for ties
    return Importance(
        gene,
        max(0.0, (h - k + 1) / (n - k)),
        (CHI_SQUARED_95[k - 2] - k + 1) / (n - k),
        correlation(_ranks(values), ranks),
    )


def _groups(values: Sequence[float]) -> list[int]:
    """Return the group of each value: its own, or a quarter where there are too many."""
    distinct = sorted(set(values))
    if len(distinct) <= MAX_GROUPS:
        return [distinct.index(value) for value in values]
    return [int(MAX_GROUPS * (rank - 0.5) / len(values)) for rank in _ranks(values)]


def _ranks(values: Sequence[float]) -> list[float]:
    """Return the rank of each value, from 1; equals share the mean of theirs."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks, before = [0.0] * len(values), 0
    for _, equals in groupby(order, key=values.__getitem__):
        members = list(equals)
        for i in members:
            ranks[i] = before + (len(members) + 1) / 2
        before += len(members)
    return ranks


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
        f"The share of the rank variance of {summary.common.name} that one gene explains (eta "
        "squared of Kruskal and Wallis's H, with up to four groups). Chance alone passes the red "
        "mark one time in twenty; bars below it are grey. Genes bred together share their effects.",
        _chart(found),
        datasets={"importance": rows},
    )


def _chart(found: Sequence[Importance]) -> ChartType:
    y = alt.Y("gene:N", sort=[one.gene for one in found], title=None)
    largest = max(LEAST_RANGE, *(max(one.share, one.chance) for one in found))
    axis, scale = alt.Axis(format="%"), alt.Scale(domain=[0, largest])
    x = alt.X("share:Q", title="share of the differences in worth", axis=axis, scale=scale)
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
