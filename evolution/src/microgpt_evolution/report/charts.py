"""The chart of a study: the trials of a search, or what the settings of a sweep change."""

import altair as alt
from altair.typing import ChartType

from microgpt import printable
from microgpt_cli.charts.look import COLORS, Row
from microgpt_evolution.generation_search import EvolutionResult
from microgpt_evolution.genome import values_of
from microgpt_evolution.objectives.judge import first_names
from microgpt_evolution.report.ranking import Candidate, RankedStudy, Ranking, describe_settings
from microgpt_evolution.report.scaling import AXES
from microgpt_evolution.strategies.grid import differing
from microgpt_evolution.trial import RETEST

# How a report calls some origins of trials.jsonl.
LABELS = {RETEST: "retest", "primordial": "start"}
WIDTH, HEIGHT = 760, 300  # chart size in pixels
PANEL_WIDTH, PANEL_HEIGHT, N_COLUMNS = 320, 250, 2  # size and columns of a grid of panels
N_CHARACTERS = 500  # maximum length of a tooltip
COLOR = alt.Scale(range=COLORS)


def draw_result(result: EvolutionResult) -> ChartType:
    """Return the chart of a search in Python."""
    return draw_trials(RankedStudy("search", result.study.settings, result.study.records))


def draw_trials(study: RankedStudy) -> ChartType:
    """Return the trials of each population in their order, with the best value so far."""
    rows = [row for ranking in study.rankings for row in _trial_rows(study, ranking)]
    title, *others = map(_title, study.rankings)
    y = alt.Y("value:Q", title="score" if others else title, scale=alt.Scale(zero=False))
    axis = alt.Axis(format="d", tickMinStep=1, grid=False)
    x = alt.X("trial:Q", axis=axis, scale=alt.Scale(zero=False, nice=False, padding=10))
    trials = alt.Chart(alt.InlineData(values=rows), width=WIDTH, height=HEIGHT).encode(x=x, y=y)
    points = trials.mark_point(filled=True, size=38, opacity=0.8).encode(
        color=alt.Color("origin:N", title=None, scale=COLOR),
        tooltip="about:N",
        description="about:N",
    )
    best = trials.mark_line(interpolate="step-after", strokeWidth=2, style="ink")
    layers = alt.layer(points, best.encode(y="best:Q"))
    if not others:
        return layers
    population = alt.Facet("population:N", title=None)
    panels = layers.properties(width=PANEL_WIDTH).facet(population, columns=N_COLUMNS)
    chart: ChartType = panels.resolve_scale(y="independent")
    return chart


def _trial_rows(study: RankedStudy, ranking: Ranking) -> list[Row]:
    """Return a row for each finished trial of a population; retests are the last."""
    rows = list[Row]()
    better = max if ranking.measure.is_score else min
    found = sorted(ranking.measured, key=lambda pair: (pair[1].origin == RETEST, pair[1].place))
    best = found[0][0] if found else 0.0
    for value, record in found:
        best = best if record.origin == RETEST else better(best, value)
        origin = LABELS.get(record.origin, record.origin)
        facts = [f"{record.id}, {origin}: {value:.4f}", study.describe(record.genome)]
        about = "; ".join(filter(None, [*facts, first_names(record.samples)]))
        rows.append(
            {
                "id": record.id,
                "population": ranking.name,
                "trial": len(rows) + 1,
                "origin": origin,
                "value": round(value, 4),
                "best": best,
                "about": printable(about, N_CHARACTERS),
            }
        )
    return rows


def draw_effects(ranking: Ranking) -> ChartType:
    """Return the losses of a sweep, with a panel for each setting or cost that differs.

    The color is the first of several settings. Lines join the lowest losses of a color.
    """
    names = differing(each.genome for each in ranking.candidates)
    axes = [name for name in names if name not in AXES["parameters"]]
    if len(axes) < len(names):
        axes.append("parameters")
    if {"steps", "parameters"} <= {*axes} or not axes:
        axes.append("operations")
    rows = [_effect_row(each, names) for each in ranking.candidates]
    color = alt.Color(f"{names[0]}:N", scale=COLOR) if names[1:] else alt.Color()
    panels = (_panel(axis, rows, _title(ranking), color) for axis in axes)
    return alt.concat(*panels, columns=N_COLUMNS)


def _effect_row(candidate: Candidate, names: list[str]) -> Row:
    record, mean = candidate.record, candidate.mean
    half, settings = mean.half_width or 0.0, values_of(candidate.genome, names)
    costs = {"parameters": record.n_params, "operations": record.flops}
    losses = {"loss": mean.value, "low": mean.value - half, "high": mean.value + half}
    return settings | costs | losses | {"about": f"{describe_settings(settings)}: {mean}"}


def _panel(axis: str, rows: list[Row], title: str, color: alt.Color) -> ChartType:
    loss, low, lowest = (
        alt.Y(f"{name}:Q", title=title, scale=alt.Scale(zero=False, padding=8))
        for name in ("loss", "low", "min(loss)")
    )
    found = alt.Chart(alt.InlineData(values=rows)).encode(x=_axis(axis, rows), color=color)
    points = found.mark_point(filled=True, size=42, opacity=1)
    layers = [
        found.mark_rule(opacity=0.6).encode(y=low, y2="high:Q"),
        found.mark_line(strokeWidth=1, opacity=0.6).encode(y=lowest),
        points.encode(y=loss, tooltip="about:N", description="about:N"),
    ]
    heading = f"Loss against {axis}"
    return alt.layer(*layers, width=PANEL_WIDTH, height=PANEL_HEIGHT, title=heading)


def _axis(axis: str, rows: list[Row]) -> alt.X:
    """Return a logarithmic axis for positive numbers; other values stand side by side."""
    values = [row[axis] for row in rows]
    if any(isinstance(value, bool | str | None) or value <= 0 for value in values):
        return alt.X(f"{axis}:N")
    digits = ",.4~s" if axis == "operations" else ",.4~r"
    ticks = alt.Axis(
        grid=False, format=digits, tickCount=6, labelOverlap="greedy", labelSeparation=10
    )
    scale = alt.Scale(type="log", nice=False, padding=12)
    return alt.X(f"{axis}:Q", title=f"{axis} (log scale)", scale=scale, axis=ticks)


def _title(ranking: Ranking) -> str:
    measure = ranking.measure
    return f"{measure.label}, {measure.unit}" if measure.unit else measure.label
