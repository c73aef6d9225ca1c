"""What each head of a Hydra has seen, as a map: the best of each size and novelty."""

import altair as alt

from microgpt_evolution.search.archive import (
    LEAST_LOG_PARAMS,
    LEAST_NOVELTY,
    N_CELLS,
    N_NOVELTIES,
    N_SIZES,
    Archive,
)
from microgpt_report import theme
from microgpt_report.rows import N_NAMES, Row, title_of
from microgpt_report.run_summary import RunSummary

N_COLUMNS = 2
CELL = 26  # pixels


def rows(story: RunSummary) -> list[Row]:
    """Return a row for each cell of each head, the empty ones too."""
    assert story.settings
    assert story.settings.vocab_size
    found = []
    for name, archive in archives(story, story.settings.vocab_size).items():
        for size in range(N_SIZES):
            for newness in range(N_NOVELTIES):
                organism = archive.cells.get((size, newness))
                evaluation = organism.evaluation if organism else None
                low = 2 ** (LEAST_LOG_PARAMS + size / 2)
                found.append(
                    {
                        "population": title_of(name),
                        "weights": f"{low / 1000:.1f}k",
                        "novelty": (LEAST_NOVELTY + newness) / 50,
                        "score": organism.worth if organism else None,
                        "id": organism.id if organism else None,
                        "genes": organism.genome.describe() if organism else None,
                        "names": ", ".join(evaluation.samples[:N_NAMES]) if evaluation else None,
                    }
                )
    return found


def archives(story: RunSummary, vocab_size: int) -> dict[str, Archive]:
    """Return what each head has seen, filled in the order in which it did."""
    maps = {name: Archive() for name in story.measures}
    for generation in story.generations:
        for name, ranked in generation.populations.items():
            for organism in ranked:
                if organism.evaluation and organism.evaluation.vote:
                    maps[name].add(
                        organism,
                        n_params=organism.genome.n_params(vocab_size),
                        novelty=organism.evaluation.vote.novel,
                    )
    return maps


def draw(story: RunSummary, cells: list[Row]) -> theme.Chart:
    """Return a map for each head."""
    sizes = list(dict.fromkeys(cell["weights"] for cell in cells))[::-1]
    maps = []
    for name in story.measures:
        title = title_of(name)
        n = sum(cell["population"] == title and cell["id"] is not None for cell in cells)
        maps.append(_map(title, sizes).properties(title=f"{title}: {n} of {N_CELLS} cells"))
    picture: alt.ConcatChart = alt.concat(*maps, columns=N_COLUMNS).resolve_scale(
        color="independent"
    )
    return picture


def _map(title: str, sizes: list[str]) -> theme.Chart:
    """Return the map of a head.

    Args:
        title: of the head.
        sizes: the rows, from above.
    """
    novelty_axis = alt.Axis(format=".0%", labelAngle=0, labelOverlap=True)
    base = (
        theme.of("archive")
        .transform_filter(alt.datum.population == title)
        .encode(
            x=alt.X("novelty:O", title="share of new names, from", axis=novelty_axis),
            y=alt.Y("weights:O", sort=sizes, title="weights, from"),
        )
    )
    empty = base.mark_rect(color=theme.GREY, opacity=0.12, stroke=theme.GREY, strokeWidth=0.3)
    filled = base.transform_filter("datum.id !== null").mark_rect()
    legend = alt.Legend(gradientLength=CELL * N_SIZES - 30, format=".3~r")
    filled = filled.encode(
        color=alt.Color(
            "score:Q", title="score", scale=alt.Scale(scheme=theme.SHADES), legend=legend
        ),
        tooltip=[
            alt.Tooltip("id:N"),
            alt.Tooltip("score:Q", format=".4f"),
            alt.Tooltip("genes:N"),
            alt.Tooltip("names:N"),
        ],
    )
    return alt.layer(empty, filled).properties(width=CELL * N_NOVELTIES, height=CELL * N_SIZES)
