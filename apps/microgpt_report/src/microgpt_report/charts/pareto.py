"""What a low loss, or a high score, costs in weights."""

import altair as alt

from microgpt_report import theme
from microgpt_report.rows import title_of
from microgpt_report.run_summary import RunSummary

N_COLUMNS = 2


def draw(story: RunSummary) -> theme.Chart:
    """Return a point for each evaluation, and the front of those that no smaller one beats."""
    names = [name for name in story.measures if name in story.champions]
    if len(names) == 1:
        return _draw(story, names[0], theme.WIDTH - 100)
    width = theme.WIDTH // N_COLUMNS - 60
    charts = [_draw(story, name, width).properties(title=title_of(name)) for name in names]
    return alt.concat(*charts, columns=N_COLUMNS)


def _draw(story: RunSummary, name: str, width: int) -> theme.Chart:
    is_whole = story.settings is not None and story.settings.vocab_size is not None
    x = alt.X(
        "params:Q",
        title="weights" if is_whole else "weights, without those of the tokens",
        scale=alt.Scale(type="log", nice=False, padding=12),
        axis=alt.Axis(format="~s", tickCount=6, grid=False),
    )
    title = story.measures[name].title
    y = alt.Y("worth:Q", title=title, scale=alt.Scale(zero=False, padding=8))
    base = theme.of("evaluations").encode(x=x, y=y)
    base = base.transform_filter(
        (alt.datum.population == title_of(name)) & (alt.datum.status == "ok")
    )
    legend = alt.Legend(orient="right", format="d", tickMinStep=1)
    color = alt.Color("generation:Q", scale=alt.Scale(scheme=theme.SHADES), legend=legend)
    points = base.mark_point(**theme.POINT).encode(color=color, tooltip=theme.about_an_evaluation())
    front = base.transform_filter("datum.on_front")
    line = front.mark_line(interpolate="step-after", color=theme.RED, strokeWidth=2)
    rings = front.mark_point(size=110, color=theme.RED, strokeWidth=1.8)
    return alt.layer(points, line.encode(order="params:Q"), rings).properties(
        width=width, height=theme.HEIGHT
    )
