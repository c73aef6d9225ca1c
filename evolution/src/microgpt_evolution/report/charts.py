"""Charts of the trials of a search and of the scaling of a sweep."""

from collections import Counter
from typing import Any

import altair as alt
from altair.typing import ChartType

from microgpt_cli.charts.look import AMBER, BLUE, COLORS, GREEN, GREY, ORANGE, PINK, SKY, Row
from microgpt_evolution.generation_search import EvolutionResult
from microgpt_evolution.genome import values_of
from microgpt_evolution.objectives.judge import first_names
from microgpt_evolution.report.page import Section
from microgpt_evolution.report.ranking import (
    Candidate,
    RankedStudy,
    Ranking,
    describe_settings,
)
from microgpt_evolution.report.scaling import Scaling
from microgpt_evolution.strategies.contestant import EVALUATIONS
from microgpt_evolution.strategies.grid import differing
from microgpt_evolution.trial import RETEST, TrialRecord

WIDTH, HEIGHT = 760, 300  # chart size in pixels
PANEL_WIDTH, PANEL_HEIGHT, N_COLUMNS = 320, 250, 2  # of a grid of panels
# Groups of the origins of organisms, with a color each.
KINDS = {
    "newcomer": (SKY, ("random", "immigrant", "cataclysm", "genome")),
    "mutant": (BLUE, ("mutant", "hyper", "grown", "tuned")),
    "cross": (GREEN, ("cross", "champion")),
    "elite": (GREY, ("elite", "re-eval")),
    "migrant": (PINK, ("migrant",)),
    "retest": (ORANGE, (RETEST,)),
    "start": (AMBER, ("primordial", "given")),
}
# The costs of a training run, with the titles of their axes.
COSTS = {"steps": "steps", "parameters": "parameters", "operations": "GFLOP per training run"}


def draw_result(result: EvolutionResult) -> ChartType:
    """Return the chart of a search in Python: its trials by generation."""
    study = RankedStudy("search", result.study.settings, result.study.records)
    section = by_generation(study)
    assert section.chart
    return section.chart.properties(title=section.title)


def draw_scaling(scaling: Scaling) -> ChartType:
    """Return a chart with a panel for each of steps, parameters and operations that differ.

    Points are means over the seeds with 95 % confidence intervals. If all configurations need the
    same operations, a panel shows them in the order of their loss.
    """
    by_size = sorted(scaling.candidates, key=lambda each: each.record.n_params)
    names = [name for name in differing(each.genome for each in by_size) if name != "steps"]
    rows = [_scaling_row(each, names) for each in by_size]
    axes = [cost for cost in COSTS if len({row[cost] for row in rows}) > 1]
    if scaling.has_one_cost or not axes:
        axes.append("label")
    title = scaling.ranking.measure.title
    return alt.concat(*(_panel(axis, rows, title) for axis in axes), columns=N_COLUMNS)


def _scaling_row(candidate: Candidate, names: list[str]) -> Row:
    genome, record, mean = candidate.genome, candidate.record, candidate.mean
    half = mean.half_width or 0.0
    return {
        "label": describe_settings(values_of(genome, names)),
        "loss": mean.value,
        "low": mean.value - half,
        "high": mean.value + half,
        "steps": genome.steps,
        "parameters": record.n_params,
        "operations": record.flops / 1e9,
    }


def _panel(axis: str, rows: list[Row], title: str) -> ChartType:
    if axis in COSTS:
        heading, x = f"Loss against {axis}", log_axis(axis, COSTS[axis])
    else:
        heading = "Loss of each configuration"
        x = alt.X("label:N", title=None, sort=alt.SortField("loss"))
    labels = list(dict.fromkeys(row["label"] for row in rows))
    legend = alt.Legend(title=None, columns=1) if labels[1:] else None
    color = alt.Color("label:N", scale=alt.Scale(domain=labels, range=COLORS), legend=legend)
    loss = value_axis("loss", title)
    tooltip = ["label:N", "loss:Q", *(f"{cost}:Q" for cost in COSTS)]
    points = alt.Chart(alt.InlineData(values=rows)).encode(x=x, color=color)
    layers = [
        points.mark_rule(opacity=0.6).encode(y=value_axis("low", title), y2="high:Q"),
        points.mark_point(filled=True, size=42, opacity=1).encode(y=loss, tooltip=tooltip),
    ]
    if axis in ("steps", "operations"):  # points of one color differ only in steps
        layers.append(points.mark_line(strokeWidth=1, opacity=0.6).encode(y=loss))
    return alt.layer(*layers, width=PANEL_WIDTH, height=PANEL_HEIGHT, title=heading)


def by_generation(study: RankedStudy) -> Section:
    """Return the section with all finished trials in the order in which they were bred."""
    is_score = study.rankings[0].measure.is_score
    axis = alt.Axis(format="d", tickMinStep=1, grid=False)
    x = alt.X("generation:Q", axis=axis, scale=alt.Scale(zero=False, nice=False, padding=10))
    return Section(
        "generations",
        "Trials by generation",
        f"One mark per trial; {'higher' if is_score else 'lower'} is better. Line: the best "
        "organism so far.",
        _along("generation", x, study),
    )


def by_size(study: RankedStudy) -> Section:
    """Return the section with all finished trials by their number of parameters."""
    return Section(
        "sizes",
        "Trials by number of parameters",
        "Line: the best organism with as many or fewer parameters.",
        _along("parameters", log_axis("parameters", "parameters"), study),
    )


def during_training(study: RankedStudy) -> Section:
    """Return the section with the learning curves of a search with a budget."""
    rows, n_seen = list[Row](), Counter[str]()
    (ranking,) = study.rankings
    for record in ranking.records:
        for loss in record.losses:
            n_seen[record.id] += 1
            share = n_seen[record.id] / EVALUATIONS
            rows.append(_row(study, ranking, record, loss) | {"share": share})
    scale, axis = alt.Scale(domain=[0, 1]), alt.Axis(format="%", tickCount=4)
    x = alt.X("share:Q", title="share of the training run", scale=scale, axis=axis)
    line = _of(rows, x).encode(detail="id:N", **_encoding(study))
    return Section(
        "curves",
        "Learning curves",
        "Held-out loss of each organism during its training run. The less promising "
        "organisms pause after the sixth evaluation.",
        alt.layer(line.mark_line(opacity=0.7), line.mark_point(filled=True, size=38)),
    )


def _row(study: RankedStudy, ranking: Ranking, record: TrialRecord, value: float) -> Row:
    generation, slot = record.place
    slots = ranking.slots
    return {
        "id": record.id,
        "population": ranking.name,
        "generation": generation + slots.index(slot) / len(slots),
        "kind": _kind(record),
        "origin": record.origin,
        "value": round(value, 4),
        "settings": study.describe(record.genome),
        "parameters": record.n_params,
        "names": first_names(record.samples),
    }


def _kind(record: TrialRecord) -> str:
    """Return the kind of a trial; an unknown origin is a kind of its own."""
    found = (kind for kind, (_, origins) in KINDS.items() if record.origin in origins)
    return next(found, record.origin)


def _along(field: str, x: alt.X, study: RankedStudy) -> ChartType:
    """Return the chart of the trials along an axis, with a panel per population."""
    rows = [
        _row(study, ranking, record, value)
        for ranking in study.rankings
        for value, record in ranking.measured
    ]
    trials = _of(rows, x)
    best = trials.transform_filter(alt.datum.origin != RETEST).transform_window(
        sort=[alt.SortField(field)],
        frame=[None, 0],
        groupby=["population"],
        best=f"{'max' if study.rankings[0].measure.is_score else 'min'}(value)",
    )
    layers = alt.layer(
        trials.mark_point(filled=True, size=38, opacity=0.8).encode(**_encoding(study)),
        best.mark_line(interpolate="step-after", strokeWidth=2, style="ink").encode(y="best:Q"),
    )
    if len(study.rankings) == 1:
        return layers
    population = alt.Facet("population:N", title=None)
    panels = layers.properties(width=PANEL_WIDTH).facet(population, columns=N_COLUMNS)
    chart: ChartType = panels.resolve_scale(y="independent")
    return chart


def _encoding(study: RankedStudy) -> dict[str, Any]:
    """Return how points show trials: their values by height, their kinds by color."""
    kinds = {_kind(record) for ranking in study.rankings for record in ranking.records}
    shown = [kind for kind in KINDS if kind in kinds] + sorted(kinds - KINDS.keys())
    colors = [KINDS[kind][0] if kind in KINDS else GREY for kind in shown]
    titles = [ranking.measure.title for ranking in study.rankings]
    title = titles[0] if len(titles) == 1 else "score"
    value, others = alt.Tooltip("value:Q", title=title), ("parameters:Q", "settings:N", "names:N")
    return {
        "y": value_axis("value", title),
        "color": alt.Color("kind:N", title=None, scale=alt.Scale(domain=shown, range=colors)),
        "tooltip": ["id:N", "origin:N", value, *others],
    }


def _of(rows: list[Row], x: alt.X) -> alt.Chart:
    return alt.Chart(alt.InlineData(values=rows), width=WIDTH, height=HEIGHT).encode(x=x)


def value_axis(field: str, title: str) -> alt.Y:
    """Return a y axis for losses or scores, which need not include 0."""
    return alt.Y(f"{field}:Q", title=title, scale=alt.Scale(zero=False, padding=8))


def log_axis(field: str, title: str) -> alt.X:
    """Return a logarithmic x axis; its title names the scale."""
    scale = alt.Scale(type="log", nice=False, padding=12)
    axis = alt.Axis(
        grid=False, format=",.4~r", tickCount=6, labelOverlap="greedy", labelSeparation=10
    )
    return alt.X(f"{field}:Q", title=f"{title} (log scale)", scale=scale, axis=axis)
