"""Chart of the share of each species per generation."""

from collections import Counter

import altair as alt

from microgpt_evolution.population import count_species
from microgpt_report import look, theme
from microgpt_report.page import Row, Section
from microgpt_report.run_summary import RunSummary

N_NAMED = len(look.COLORS)


def section(summary: RunSummary) -> Section:
    """Return the section with the species chart."""
    rows = _rows(summary)
    names = list(dict.fromkeys(row["name"] for row in rows if row["name"] != "other"))
    colors = [*look.COLORS[: len(names)], f"{look.GREY}40"]
    scale = alt.Scale(domain=[*names, "other"], range=colors)
    base = theme.of("species").transform_calculate(
        x="datum.generation - 0.42", x2="datum.generation + 0.42"
    )
    chart = base.mark_rect(stroke=look.GREY, strokeWidth=0.6).encode(
        x=theme.generations_axis(1, summary.last_generation),
        x2="x2:Q",
        y=alt.Y("low:Q", title="share of organisms", axis=alt.Axis(format="%")),
        y2="high:Q",
        color=alt.Color("name:N", title="width-heads-layers-context-MLP ratio", scale=scale),
        tooltip=theme.tooltip("species", "generation", "n"),
    )
    return Section(
        "species",
        "Species",
        "Genomes with the same model shape form a species. One column per generation; a column "
        "of one color means that the search has converged.",
        chart.properties(height=220),
        datasets={"species": rows},
    )


def _rows(summary: RunSummary) -> list[Row]:
    """Return one row per generation and species, with the share of the species.

    Only the largest species have a name. Each other species has a row with the name "other".
    """
    everyone = Counter(o.genome.species for _, o in summary.organisms.values())
    named = [name for name, n in everyone.most_common(N_NAMED) if n > 1]
    rows = []
    for generation in summary.generations:
        alive = [o for ranked in generation.populations.values() for o in ranked]
        counts, low = count_species(alive), 0.0
        for species in sorted(
            counts, key=lambda s: (named.index(s) if s in named else N_NAMED, -counts[s])
        ):
            name, n = species if species in named else "other", counts[species]
            row = {"generation": generation.number, "species": species, "name": name, "n": n}
            rows.append(row | {"low": low, "high": (high := low + n / len(alive))})
            low = high
    return rows
