"""Chart of loss or score against the number of parameters, with the Pareto front."""

import altair as alt
from altair.typing import ChartType

from microgpt_report import look, theme
from microgpt_report.page import Section
from microgpt_report.run_summary import RunSummary, title_of


def section(summary: RunSummary) -> Section | None:
    """Return the section with the Pareto front, or None if no organism has finished."""
    names = [name for name in summary.measures if name in summary.champions]
    if not names:
        return None
    return Section(
        "pareto",
        f"{'Loss' if summary.common.is_loss else 'Score'} and number of parameters",
        "Orange line: the Pareto front. No organism with as many or fewer parameters is better.",
        theme.panels(names, lambda name: _chart(summary, name)),
    )


def _chart(summary: RunSummary, name: str) -> ChartType:
    is_whole = summary.settings is not None and summary.settings.vocab_size is not None
    x = theme.log_axis(
        "params:Q", "parameters" if is_whole else "parameters without token embeddings"
    )
    y = theme.loss_axis("worth:Q", summary.measures[name].title)
    base = theme.of("evaluations").encode(x=x, y=y)
    base = base.transform_filter(
        (alt.datum.population == title_of(name)) & (alt.datum.status == "ok")
    )
    legend = alt.Legend(format="d", tickMinStep=1)
    color = alt.Color("generation:Q", scale=alt.Scale(scheme=theme.SHADES), legend=legend)
    points = theme.points(base).encode(color=color, tooltip=theme.EVALUATION_TOOLTIP)
    front = base.transform_filter("datum.on_front")
    line = front.mark_line(interpolate="step-after", color=look.ORANGE, strokeWidth=2)
    rings = front.mark_point(size=110, color=look.ORANGE, strokeWidth=1.8)
    return alt.layer(points, line.encode(order="params:Q"), rings)
