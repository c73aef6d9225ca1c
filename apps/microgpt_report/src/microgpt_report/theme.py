"""Sizes, axes, legends and tooltips shared by the charts.

Importing this module imports Altair. The colors come from `look`.
"""

from collections.abc import Callable, Sequence

import altair as alt
from altair.typing import ChartType

from microgpt_evolution.genome import GENES
from microgpt_report import look
from microgpt_report.page import Row
from microgpt_report.run_summary import CONFIRM, PRIMORDIAL, title_of
from microgpt_report.setting_names import with_name

WIDTH, HEIGHT = 760, 300  # default chart size in pixels
N_COLUMNS = 2  # number of columns in a grid with one panel per population
SHADES = alt.SchemeParams(name="viridis", extent=[0.08, 0.92])  # excludes the low-contrast ends
RULE = "rule"  # the genome of `train --minutes`, with which a search with a budget begins
# Groups of the origins of organisms, with a color each. No search has both of the last two.
KINDS = {
    "newcomer": (look.SKY, ("random", "immigrant", "cataclysm", "genome", "given")),
    "mutant": (look.BLUE, ("mutant", "hyper", "grown", "tuned")),
    "cross": (look.GREEN, ("cross", "champion")),
    "elite": (look.GREY, ("elite", "re-eval")),
    "migrant": (look.PINK, ("migrant",)),
    "retest": (look.ORANGE, (CONFIRM,)),
    PRIMORDIAL: (look.AMBER, (PRIMORDIAL,)),
    RULE: (look.AMBER, (RULE,)),
}
LOG = " (log scale)"  # end of the title of each logarithmic axis

# Formats of numeric tooltip fields, and titles that differ from the field name.
TOOLTIPS: dict[str, dict[str, str]] = {
    **{gene: {"title": with_name(gene), "format": ",d"} for gene in GENES},
    "lr": {"title": with_name("lr"), "format": ".4~g"},
    "params": {"title": "parameters", "format": ",d"},
    "worth": {"title": "fitness", "format": ".4f"},
    "loss": {"title": "held-out loss", "format": ".4f"},
}


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


def tooltip(*names: str) -> list[alt.Tooltip]:
    """Return a tooltip for the named fields, with their titles and formats."""
    options = {name: {"title": with_name(name)} | TOOLTIPS.get(name, {}) for name in names}
    return [
        alt.Tooltip(f"{name}:{'Q' if 'format' in known else 'N'}", **known)  # type: ignore[arg-type]
        for name, known in options.items()
    ]


EVALUATION_TOOLTIP = tooltip("id", "origin", "worth", *GENES, "params", "names")


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


def kind_color(kinds: set[str]) -> alt.Color:
    """Return the color encoding of the kinds of organisms."""
    shown = [kind for kind in KINDS if kind in kinds] + sorted(kinds - KINDS.keys())
    colors = [KINDS[kind][0] if kind in KINDS else look.GREY for kind in shown]
    return alt.Color("kind:N", title=None, scale=alt.Scale(domain=shown, range=colors))


def panels(populations: Sequence[str], draw: Callable[[str], ChartType]) -> ChartType:
    """Return the chart of one population, or a grid of charts for several populations."""
    if len(populations) == 1:
        return draw(populations[0])
    width = WIDTH // N_COLUMNS - 60
    charts = [draw(name).properties(width=width, title=title_of(name)) for name in populations]
    return alt.concat(*charts, columns=N_COLUMNS)
