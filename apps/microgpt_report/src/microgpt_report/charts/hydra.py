"""Charts of a Hydra search: organisms that migrate between heads, and MAP-Elites heat maps.

A heat map shows the best organism of a head per bin of size and novelty.
"""

from dataclasses import asdict
from itertools import product

import altair as alt
from altair.typing import ChartType

from microgpt_evolution.objectives.scores import first_names
from microgpt_evolution.search.hydra_search import (
    LEAST_LOG_PARAMS,
    LEAST_NOVELTY,
    N_CELLS,
    N_NOVELTIES,
    N_SIZES,
    Archive,
)
from microgpt_report import look, theme
from microgpt_report.page import Row, Section
from microgpt_report.run_summary import RunSummary, title_of
from microgpt_report.setting_names import describe_settings

KEPT, CHILD_KEPT, LOST = "migrant kept", "child kept", "neither kept"
WIDTHS = {KEPT: 3.5, CHILD_KEPT: 2.2, LOST: 1}  # line width per outcome
LANE_HEIGHT, LANE = 66, 0.1  # height in pixels; vertical offset of endpoints, in lanes
CELL = 26  # width and height of a cell of a heat map, in pixels


def exchanges(summary: RunSummary) -> Section | None:
    """Return the section on exchanges, or None if no migrant has been ranked yet."""
    rows = _migrants(summary)
    if not rows:
        return None
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
    chart = alt.layer(ways, ends)
    return Section(
        "exchanges",
        "Exchanges between heads",
        "After every third generation, champions migrate to other heads. Color: the head that they "
        "leave. Kept: the migrant, or its child with the local champion, was among the two best of "
        "its generation (an elite).",
        chart.properties(width=theme.WIDTH - 60, height=LANE_HEIGHT * len(titles)),
        datasets={"exchanges": rows},
    )


def _migrants(summary: RunSummary) -> list[Row]:
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


def archives(summary: RunSummary) -> Section | None:
    """Return the section on archives, or None if the vocabulary size is unknown."""
    if summary.settings is None or summary.settings.vocab_size is None:
        return None
    found = {name: Archive() for name in summary.measures}
    for name, _, organism in summary.ranked_organisms():
        n_params = organism.genome.n_params(summary.settings.vocab_size)
        found[name].add(organism, n_params=n_params)
    maps = [_map(title_of(name), len(archive.cells)) for name, archive in found.items()]
    return Section(
        "archives",
        "Archives",
        "One cell per model size and share of new names (novelty). Color: the best score of the "
        "head in that cell. Scores of different heads are not comparable.",
        alt.concat(*maps, columns=theme.N_COLUMNS).resolve_scale(color="independent"),
        datasets={"archive": _cells(found)},
    )


def _weights(size: int) -> str:
    """Format the lower bound of a size bin, in thousands of parameters."""
    return f"{2 ** (LEAST_LOG_PARAMS + size / 2) / 1000:.1f}k"


def _cells(archives: dict[str, Archive]) -> list[Row]:
    """Return one row per cell and head, including empty cells."""
    rows = []
    for name, archive in archives.items():
        for size, novelty in product(range(N_SIZES), range(N_NOVELTIES)):
            row: Row = {"population": title_of(name), "weights": _weights(size)}
            row |= {"novelty": (LEAST_NOVELTY + novelty) / 50, "id": None}
            organism = archive.cells.get((size, novelty))
            if organism and organism.evaluation:
                row |= {"id": organism.id, "score": organism.worth}
                row |= {"genes": describe_settings(asdict(organism.genome))}
                row |= {"names": first_names(organism.evaluation.samples)}
            rows.append(row)
    return rows


def _map(title: str, n_cells: int) -> ChartType:
    axis = alt.Axis(format=".0%", labelAngle=0, labelOverlap=True, labelSeparation=4)
    sizes = [_weights(size) for size in reversed(range(N_SIZES))]  # size labels from top to bottom
    base = theme.of("archive").transform_filter(alt.datum.population == title)
    base = base.encode(
        x=alt.X("novelty:O", title="novelty (lower bound)", axis=axis),
        y=alt.Y("weights:O", sort=sizes, title="parameters (lower bound)"),
    )
    empty = base.mark_rect(color=look.GREY, opacity=0.12, stroke=look.GREY, strokeWidth=0.3)
    legend = alt.Legend(gradientLength=CELL * N_NOVELTIES - 60, format=".3~r")
    color = alt.Color("score:Q", title="score", scale=alt.Scale(scheme=theme.SHADES), legend=legend)
    filled = base.transform_filter("datum.id !== null").mark_rect()
    filled = filled.encode(color=color, tooltip=theme.tooltip("id", "score", "genes", "names"))
    return alt.layer(empty, filled).properties(
        title=f"{title}: {n_cells} of {N_CELLS} cells",
        width=CELL * N_NOVELTIES,
        height=CELL * N_SIZES,
    )
