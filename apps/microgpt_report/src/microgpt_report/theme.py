"""Sizes, colors, axes and tooltips shared by the charts.

Importing this module loads Altair. Text and axis colors are not part of a chart: the page defines
them for the light and the dark scheme.
"""

from collections.abc import Callable, Sequence
from typing import Any

import altair as alt
from altair.typing import ChartType

from microgpt_evolution.genome import GENES
from microgpt_report.evaluation_rows import KINDS
from microgpt_report.page import Row
from microgpt_report.run_summary import title_of

WIDTH, HEIGHT = 760, 300  # pixels per chart
N_COLUMNS = 2  # of a grid with one panel per population
# Okabe & Ito 2008 without yellow and black: distinguishable with color blindness.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
BLUE, RED, GREEN, PINK, AMBER, SKY = COLORS
GREY = "#8a8a8a"  # readable on white and on black
DARK_GREY = "#666"  # axes of standalone charts, which are white
SHADES = alt.SchemeParams(name="viridis", extent=[0.08, 0.92])  # without its low-contrast ends
KIND_COLORS = dict(zip(KINDS, (SKY, BLUE, GREEN, GREY, PINK, RED, AMBER), strict=True))
POINT: dict[str, Any] = {"filled": True, "size": 38, "opacity": 0.8}  # an evaluation
CROSS: dict[str, Any] = {"shape": "cross", "filled": True, "size": 50, "angle": 45}  # a failed one

# Tooltip fields that are numbers, or whose title differs from the name.
TOOLTIPS: dict[str, dict[str, str]] = {
    **{gene: {"format": "d"} for gene in GENES},
    "lr": {"format": ".4~g"},
    "params": {"title": "parameters", "format": ",d"},
    "worth": {"title": "fitness", "format": ".4f"},
    "score": {"format": ".4f"},
    "loss": {"title": "held-out loss", "format": ".4f"},
    "val_loss": {"title": "held-out loss", "format": ".4f"},
    "last_loss": {"title": "loss of the last document", "format": ".4f"},
    "share": {"title": "explained share", "format": ".1%"},
    "chance": {"title": "95th percentile by chance", "format": ".1%"},
    "correlation": {"title": "rank correlation (positive: larger is better)", "format": "+.2f"},
    "n": {"title": "organisms", "format": "d"},
    "home": {"title": "from"},
    "host": {"title": "to"},
    "fate": {"title": "outcome"},
    "what": {"title": "measured in"},
    "place": {"title": "rank in the new head", "format": "d"},
    "host_score": {"title": "score in the new head", "format": ".4f"},
}

# Configuration of standalone charts.
STANDALONE: dict[str, Any] = {
    "axis": {"gridColor": "#eee"}
    | dict.fromkeys(("domainColor", "tickColor", "labelColor"), DARK_GREY),
    "view": {"stroke": None},
}


def of(dataset: str) -> alt.Chart:
    """Return a chart of one of the page's datasets."""
    return alt.Chart(alt.NamedData(name=dataset))


def inline(rows: list[Row]) -> alt.Chart:
    """Return a chart with its own data."""
    return alt.Chart(alt.InlineData(values=rows))


def tooltip(*names: str) -> list[alt.Tooltip]:
    """Return a tooltip with the default titles and formats of these fields."""
    options = {name: TOOLTIPS.get(name, {}) for name in names}
    return [
        alt.Tooltip(f"{name}:{'Q' if 'format' in known else 'N'}", **known)  # type: ignore[arg-type]
        for name, known in options.items()
    ]


EVALUATION_TOOLTIP = tooltip("id", "origin", "worth", *GENES, "params", "names")


def generations_axis(first: int, last: int) -> alt.X:
    """Return the x axis of generations, with integer ticks."""
    step = max(1, -(-(last - first) // 20))
    return alt.X(
        "x:Q",
        title="generation",
        scale=alt.Scale(domain=[first - 0.5, last + 0.5], nice=False),
        axis=alt.Axis(values=list(range(first, last + 1, step)), format="d", grid=False),
    )


def log_axis(field: str, title: str, padding: int = 12) -> alt.X:
    """Return a logarithmic x axis."""
    scale = alt.Scale(type="log", nice=False, padding=padding)
    axis = alt.Axis(format="~s", tickCount=6, grid=False)
    return alt.X(field, title=title, scale=scale, axis=axis)


def loss_axis(field: str, title: str, padding: int = 8) -> alt.Y:
    """Return a y axis of losses or scores, which need not include 0."""
    return alt.Y(field, title=title, scale=alt.Scale(zero=False, padding=padding))


def color_scale(names: Sequence[str]) -> alt.Scale:
    """Return one color per name; a sequential scheme if there are more names than colors."""
    if len(names) > len(COLORS):
        return alt.Scale(domain=names, scheme=SHADES)
    return alt.Scale(domain=names, range=COLORS[: len(names)])


def top_color(field: str, scale: alt.Scale, **legend: Any) -> alt.Color:
    """Return the color encoding of a field, with its legend above the chart."""
    return alt.Color(
        field, title=None, scale=scale, legend=alt.Legend(orient="top", symbolOpacity=1, **legend)
    )


def kind_color(kinds: set[str]) -> alt.Color:
    """Return the color encoding of how organisms were made."""
    shown = [kind for kind in KINDS if kind in kinds] + sorted(kinds - KINDS.keys())
    colors = [KIND_COLORS.get(kind, GREY) for kind in shown]
    return top_color("kind:N", alt.Scale(domain=shown, range=colors))


def panels(
    populations: Sequence[str], draw: Callable[[str, int], ChartType], width: int = WIDTH
) -> ChartType:
    """Return the chart of one population in this width, or a grid of several."""
    if len(populations) == 1:
        return draw(populations[0], width)
    width = WIDTH // N_COLUMNS - 60
    charts = [draw(name, width).properties(title=title_of(name)) for name in populations]
    return alt.concat(*charts, columns=N_COLUMNS)
