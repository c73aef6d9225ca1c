"""Charts of the trials of a search: by generation, by size, and during training."""

from collections import Counter

import altair as alt
from altair.typing import ChartType

from microgpt_cli.charts.look import AMBER, BLUE, GREEN, GREY, ORANGE, PINK, SKY, Row
from microgpt_evolution.objectives.judge import first_names
from microgpt_evolution.report.page import Section
from microgpt_evolution.report.ranked_study import AGAIN, RankedStudy, place_of
from microgpt_evolution.report.scaling_chart import log_axis
from microgpt_evolution.search.evolve import EvolutionResult
from microgpt_evolution.strategies.contestant import EVALUATIONS
from microgpt_evolution.trial import TrialRecord

WIDTH, HEIGHT = 760, 300  # chart size in pixels
FACET_WIDTH, N_COLUMNS = 320, 2  # of a grid with one panel per population
# Groups of the origins of organisms, with a color each.
KINDS = {
    "newcomer": (SKY, ("random", "immigrant", "cataclysm", "genome")),
    "mutant": (BLUE, ("mutant", "hyper", "grown", "tuned")),
    "cross": (GREEN, ("cross", "champion")),
    "elite": (GREY, ("elite", "re-eval")),
    "migrant": (PINK, ("migrant",)),
    "retest": (ORANGE, (AGAIN,)),
    "start": (AMBER, ("primordial", "given")),
}
TOOLTIP = ["id:N", "origin:N", "value:Q", "parameters:Q", "settings:N", "names:N"]


def draw_result(result: EvolutionResult) -> ChartType:
    """Return the chart of a search in Python: its trials by generation."""
    study = RankedStudy("search", result.run.settings, result.run.lines)
    section = by_generation(study)
    assert section.chart
    return section.chart.properties(datasets=dict(section.datasets), title=section.title)


def by_generation(study: RankedStudy) -> Section:
    """Return the section with all finished trials in the order in which they were bred."""
    is_score = any(measure.is_score for measure in study.measures.values())
    axis = alt.Axis(format="d", tickMinStep=1, grid=False)
    x = alt.X("generation:Q", axis=axis, scale=alt.Scale(zero=False, nice=False, padding=10))
    return Section(
        "generations",
        "Trials by generation",
        f"One mark per trial; {'higher' if is_score else 'lower'} is better. Line: the best "
        "organism so far.",
        _along("generation", x, study),
        datasets={
            "trials": [
                _row(study, record, value)
                for record in study.searched
                if (value := study.value_of(record)) is not None
            ]
        },
    )


def by_size(study: RankedStudy) -> Section:
    """Return the section with all finished trials by their number of parameters."""
    return Section(
        "sizes",
        "Trials by number of parameters",
        "Line: the best organism with as many or fewer parameters.",
        _along("parameters", log_axis("parameters:Q", "parameters"), study),
    )


def during_training(study: RankedStudy) -> Section:
    """Return the section with the learning curves of a search with a budget."""
    rows, n_seen = list[Row](), Counter[str]()
    for record in study.searched:
        for loss in record.losses:
            n_seen[record.id] += 1
            share = n_seen[record.id] / EVALUATIONS
            rows.append(_row(study, record, loss) | {"share": share})
    scale, axis = alt.Scale(domain=[0, 1]), alt.Axis(format="%", tickCount=4)
    x = alt.X("share:Q", title="share of the training run", scale=scale, axis=axis)
    line = _of("curves").encode(
        x=x, y=_values(study), color=_kinds(study), detail="id:N", tooltip=TOOLTIP
    )
    return Section(
        "curves",
        "Learning curves",
        "Held-out loss of each organism during its training run. The less promising "
        "organisms pause after the sixth evaluation.",
        alt.layer(line.mark_line(opacity=0.7), line.mark_point(filled=True, size=38)),
        datasets={"curves": rows},
    )


def _row(study: RankedStudy, record: TrialRecord, value: float) -> Row:
    generation, slot = place_of(record)
    return {
        "id": record.id,
        "population": study.population_of(record),
        "generation": generation + (slot - 1) % study.size / study.size,
        "kind": _kind(record),
        "origin": record.origin,
        "value": round(value, 4),
        "settings": study.describe(record.genome),
        "parameters": record.n_params,
        "names": first_names(record.samples),
    }


def _kind(record: TrialRecord) -> str:
    found = (kind for kind, (_, origins) in KINDS.items() if record.origin in origins)
    return next(found, record.origin)


def _along(field: str, x: alt.X, study: RankedStudy) -> ChartType:
    """Return the chart of the trials along an axis, with a panel per population."""
    finished = _of("trials").encode(x=x)
    is_score = any(measure.is_score for measure in study.measures.values())
    best = finished.transform_filter(alt.datum.origin != AGAIN).transform_window(
        sort=[alt.SortField(field)],
        frame=[None, 0],
        groupby=["population"],
        best=f"{'max' if is_score else 'min'}(value)",
    )
    line = best.mark_line(interpolate="step-after", strokeWidth=2, style="ink")
    points = finished.mark_point(filled=True, size=38, opacity=0.8)
    points = points.encode(y=_values(study), color=_kinds(study), tooltip=TOOLTIP)
    layers = [points, line.encode(y="best:Q")]
    if len(study.measures) == 1:
        return alt.layer(*layers)
    population = alt.Facet("population:N", title=None)
    panels = alt.layer(*layers).properties(width=FACET_WIDTH)
    chart: ChartType = panels.facet(population, columns=N_COLUMNS).resolve_scale(y="independent")
    return chart


def _of(dataset: str) -> alt.Chart:
    return alt.Chart(alt.NamedData(name=dataset), width=WIDTH, height=HEIGHT)


def _kinds(study: RankedStudy) -> alt.Color:
    """Return the colors of the kinds of trials; an unknown origin is a kind of its own."""
    kinds = {_kind(record) for record in study.searched}
    shown = [kind for kind in KINDS if kind in kinds] + sorted(kinds - KINDS.keys())
    colors = [KINDS[kind][0] if kind in KINDS else GREY for kind in shown]
    return alt.Color("kind:N", title=None, scale=alt.Scale(domain=shown, range=colors))


def _values(study: RankedStudy) -> alt.Y:
    """Return a y axis for losses or scores, which need not include 0."""
    titles = [measure.title for measure in study.measures.values()]
    title = titles[0] if len(titles) == 1 else "score"
    return alt.Y("value:Q", title=title, scale=alt.Scale(zero=False, padding=8))
