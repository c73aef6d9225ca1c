"""What a low loss, or a high score, costs in weights."""

import altair as alt

from microgpt_cli.report import look
from microgpt_cli.report.rows import title_of
from microgpt_cli.report.story import Story

N_COLUMNS = 2


def draw(story: Story) -> look.Chart:
    """Return a point for each evaluation, and the front of those that no smaller one beats."""
    charts = []
    is_one = len(story.measures) == 1
    for name, measure in story.measures.items():
        width = look.WIDTH - 100 if is_one else look.WIDTH // N_COLUMNS - 60
        known = story.settings is not None and story.settings.vocab_size is not None
        x = alt.X(
            "params:Q",
            title="weights" if known else "weights, without those of the tokens",
            scale=alt.Scale(type="log", nice=False, padding=12),
            axis=alt.Axis(format="~s", tickCount=6, grid=False),
        )
        base = look.of("evaluations").transform_filter(
            (alt.datum.population == title_of(name)) & (alt.datum.status == "ok")
        )
        y = alt.Y("worth:Q", title=measure.title, scale=alt.Scale(zero=False, padding=8))
        points = base.mark_point(filled=True, size=38, opacity=0.8).encode(
            x=x,
            y=y,
            color=alt.Color(
                "generation:Q",
                scale=alt.Scale(scheme=look.SHADES),
                legend=alt.Legend(orient="right", format="d", tickMinStep=1),
            ),
            tooltip=look.about_an_evaluation("worth"),
        )
        front = base.transform_filter("datum.on_front")
        line = front.mark_line(interpolate="step-after", color=look.RED, strokeWidth=2).encode(
            x=x, y=y, order="params:Q"
        )
        rings = front.mark_point(size=110, color=look.RED, strokeWidth=1.8).encode(x=x, y=y)
        charts.append(
            alt.layer(points, line, rings).properties(
                width=width, height=look.HEIGHT, **({} if is_one else {"title": title_of(name)})
            )
        )
    return charts[0] if is_one else alt.concat(*charts, columns=N_COLUMNS)
