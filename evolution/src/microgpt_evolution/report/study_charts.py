"""The chart of a study: the trials of a search, or the losses of the settings of a sweep."""

import altair as alt
from altair.typing import ChartType

from microgpt import printable
from microgpt_cli.charts import COLORS, Row
from microgpt_evolution.generation_search import EvolutionResult
from microgpt_evolution.objectives.fitness import first_names
from microgpt_evolution.report.ranking import AFTERWARDS, Ranking

WIDTH, HEIGHT = 760, 300  # chart size in pixels
N_CHARACTERS = 500  # maximum length of a tooltip
N_SETTINGS = 30  # maximum number of settings of a sweep


def draw_result(result: EvolutionResult) -> ChartType:
    """Return the chart of a search in Python."""
    return draw_trials(Ranking(result.study.settings, result.study.records))


def draw_trials(ranking: Ranking) -> ChartType:
    """Return the trials of a search in their order, with the best value so far."""
    rows = _trial_rows(ranking)
    y = alt.Y("value:Q", title=ranking.measure.axis, scale=alt.Scale(zero=False))
    axis = alt.Axis(format="d", tickMinStep=1, grid=False)
    x = alt.X("trial:Q", axis=axis, scale=alt.Scale(zero=False, nice=False, padding=10))
    trials = alt.Chart(alt.InlineData(values=rows), width=WIDTH, height=HEIGHT).encode(x=x, y=y)
    points = trials.mark_point(filled=True, size=38, opacity=0.8).encode(
        color=alt.Color("origin:N", title=None, scale=alt.Scale(range=COLORS)),
        tooltip="about:N",
        description="about:N",
    )
    best = trials.mark_line(interpolate="step-after", strokeWidth=2, style="ink")
    return alt.layer(points, best.encode(y="best:Q"))


def _trial_rows(ranking: Ranking) -> list[Row]:
    """Return a row for each finished trial, in the order in which they ended."""
    rows = list[Row]()
    better = max if ranking.measure.is_score else min
    (best, _), *_ = ranking.measured
    for value, record in ranking.measured:
        best = best if record.origin in AFTERWARDS else better(best, value)
        facts = [f"{record.id}, {record.origin}: {value:.4f}", ranking.describe(record.genome)]
        about = "; ".join(filter(None, [*facts, first_names(record.samples)]))
        rows.append(
            {
                "id": record.id,
                "trial": len(rows) + 1,
                "origin": record.origin,
                "value": round(value, 4),
                "best": best,
                "about": printable(about, N_CHARACTERS),
            }
        )
    return rows


def draw_means(ranking: Ranking) -> ChartType:
    """Return the mean losses of the best settings of a sweep with their intervals, best first."""
    rows = list[Row]()
    for each in ranking.candidates[:N_SETTINGS]:
        mean, half = each.mean, each.mean.half_width or 0.0
        settings = ranking.describe(each.record.genome)
        ends = {"low": mean.value - half, "high": mean.value + half}
        about = {"settings": settings, "about": f"{settings}: {mean}"}
        rows.append({"loss": mean.value, **ends, **about})
    y = alt.Y("settings:N", sort=None, title=None, axis=alt.Axis(labelLimit=WIDTH // 2))
    means = alt.Chart(alt.InlineData(values=rows), width=WIDTH * 2 // 3).encode(y=y)
    scale = alt.Scale(zero=False, padding=8)
    loss, low = (alt.X(f"{x}:Q", title=ranking.measure.axis, scale=scale) for x in ("loss", "low"))
    points = means.mark_point(filled=True, size=42, opacity=1)
    return alt.layer(
        means.mark_rule(opacity=0.6).encode(x=low, x2="high:Q"),
        points.encode(x=loss, tooltip="about:N", description="about:N"),
    )
