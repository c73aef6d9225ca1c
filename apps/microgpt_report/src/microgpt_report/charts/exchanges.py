"""Who came to whom when the heads of a Hydra met."""

import altair as alt

from microgpt_report import theme
from microgpt_report.rows import Row, ranked_organisms, title_of
from microgpt_report.run_summary import RunSummary

STAYED, CHILD_STAYED, LOST = "the guest stayed", "its child stayed", "neither"
WIDTHS = {STAYED: 3.5, CHILD_STAYED: 2.2, LOST: 1}  # of the lines
LANE_HEIGHT, LANE = 66, 0.1  # pixels of a head; of it, how far two guests are apart
TOOLTIP = [
    alt.Tooltip("id:N"),
    alt.Tooltip("home:N", title="from"),
    alt.Tooltip("host:N", title="to"),
    alt.Tooltip("place:Q", title="place among its hosts"),
    alt.Tooltip("worth:Q", title="score with them", format=".4f"),
    alt.Tooltip("fate:N"),
]


def rows(story: RunSummary) -> list[Row]:
    """Return a row for each guest that has been ranked among its hosts."""
    lanes = list(story.measures)
    organisms = story.organisms.values()
    kept = {parent for _, o in organisms if o.origin == "elite" for parent in o.parents}
    children = {
        (host, guest): o.id for host, o in organisms if o.origin == "cross" for guest in o.parents
    }
    found: list[Row] = []
    for host, place, organism in ranked_organisms(story):
        if organism.origin != "migrant":
            continue
        (parent,) = organism.parents
        home = story.organisms[parent][0]
        if home == host:  # the source's exchange sends champions back to where they are
            continue
        fate = LOST
        if children.get((host, parent)) in kept:
            fate = CHILD_STAYED
        if organism.id in kept:
            fate = STAYED
        side = LANE if lanes.index(home) > lanes.index(host) else -LANE
        found.append(
            {
                "id": organism.id,
                "home": title_of(home),
                "host": title_of(host),
                "x": organism.generation - 1,
                "x2": organism.generation,
                "y": lanes.index(home),
                "y2": lanes.index(host) + side,
                "place": place + 1,
                "worth": organism.worth if organism.has_finished else None,
                "fate": fate,
            }
        )
    return found


def draw(story: RunSummary) -> theme.Chart:
    """Return a line for each guest, from its head to that of its hosts."""
    titles = [title_of(name) for name in story.measures]
    x = theme.generations_axis(1, max(len(story.generations), 2))
    home_scale = alt.Scale(domain=titles, range=list(theme.COLORS[: len(titles)]))
    base = theme.of("exchanges").encode(
        color=alt.Color("home:N", scale=home_scale, legend=None), tooltip=TOOLTIP
    )
    width = alt.StrokeWidth(
        "fate:O",
        title=None,
        scale=alt.Scale(type="ordinal", domain=list(WIDTHS), range=list(WIDTHS.values())),
        legend=alt.Legend(orient="top", symbolStrokeColor=theme.GREY, symbolType="stroke"),
    )
    ways = base.mark_rule().encode(x=x, y=_lanes(titles), x2="x2:Q", y2="y2:Q", strokeWidth=width)
    ends = base.mark_point(filled=True, size=60, opacity=1).encode(x="x2:Q", y="y2:Q")
    return alt.layer(ways, ends).properties(
        width=theme.WIDTH - 60, height=LANE_HEIGHT * len(titles)
    )


def _lanes(titles: list[str]) -> alt.Y:
    """Return the axis that has a line for each head."""
    names = ", ".join(f"'{title}'" for title in titles)
    axis = alt.Axis(
        values=list(range(len(titles))),
        labelExpr=f"[{names}][datum.value]",
        labelFontSize=12,
        tickSize=0,
    )
    scale = alt.Scale(domain=[len(titles) - 0.6, -0.4], nice=False)
    return alt.Y("y:Q", title=None, scale=scale, axis=axis)
