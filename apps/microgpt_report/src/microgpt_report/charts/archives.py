"""MAP-Elites heat maps: the best organism per bin of size and novelty, for each Hydra head."""

from dataclasses import asdict
from itertools import product

import altair as alt
from altair.typing import ChartType

from microgpt_evolution.search.archive import (
    LEAST_LOG_PARAMS,
    LEAST_NOVELTY,
    N_CELLS,
    N_NOVELTIES,
    N_SIZES,
    Archive,
)
from microgpt_report import look, theme
from microgpt_report.page import Row, Section
from microgpt_report.run_summary import RunSummary, first_names, title_of
from microgpt_report.setting_names import describe_settings

CELL = 26  # width and height of a cell in pixels


def section(summary: RunSummary) -> Section | None:
    """Return the section on archives, or None if the vocabulary size is unknown."""
    if summary.settings is None or summary.settings.vocab_size is None:
        return None
    archives = {name: Archive() for name in summary.measures}
    for name, _, organism in summary.ranked_organisms():
        n_params = organism.genome.n_params(summary.settings.vocab_size)
        archives[name].add(organism, n_params=n_params)
    maps = [_map(title_of(name), len(archive.cells)) for name, archive in archives.items()]
    return Section(
        "archives",
        "Archives",
        "One cell per model size and share of new names (novelty). Color: the best score of the "
        "head in that cell. Scores of different heads are not comparable.",
        alt.concat(*maps, columns=theme.N_COLUMNS).resolve_scale(color="independent"),
        datasets={"archive": _rows(archives)},
    )


def _weights(size: int) -> str:
    """Format the lower bound of a size bin, in thousands of parameters."""
    return f"{2 ** (LEAST_LOG_PARAMS + size / 2) / 1000:.1f}k"


def _rows(archives: dict[str, Archive]) -> list[Row]:
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
