"""How the worth of organisms changed from generation to generation."""

from typing import Any

import altair as alt

from microgpt_evolution.search.stagnation import Rung
from microgpt_report import theme
from microgpt_report.rows import PRIMORDIAL, Row, title_of
from microgpt_report.run_summary import RunSummary

BANDS: dict[Rung, str] = {"championship": theme.AMBER, "cataclysm": theme.RED}
CROSS: dict[str, Any] = {"shape": "cross", "filled": True, "size": 50, "angle": 45}
N_COLUMNS = 2  # of several populations


def draw(story: RunSummary, rows: list[Row]) -> theme.Chart:
    """Return a mark for each evaluation, and lines for the best and the mean of a generation.

    Args:
        story: the run.
        rows: its evaluations.
    """
    kinds = {row["kind"] for row in rows}
    if len(story.measures) == 1:
        (name,) = story.measures
        return _draw(story, name, kinds, theme.WIDTH)
    width = theme.WIDTH // N_COLUMNS - 60
    charts = [
        _draw(story, name, kinds, width).properties(title=title_of(name)) for name in story.measures
    ]
    return alt.concat(*charts, columns=N_COLUMNS)


def _draw(story: RunSummary, name: str, kinds: set[str], width: int) -> theme.Chart:
    """Return the picture of a population.

    Args:
        story: the run.
        name: of the population.
        kinds: how the organisms of all populations were made.
        width: in pixels.
    """
    bands = dict.fromkeys(g.rung for g in story.generations if g.rung != "normal")
    first = 0 if PRIMORDIAL in kinds else 1
    x = theme.generations_axis(first, max(story.last_generation, first + 1))
    mine = alt.datum.population == title_of(name)
    marks = theme.of("evaluations").transform_filter(mine)
    marks = marks.encode(x=x, color=theme.kind_color(kinds))
    layers = [
        marks.transform_filter(alt.datum.status != "ok")
        .mark_point(**CROSS)
        .encode(y=alt.value(6), tooltip=[alt.Tooltip("id:N"), alt.Tooltip("status:N")])
    ]
    course = theme.of("generations").transform_filter(mine)
    if bands:
        layers.insert(0, _shade(course, x, list(bands)))
    if name in story.champions:
        measure = story.measures[name]
        y = alt.Y("worth:Q", title=measure.title, scale=alt.Scale(zero=False, padding=8))
        points = marks.transform_filter(alt.datum.status == "ok").mark_point(**theme.POINT)
        layers.append(points.encode(y=y, tooltip=theme.about_an_evaluation()))
        mean = course.mark_line(strokeDash=[4, 3], strokeWidth=1.5, color=theme.GREY)
        layers.append(mean.encode(x="generation:Q", y="mean:Q"))
        best = course.mark_line(strokeWidth=2, style="ink")
        layers.append(best.encode(x="generation:Q", y="best:Q"))
    return alt.layer(*layers).properties(width=width, height=theme.HEIGHT)


def _shade(course: alt.Chart, x: alt.X, rungs: list[Rung]) -> alt.Chart:
    """Return a shade behind the generations that were not bred as usual."""
    shades: alt.Chart = (
        course.transform_filter(alt.datum.rung != "normal")
        .transform_calculate(x="datum.generation - 0.5", x2="datum.generation + 0.5")
        .mark_rect(opacity=0.13)
    )
    scale = alt.Scale(domain=rungs, range=[BANDS[rung] for rung in rungs])
    legend = alt.Legend(orient="top", symbolOpacity=0.4)
    return shades.encode(
        x=x, x2="x2:Q", fill=alt.Fill("rung:N", title=None, scale=scale, legend=legend)
    )
