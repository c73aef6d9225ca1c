"""Lineage chart: links between parents and children."""

from dataclasses import asdict

import altair as alt

from microgpt_evolution.organism import Organism
from microgpt_report import look, theme
from microgpt_report.page import Row, Section
from microgpt_report.run_summary import RunSummary, title_of
from microgpt_report.setting_names import describe_settings

N_PLACES = 24  # rows per population; lower-ranked ancestors of the winner share one extra row
ROW_HEIGHT, GAP = 15, 1.5  # row height in pixels; number of empty rows between populations


def section(summary: RunSummary) -> Section:
    """Return the section with the lineage chart."""
    nodes, ties = _rows(summary)
    caption = (
        "One column per generation, best organism on top. Lines connect parents and children; bold "
        "orange lines lead to the winner, or to the best organism so far."
    )
    if len(nodes) < len(summary.organisms):
        caption += f" Shown: the best {N_PLACES} of each generation and the winner's ancestors."
    n_rows = max(node["y"] for node in nodes) + 1
    x = theme.generations_axis(1, max(len(summary.generations), 2))
    y = alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[n_rows - 0.4, -0.6], nice=False))
    lines = theme.of("ties").encode(x=x, y=y, x2="x2:Q", y2="y2:Q")
    others = lines.transform_filter("!datum.is_ancestor")
    others = others.mark_rule(color=look.GREY, opacity=0.3, strokeWidth=0.8)
    ways = lines.transform_filter("datum.is_ancestor")
    ways = ways.mark_rule(color=look.ORANGE, strokeWidth=1.8)
    organisms = theme.of("organisms").encode(y=y)
    points = organisms.mark_point(filled=True, opacity=1, strokeWidth=1.4).encode(
        x=x,
        color=theme.kind_color({node["kind"] for node in nodes}),
        size=alt.condition("datum.is_ancestor", alt.value(95), alt.value(40)),
        tooltip=theme.tooltip("id", "origin", "parents", "worth", "genes"),
    )
    tree = alt.layer(others, ways, points)
    if len(summary.measures) > 1:
        names = organisms.transform_aggregate(y="min(y)", groupby=["population"])
        names = names.mark_text(align="right", baseline="middle", dx=-8, fontWeight="bold")
        tree += names.encode(x=alt.value(0), text="population:N")
    tree = tree.properties(height=max(120, round(n_rows * ROW_HEIGHT)))
    return Section("lineage", "Lineage", caption, tree, datasets={"organisms": nodes, "ties": ties})


def _rows(summary: RunSummary) -> tuple[list[Row], list[Row]]:
    """Return one row per displayed organism, and one row per link to a displayed parent."""
    winners = _ancestors(summary, summary.winner)
    first_row, low = {}, 0.0
    for name in summary.measures:
        first_row[name] = low
        largest = max(len(g.populations.get(name, ())) for g in summary.generations)
        low += min(largest, N_PLACES + 1) + GAP
    nodes: dict[str, Row] = {}
    for name, place, organism in summary.ranked_organisms():
        is_ancestor = organism.id in winners
        if place >= N_PLACES and not is_ancestor:
            continue
        nodes[organism.id] = {
            "id": organism.id,
            "x": organism.generation,
            "y": first_row[name] + min(place, N_PLACES),
            "population": title_of(name),
            "kind": theme.kind_of(organism.origin),
            "origin": organism.origin,
            "worth": organism.worth if organism.has_finished else None,
            "genes": describe_settings(asdict(organism.genome)),
            "parents": ", ".join(organism.parents),
            "is_ancestor": is_ancestor,
        }
    ties = []
    for id_, node in nodes.items():
        for parent in dict.fromkeys(summary.organisms[id_][1].parents):
            if parent in nodes:
                tie = {"x": nodes[parent]["x"], "y": nodes[parent]["y"]}
                tie |= {"x2": node["x"], "y2": node["y"]}
                ties.append(tie | {"is_ancestor": node["is_ancestor"] and parent in winners})
    return list(nodes.values()), ties


def _ancestors(summary: RunSummary, organism: Organism | None) -> set[str]:
    found, queue = set(), [organism.id] if organism else []
    while queue:
        id_ = queue.pop()
        if id_ not in found and id_ in summary.organisms:
            found.add(id_)
            queue += summary.organisms[id_][1].parents
    return found
