"""Sizes, axes, legends and tooltips shared by the charts.

Importing this module imports Altair. The colors come from `look`.
"""

from collections.abc import Callable, Sequence

import altair as alt
from altair.typing import ChartType

from microgpt_report import look
from microgpt_report.page import Row

WIDTH, HEIGHT = 760, 300  # default chart size in pixels
N_COLUMNS = 2  # number of columns in a grid with one panel per population
START = "start"  # the genome that a search tries to improve
# Groups of the origins of organisms, with a color each.
KINDS = {
    "newcomer": (look.SKY, ("random", "immigrant", "cataclysm", "genome", "given")),
    "mutant": (look.BLUE, ("mutant", "hyper", "grown", "tuned")),
    "cross": (look.GREEN, ("cross", "champion")),
    "elite": (look.GREY, ("elite", "re-eval")),
    "migrant": (look.PINK, ("migrant",)),
    "retest": (look.ORANGE, ("confirm",)),
    START: (look.AMBER, ("primordial",)),
}
LOG = " (log scale)"  # end of the title of each logarithmic axis

TOOLTIP = [  # an evaluation shows these
    alt.Tooltip("id:N"),
    alt.Tooltip("origin:N"),
    alt.Tooltip("worth:Q", title="fitness", format=".4f"),
    alt.Tooltip("params:Q", title="parameters", format=",d"),
    alt.Tooltip("settings:N"),
    alt.Tooltip("names:N"),
]


def of(dataset: str) -> alt.Chart:
    """Return a chart of the default size that uses a named dataset of the page."""
    return alt.Chart(alt.NamedData(name=dataset), width=WIDTH, height=HEIGHT)


def inline(rows: list[Row]) -> alt.Chart:
    """Return a chart with inline data."""
    return alt.Chart(alt.InlineData(values=rows))


def points(chart: alt.Chart) -> alt.Chart:
    """Return a chart with the marks of successful evaluations."""
    marked: alt.Chart = chart.mark_point(filled=True, size=38, opacity=0.8)
    return marked


def log_axis(field: str, title: str, form: str = ".4~s") -> alt.X:
    """Return a logarithmic x axis; its title names the scale."""
    scale = alt.Scale(type="log", nice=False, padding=12)
    axis = alt.Axis(grid=False, format=form, tickCount=6, labelOverlap="greedy", labelSeparation=10)
    return alt.X(field, title=title + LOG, scale=scale, axis=axis)


def loss_axis(field: str, title: str) -> alt.Y:
    """Return a y axis for losses or scores. The axis need not include 0."""
    return alt.Y(field, title=title, scale=alt.Scale(zero=False, padding=8))


def color_scale(names: Sequence[str]) -> alt.Scale:
    """Return one color per name. After 24 names, the colors repeat."""
    return alt.Scale(domain=names, range=[*look.COLORS, *look.MORE_COLORS][: len(names)])


def kind_of(origin: str) -> str:
    """Return the group of an origin; an unknown origin is its own group."""
    return next((kind for kind, (_, origins) in KINDS.items() if origin in origins), origin)


def kind_color(rows: Sequence[Row]) -> alt.Color:
    """Return the color encoding of the kinds of organisms in some rows."""
    kinds = {row["kind"] for row in rows}
    shown = [kind for kind in KINDS if kind in kinds] + sorted(kinds - KINDS.keys())
    colors = [KINDS[kind][0] if kind in KINDS else look.GREY for kind in shown]
    return alt.Color("kind:N", title=None, scale=alt.Scale(domain=shown, range=colors))


def panels(populations: Sequence[str], draw: Callable[[str], ChartType]) -> ChartType:
    """Return the chart of one population, or a grid of charts for several populations."""
    if len(populations) == 1:
        return draw(populations[0])
    width = WIDTH // N_COLUMNS - 60
    charts = [draw(name).properties(width=width, title=name) for name in populations]
    return alt.concat(*charts, columns=N_COLUMNS)
