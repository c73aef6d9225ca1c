"""Chart of the share of each species in each generation."""

from collections import Counter

import altair as alt

from microgpt_evolution.population import count_species
from microgpt_report import theme
from microgpt_report.page import Row, Section
from microgpt_report.run_summary import RunSummary

N_NAMED = len(theme.COLORS)


def section(summary: RunSummary) -> Section:
    """Return the section with a column for each generation."""
    rows = _rows(summary)
    names = list(dict.fromkeys(row["name"] for row in rows if row["name"] != "other"))
    return Section(
        "species",
        "Species",
        "A species is a shape: what learns otherwise is of the same. Each column is a "
        "generation; one color that fills it means that the search has settled.",
        _chart(summary, names),
        datasets={"species": rows},
    )


def _rows(summary: RunSummary) -> list[Row]:
    """Return a row for each species of each generation: its share.

    The largest species have a name; the others are "other", but remain apart.
    """
    everyone = Counter(o.genome.species for _, o in summary.organisms.values())
    named = [name for name, n in everyone.most_common(N_NAMED) if n > 1]
    rows = []
    for generation in summary.generations:
        alive = [o for ranked in generation.populations.values() for o in ranked]
        counts = count_species(alive)
        low = 0.0
        for species in sorted(
            counts, key=lambda s: (named.index(s) if s in named else N_NAMED, -counts[s])
        ):
            high = low + counts[species] / len(alive)
            row = {
                "generation": generation.number,
                "species": species,
                "name": species if species in named else "other",
                "n": counts[species],
                "low": low,
                "high": high,
            }
            rows.append(row)
            low = high
    return rows


def _chart(summary: RunSummary, names: list[str]) -> alt.Chart:
    colors = [*theme.COLORS[: len(names)], f"{theme.GREY}40"]
    chart: alt.Chart = (
        theme.of("species")
        .transform_calculate(x="datum.generation - 0.42", x2="datum.generation + 0.42")
        .mark_rect(stroke=theme.GREY, strokeWidth=0.6)
        .encode(
            x=theme.generations_axis(1, summary.last_generation),
            x2="x2:Q",
            y=alt.Y("low:Q", title="share of the organisms", axis=alt.Axis(format="%")),
            y2="high:Q",
            color=alt.Color(
                "name:N",
                title="width-heads-layers-context-MLP",
                scale=alt.Scale(domain=[*names, "other"], range=colors),
                legend=alt.Legend(orient="right", labelLimit=150, titleLimit=200),
            ),
            tooltip=theme.tooltip("species", "generation", "n"),
        )
        .properties(width=theme.WIDTH - 170, height=220)
    )
    return chart
