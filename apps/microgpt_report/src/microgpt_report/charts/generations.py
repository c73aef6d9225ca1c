"""Chart of all evaluations by generation, with the best and mean of each generation."""

from collections.abc import Sequence
from statistics import fmean

import altair as alt
from altair.typing import ChartType

from microgpt_evolution.search.stagnation import StagnationStage
from microgpt_report import look, theme
from microgpt_report.page import Row, Section
from microgpt_report.run_summary import PRIMORDIAL, RunSummary, title_of

BAND = 0.2  # opacity of the bands
BANDS: dict[StagnationStage, str] = {"championship": look.AMBER, "cataclysm": look.ORANGE}


def section(summary: RunSummary, evaluations: list[Row]) -> Section:
    """Return the section with the chart of all evaluations."""
    bands = list(dict.fromkeys(g.stage for g in summary.generations if g.stage != "normal"))
    kinds = {row["kind"] for row in evaluations}
    caption = (
        f"One mark per evaluation; {summary.common.better} is better. Solid line: best of each "
        "generation. Dashed: mean. Crosses at the top: failed evaluations."
    )
    if bands:
        caption += " Shaded: generations bred after stagnation."
    return Section(
        "generations",
        "Evaluations by generation",
        caption,
        theme.panels(list(summary.measures), lambda name: _chart(summary, name, kinds, bands)),
        datasets={"evaluations": evaluations, "generations": _rows(summary)},
    )


def _rows(summary: RunSummary) -> list[Row]:
    return [
        {
            "population": title_of(name),
            "generation": generation.number,
            "rung": generation.stage,
            "best": min(worths) if summary.measures[name].is_loss else max(worths),
            "mean": fmean(worths),
        }
        for generation in summary.generations
        for name, ranked in generation.populations.items()
        if (worths := [organism.worth for organism in ranked if organism.has_finished])
    ]


def _chart(
    summary: RunSummary, name: str, kinds: set[str], bands: Sequence[StagnationStage]
) -> ChartType:
    """Return the chart of one population. The charts of all populations share a color scale."""
    first = 0 if PRIMORDIAL in kinds else 1
    x = theme.generations_axis(first, max(summary.last_generation, first + 1))
    mine = alt.datum.population == title_of(name)
    marks = theme.of("evaluations").transform_filter(mine)
    marks = marks.encode(x=x, color=theme.kind_color(kinds))
    layers = [theme.crosses(marks).encode(tooltip=theme.tooltip("id", "status"))]
    history = theme.of("generations").transform_filter(mine)
    if bands:
        layers.insert(0, _shade(history, x, bands))
    if name in summary.champions:
        y = theme.loss_axis("worth:Q", summary.measures[name].title)
        points = theme.points(marks.transform_filter(alt.datum.status == "ok"))
        mean = history.mark_line(strokeDash=[4, 3], strokeWidth=1.5, color=look.GREY)
        best = history.mark_line(strokeWidth=2, style="ink")
        layers += [
            points.encode(y=y, tooltip=theme.EVALUATION_TOOLTIP),
            mean.encode(x="generation:Q", y="mean:Q"),
            best.encode(x="generation:Q", y="best:Q"),
        ]
    return alt.layer(*layers)


def _shade(history: alt.Chart, x: alt.X, bands: Sequence[StagnationStage]) -> alt.Chart:
    """Return shaded bands behind the generations bred by a championship or a cataclysm."""
    scale = alt.Scale(domain=list(bands), range=[BANDS[band] for band in bands])
    fill = alt.Fill("rung:N", title=None, scale=scale, legend=alt.Legend(symbolOpacity=BAND))
    stuck = history.transform_filter(alt.datum.rung != "normal").transform_calculate(
        x="datum.generation - 0.5", x2="datum.generation + 0.5"
    )
    shades: alt.Chart = stuck.mark_rect(opacity=BAND)
    return shades.encode(x=x, x2="x2:Q", fill=fill)
