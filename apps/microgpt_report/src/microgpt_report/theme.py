"""What the pictures of a page have in common: sizes, colors, what a tooltip says.

Importing this module loads Altair. Colors of text and axes are no part of a picture: the page has
one set of them for light and one for dark.
"""

from typing import Any

import altair as alt

from microgpt_evolution.genome import GENES
from microgpt_report import curves
from microgpt_report.rows import KINDS

WIDTH, HEIGHT = 760, 300  # pixels of a picture
COLORS = curves.COLORS
BLUE, RED, GREEN, PINK, AMBER, SKY = COLORS
GREY = "#8a8a8a"  # read on white and on black
POINT: dict[str, Any] = {"filled": True, "size": 38, "opacity": 0.8}  # of an evaluation
QUIET = 0.35  # the opacity of what is there to be compared with

KIND_COLORS = dict(zip(KINDS, (SKY, BLUE, GREEN, GREY, PINK, RED, AMBER), strict=True))
SHADES = alt.SchemeParams(name="viridis", extent=[0.08, 0.92])  # its ends vanish in dark and light

Chart = (
    alt.Chart
    | alt.LayerChart
    | alt.FacetChart
    | alt.ConcatChart
    | alt.HConcatChart
    | alt.VConcatChart
)


def of(dataset: str) -> alt.Chart:
    """Return a chart of a dataset of the page."""
    return alt.Chart(alt.NamedData(name=dataset))


def generations_axis(first: int, last: int) -> alt.X:
    """Return the axis of generations, which are whole numbers."""
    step = max(1, -(-(last - first) // 20))
    return alt.X(
        "x:Q",
        title="generation",
        scale=alt.Scale(domain=[first - 0.5, last + 0.5], nice=False),
        axis=alt.Axis(values=list(range(first, last + 1, step)), format="d", grid=False),
    )


def kind_color(kinds: set[str]) -> alt.Color:
    """Return the color of how an organism was made."""
    shown = [kind for kind in KINDS if kind in kinds] + sorted(kinds - KINDS.keys())
    return alt.Color(
        "kind:N",
        title=None,
        scale=alt.Scale(domain=shown, range=[KIND_COLORS.get(kind, GREY) for kind in shown]),
        legend=alt.Legend(orient="top", symbolOpacity=1),
    )


def about_an_evaluation() -> list[alt.Tooltip]:
    """Return what a tooltip says of an evaluation."""
    return [
        alt.Tooltip("id:N"),
        alt.Tooltip("origin:N", title="how it came about"),
        alt.Tooltip("worth:Q", format=".4f"),
        *(alt.Tooltip(f"{gene}:Q", format=".4~g" if gene == "lr" else "d") for gene in GENES),
        alt.Tooltip("params:Q", title="weights", format=",d"),
        alt.Tooltip("names:N"),
    ]
