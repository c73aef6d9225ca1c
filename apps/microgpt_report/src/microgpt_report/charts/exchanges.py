"""Chart of the organisms that migrate between the heads of a Hydra search."""

import altair as alt
from altair.typing import ChartType

from microgpt_report import look, theme
from microgpt_report.page import Row, Section
from microgpt_report.run_summary import RunSummary, title_of

KEPT, CHILD_KEPT, LOST = "migrant kept", "child kept", "neither kept"
WIDTHS = {KEPT: 3.5, CHILD_KEPT: 2.2, LOST: 1}  # line width per outcome
LANE_HEIGHT, LANE = 66, 0.1  # height in pixels; vertical offset of endpoints, in lanes


def section(summary: RunSummary) -> Section | None:
    """Return the section on exchanges, or None if no migrant has been ranked yet."""
    rows = _rows(summary)
    if not rows:
        return None
    return Section(
        "exchanges",
        "Exchanges between heads",
        "After every third generation, champions migrate to other heads. Color: the head that they "
        "leave. Kept: the migrant, or its child with the local champion, was among the two best of "
        "its generation (an elite).",
        _chart(summary),
        datasets={"exchanges": rows},
    )


def _rows(summary: RunSummary) -> list[Row]:
    lanes = list(summary.measures)
    organisms = summary.organisms.values()
    kept = {parent for _, o in organisms if o.origin == "elite" for parent in o.parents}
    children = {
        (host, guest): o.id for host, o in organisms if o.origin == "cross" for guest in o.parents
    }
    rows: list[Row] = []
    for host, place, organism in summary.ranked_organisms():
        if organism.origin != "migrant":
            continue
        (parent,) = organism.parents
        home = summary.organisms[parent][0]
        if home == host:  # evolve-rust's exchange also sends champions to their own head
            continue
        is_child_kept = children.get((host, parent)) in kept
        side = LANE if lanes.index(home) > lanes.index(host) else -LANE
        row = {
            "id": organism.id,
            "home": title_of(home),
            "host": title_of(host),
            "x": organism.generation - 1,
            "x2": organism.generation,
            "y": lanes.index(home),
            "y2": lanes.index(host) + side,
            "place": place + 1,
            "host_score": organism.worth if organism.has_finished else None,
            "fate": KEPT if organism.id in kept else CHILD_KEPT if is_child_kept else LOST,
        }
        rows.append(row)
    return rows


def _chart(summary: RunSummary) -> ChartType:
    titles = [title_of(name) for name in summary.measures]
    x = theme.generations_axis(1, max(len(summary.generations), 2))
    base = theme.of("exchanges").encode(
        color=alt.Color("home:N", scale=theme.color_scale(titles), legend=None),
        tooltip=theme.tooltip("id", "home", "host", "place", "host_score", "fate"),
    )
    width = alt.StrokeWidth(
        "fate:O",
        title=None,
        scale=alt.Scale(type="ordinal", domain=list(WIDTHS), range=list(WIDTHS.values())),
        legend=alt.Legend(symbolStrokeColor=look.GREY, symbolType="stroke"),
    )
    values, label = list(range(len(titles))), f"{titles}[datum.value]"
    lanes = alt.Axis(values=values, labelExpr=label, labelFontSize=12, tickSize=0)
    scale = alt.Scale(domain=[len(titles) - 0.6, -0.4], nice=False)
    y = alt.Y("y:Q", title=None, scale=scale, axis=lanes)
    ways = base.mark_rule().encode(x=x, y=y, x2="x2:Q", y2="y2:Q", strokeWidth=width)
    ends = base.mark_point(filled=True, size=60, opacity=1).encode(x="x2:Q", y="y2:Q")
    return alt.layer(ways, ends).properties(
        width=theme.WIDTH - 60, height=LANE_HEIGHT * len(titles)
    )
