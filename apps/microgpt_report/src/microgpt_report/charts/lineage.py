"""Who descends from whom."""

import altair as alt

from microgpt_report import theme
from microgpt_report.rows import Row, ancestors_of, kind_of, ranked_organisms, title_of
from microgpt_report.run_summary import RunSummary

N_PLACES = 24  # of a population that are drawn; ancestors of the winner that are lower, below them
ROW_HEIGHT, GAP = 15, 1.5  # pixels of an organism; rows between populations


def rows(story: RunSummary) -> tuple[list[Row], list[Row]]:
    """Return a row for each organism that is drawn, and for each tie to a parent that is drawn."""
    winners = ancestors_of(story, story.winner) if story.winner else set()
    first_row = dict(zip(story.measures, _first_rows(story), strict=True))
    nodes: dict[str, Row] = {}
    for name, place, organism in ranked_organisms(story):
        is_ancestor = organism.id in winners
        if place >= N_PLACES and not is_ancestor:
            continue
        nodes[organism.id] = {
            "id": organism.id,
            "x": organism.generation,
            "y": first_row[name] + min(place, N_PLACES),
            "population": title_of(name),
            "kind": kind_of(organism.origin),
            "origin": organism.origin,
            "worth": organism.worth if organism.has_finished else None,
            "genes": organism.genome.describe(),
            "parents": ", ".join(organism.parents),
            "is_ancestor": is_ancestor,
        }
    ties = [
        {
            "x": nodes[parent]["x"], "y": nodes[parent]["y"], "x2": node["x"], "y2": node["y"],
            "is_ancestor": node["is_ancestor"] and parent in winners,
        }
        for id_, node in nodes.items()
        for parent in dict.fromkeys(story.organisms[id_][1].parents)
        if parent in nodes
    ]  # fmt: skip
    return list(nodes.values()), ties


def _first_rows(story: RunSummary) -> list[float]:
    firsts, low = [], 0.0
    for name in story.measures:
        firsts.append(low)
        largest = max(len(g.populations.get(name, ())) for g in story.generations)
        low += min(largest, N_PLACES + 1) + GAP
    return firsts


def draw(story: RunSummary, nodes: list[Row]) -> theme.Chart:
    """Return the tree: a generation a column, its best on top, the ways to the winner bold."""
    last = max(len(story.generations), 2)
    n_rows = max(node["y"] for node in nodes) + 1
    x = theme.generations_axis(1, last)
    y = alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[n_rows - 0.4, -0.6], nice=False))
    ties = theme.of("ties").mark_rule().encode(x=x, y=y, x2="x2:Q", y2="y2:Q")
    others = ties.transform_filter("!datum.is_ancestor").encode(
        color=alt.value(theme.GREY), opacity=alt.value(0.3), strokeWidth=alt.value(0.8)
    )
    ways = ties.transform_filter("datum.is_ancestor").encode(
        color=alt.value(theme.RED), strokeWidth=alt.value(1.8)
    )
    points = (
        theme.of("organisms")
        .mark_point(filled=True, opacity=1, strokeWidth=1.4)
        .encode(
            x=x,
            y=y,
            color=theme.kind_color({node["kind"] for node in nodes}),
            size=alt.condition("datum.is_ancestor", alt.value(95), alt.value(40)),
            tooltip=[
                alt.Tooltip("id:N"),
                alt.Tooltip("origin:N", title="how it came about"),
                alt.Tooltip("parents:N"),
                alt.Tooltip("worth:Q", format=".4f"),
                alt.Tooltip("genes:N"),
            ],
        )
    )
    tree = alt.layer(others, ways, points)
    if len(story.measures) > 1:
        tree += (
            theme.of("organisms")
            .transform_aggregate(y="min(y)", groupby=["population"])
            .mark_text(align="right", baseline="middle", dx=-8, fontWeight="bold")
            .encode(x=alt.value(0), y=y, text="population:N")
        )
    return tree.properties(width=theme.WIDTH, height=max(120, round(n_rows * ROW_HEIGHT)))
