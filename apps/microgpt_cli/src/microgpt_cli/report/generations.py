"""How the worth of organisms changed from generation to generation."""

import altair as alt

from microgpt_cli.report import look
from microgpt_cli.report.rows import Row, title_of
from microgpt_cli.report.story import Measure, Story

BANDS = {"championship": look.AMBER, "cataclysm": look.RED}
N_COLUMNS = 2  # of several populations


def draw(story: Story, rows: list[Row]) -> look.Chart:
    """Return a mark for each evaluation, and lines for the best and the mean of a generation.

    Args:
        story: the run.
        rows: its evaluations.
    """
    kinds = {row["kind"] for row in rows}
    populations = list(story.measures.items())
    if len(populations) == 1:
        ((name, measure),) = populations
        return _draw(story, name, measure, kinds, look.WIDTH)
    width = look.WIDTH // N_COLUMNS - 60
    charts = [
        _draw(story, name, measure, kinds, width).properties(title=title_of(name))
        for name, measure in populations
    ]
    return alt.concat(*charts, columns=N_COLUMNS)


def _draw(story: Story, name: str, measure: Measure, kinds: set[str], width: int) -> look.Chart:
    title = title_of(name)
    first = 0 if "primordial" in kinds else 1
    bands = dict.fromkeys(g.rung for g in story.generations if g.rung != "normal")
    x = look.generations_axis(first, max(len(story.generations), first + 1))
    y = alt.Y("worth:Q", title=measure.title, scale=alt.Scale(zero=False, padding=8))
    mine = alt.datum.population == title
    points = (
        look.of("evaluations")
        .transform_filter(mine & (alt.datum.status == "ok"))
        .mark_point(filled=True, size=38, opacity=0.75)
        .encode(x=x, y=y, color=look.kind_color(kinds), tooltip=look.about_an_evaluation("worth"))
    )
    failed = (
        look.of("evaluations")
        .transform_filter(mine & (alt.datum.status != "ok"))
        .mark_point(shape="cross", filled=True, size=50, angle=45)
        .encode(
            x=x,
            y=alt.value(6),
            color=look.kind_color(kinds),
            tooltip=[alt.Tooltip("id:N"), alt.Tooltip("status:N")],
        )
    )
    of_generations = look.of("generations").transform_filter(mine)
    x_line = alt.X("generation:Q")
    mean = of_generations.mark_line(strokeDash=[4, 3], strokeWidth=1.5, color=look.GREY).encode(
        x=x_line, y=alt.Y("mean:Q")
    )
    best = of_generations.mark_line(strokeWidth=2, style="ink").encode(x=x_line, y=alt.Y("best:Q"))
    shaded = (
        of_generations.transform_filter(alt.datum.rung != "normal")
        .transform_calculate(x="datum.generation - 0.5", x2="datum.generation + 0.5")
        .mark_rect(opacity=0.13)
        .encode(
            x=x,
            x2="x2:Q",
            fill=alt.Fill(
                "rung:N",
                title=None,
                scale=alt.Scale(domain=list(bands), range=[BANDS[rung] for rung in bands]),
                legend=alt.Legend(orient="top", symbolOpacity=0.4),
            ),
        )
    )
    layers = [*([shaded] if bands else []), points, failed, mean, best]
    return alt.layer(*layers).properties(width=width, height=look.HEIGHT)
