"""Charts of studies: trials of a search, settings of a sweep, tries of a research study."""

from collections.abc import Sequence
from math import inf
from statistics import fmean, median_low
from typing import Any

import altair as alt
from altair.typing import ChartType

from microgpt import printable
from microgpt_cli.charts import COLORS, GREEN, GREY, ORANGE, Row
from microgpt_evolution.generation_search import EvolutionResult
from microgpt_evolution.objectives.aesthetic_judge import first_names
from microgpt_evolution.report.ranking import AFTERWARDS, Ranking
from microgpt_evolution.research.research import Research
from microgpt_evolution.research.sequential_test import KEPT, REJECTED, SEARCH, UNCONFIRMED

WIDTH, HEIGHT = 760, 300  # chart size in pixels
N_CHARACTERS = 500  # maximum length of a tooltip
VERDICTS = {KEPT: GREEN, UNCONFIRMED: ORANGE, REJECTED: GREY}  # only these verdicts are drawn
N_SETTINGS = 30  # maximum number of settings in the chart of a sweep
FAR = 10  # the axis ends at this multiple of the median distance from the best value


def draw_result(result: EvolutionResult) -> ChartType:
    """Return the chart of the trials of a search that was run from Python."""
    return draw_trials(Ranking(result.study.settings, result.study.records))


def draw_trials(ranking: Ranking) -> ChartType:
    """Return a chart of a search's trials in order of completion, with the best value so far."""
    return _staircase(_trial_rows(ranking), "trial", ranking.measure.axis, alt.Scale(range=COLORS))


def draw_tries(research: Research) -> ChartType:
    """Return a chart of a research study's tries with intervals, and of the champion's loss."""
    colors = alt.Scale(domain=[*VERDICTS], range=[*VERDICTS.values()])
    return _staircase(_try_rows(research), "try", "loss, nats per character", colors)


def _staircase(rows: Sequence[Row], name: str, axis: str, colors: alt.Scale) -> ChartType:
    """Return a chart of numbered points, with intervals if any, and a line of the best value."""
    x = alt.X(
        "trial:Q",
        title=name,
        axis=alt.Axis(format="d", tickMinStep=1, grid=False),
        scale=alt.Scale(zero=False, nice=False, padding=10),
    )
    scale, shape = _clamped(rows)
    best_y, value_y, low_y = (
        alt.Y(f"{y}:Q", title=axis, scale=scale) for y in ("best", "value", "low")
    )
    base = alt.Chart(alt.InlineData(values=rows), width=WIDTH, height=HEIGHT).encode(x=x)
    marks = base.transform_filter("isValid(datum.value)").encode(
        color=alt.Color(
            "origin:N", title=None, scale=colors, legend=alt.Legend(symbolType="circle")
        )
    )
    points = marks.mark_point(filled=True, size=42, opacity=0.9)
    best = base.mark_line(interpolate="step-after", strokeWidth=2, style="ink")
    intervals = marks.transform_filter("isValid(datum.low)").mark_rule(opacity=0.6)
    return alt.layer(
        best.encode(y=best_y),
        intervals.encode(y=low_y, y2="high:Q"),
        points.encode(y=value_y, shape=shape, tooltip="about:N", description="about:N"),
    )


def _clamped(rows: Sequence[Row]) -> tuple[alt.Scale, Any]:
    """Return a scale that draws values far from the best at its end, and their shape, a diamond.

    Otherwise, one huge loss would hide the differences between all others.
    """
    bests, ends, distances = [row["best"] for row in rows], list[float](), list[float]()
    for row in rows:
        ends += (found := [row[name] for name in ("best", "value", "low", "high") if name in row])
        if row.get("value", row["best"]) != row["best"]:
            distances.append(max(abs(end - row["best"]) for end in found))
    far = max(FAR * median_low(distances or [inf]), max(bests) - min(bests))
    domain = [max(min(ends), min(bests) - far), min(max(ends), max(bests) + far)]
    shape = alt.condition(
        f"inrange(datum.value, {domain})", alt.value("circle"), alt.value("diamond")
    )
    return alt.Scale(domain=domain, clamp=True, nice=True, padding=8), shape


def _trial_rows(ranking: Ranking) -> list[Row]:
    """Return a chart row for each finished trial, in the order in which the trials ended."""
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
                "best": round(best, 4),
                "about": printable(about, N_CHARACTERS),
            }
        )
    return rows


def _try_rows(research: Research) -> list[Row]:
    """Return a chart row per try: the champion's loss minus the try's gain, with its interval."""
    first, *tries = research.tries
    level = fmean(each.fitness for each in first.records if each.origin == SEARCH)
    rows: list[Row] = [{"trial": 0, "best": level}]
    for each in tries:
        row: Row = {"trial": each.number}
        if (gain := each.gain) and each.verdict in VERDICTS:
            half, loss = gain.half_width or 0.0, level - gain.value
            row |= {"value": loss, "low": loss - half, "high": loss + half, "origin": each.verdict}
            row |= {"about": f"try {each.number}, {each.verdict}: gain {gain}"}
            level = loss if each.verdict == KEPT else level
        rows.append({**row, "best": level})
    return rows


def draw_means(ranking: Ranking) -> ChartType:
    """Return a chart of the best genomes of a sweep: their mean losses with intervals."""
    rows = list[Row]()
    for each in ranking.candidates[:N_SETTINGS]:
        mean, half = each.mean, each.mean.half_width or 0.0
        settings = ranking.describe(each.record.genome)
        ends = {"low": mean.value - half, "high": mean.value + half}
        about = {"settings": settings, "about": f"{settings}: {mean}"}
        rows.append(
            {"value": mean.value, "best": ranking.candidates[0].mean.value, **ends, **about}
        )
    y = alt.Y("settings:N", sort=None, title=None, axis=alt.Axis(labelLimit=WIDTH // 2))
    means = alt.Chart(alt.InlineData(values=rows), width=WIDTH * 2 // 3).encode(y=y)
    scale, shape = _clamped(rows)
    value, low = (
        alt.X(f"{x}:Q", title=ranking.measure.axis, scale=scale) for x in ("value", "low")
    )
    points = means.mark_point(filled=True, size=42, opacity=1)
    return alt.layer(
        means.mark_rule(opacity=0.6).encode(x=low, x2="high:Q"),
        points.encode(x=value, shape=shape, tooltip="about:N", description="about:N"),
    )
