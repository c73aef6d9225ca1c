"""Charts of the evaluations of a search by generation and by size."""

from statistics import fmean

import altair as alt
from altair.typing import ChartType

from microgpt_evolution.genome import GENES, values_of
from microgpt_evolution.objectives.scores import first_names
from microgpt_evolution.organism import Organism
from microgpt_evolution.runs.run_directory import TrialRecord
from microgpt_report import look, theme
from microgpt_report.page import Row, Section
from microgpt_report.run_summary import PRIMORDIAL, RunSummary, title_of

SPREAD = 0.7  # width of a generation, as a fraction of the distance between generations


def evaluation_rows(summary: RunSummary) -> list[Row]:
    """Return one row per evaluation, worst first, so that the best organisms are drawn on top."""
    entries = sorted(summary.run.lines, key=summary.cost, reverse=True)
    return [_row(summary, entry) for entry in entries]


def _row(summary: RunSummary, entry: TrialRecord) -> Row:
    population, organism = summary.place_of(entry)
    evaluation = entry.evaluation
    return {
        "id": entry.id,
        "population": title_of(population),
        "generation": organism.generation if organism else 0,
        "x": _x(summary, population, organism) if organism else 0,
        "kind": theme.kind_of(entry.origin),
        "origin": entry.origin,
        "status": evaluation.status,
        "worth": summary.worth(entry),
        **values_of(entry.genome, GENES),
        "params": summary.n_params(entry.genome),
        "names": first_names(evaluation.samples),
        "on_front": entry.id in summary.pareto_front,
    }


def _x(summary: RunSummary, population: str, organism: Organism) -> float:
    """Return the x position of an organism in its generation, by its slot."""
    slots = [o.slot for o in summary.generations[organism.generation - 1][population]]
    share = (organism.slot - min(slots) + 0.5) / (max(slots) - min(slots) + 1)
    return organism.generation + SPREAD * (share - 0.5)


def by_generation(summary: RunSummary, evaluations: list[Row]) -> Section:
    """Return the section with all evaluations, and the best and mean of each generation."""
    kinds = {row["kind"] for row in evaluations}
    caption = (
        f"One mark per evaluation; {'lower' if summary.is_for_loss else 'higher'} is better. "
        "Solid line: best of each generation. Dashed: mean. Crosses at the top: failed evaluations."
    )
    generations: list[Row] = [
        {
            "population": title_of(name),
            "generation": number,
            "best": min(worths) if summary.measures[name].is_loss else max(worths),
            "mean": fmean(worths),
        }
        for number, generation in enumerate(summary.generations, start=1)
        for name, ranked in generation.items()
        if (worths := [organism.worth for organism in ranked if organism.has_finished])
    ]
    return Section(
        "generations",
        "Evaluations by generation",
        caption,
        theme.panels(list(summary.measures), lambda name: _generations(summary, name, kinds)),
        datasets={"evaluations": evaluations, "generations": generations},
    )


def _generations(summary: RunSummary, name: str, kinds: set[str]) -> ChartType:
    """Return the chart of one population. The charts of all populations share a color scale."""
    first = 0 if PRIMORDIAL in kinds else 1
    last = max(first + 1, len(summary.generations))
    ticks = list(range(first, last + 1, max(1, -(-(last - first) // 20))))
    scale = alt.Scale(domain=[first - 0.5, last + 0.5], nice=False)
    axis = alt.Axis(values=ticks, format="d", grid=False)
    x = alt.X("x:Q", title="generation", scale=scale, axis=axis)
    marks = _of(name).encode(x=x, color=theme.kind_color(kinds))
    failed = marks.transform_filter(alt.datum.status != "ok").encode(
        y=alt.value(6), tooltip=theme.tooltip("id", "status")
    )
    layers = [failed.mark_point(shape="cross", filled=True, size=50, angle=45)]
    if name in summary.champions:
        history = _of(name, "generations")
        y = theme.loss_axis("worth:Q", summary.measures[name].title)
        points = theme.points(marks.transform_filter(alt.datum.status == "ok"))
        mean = history.mark_line(strokeDash=[4, 3], strokeWidth=1.5, color=look.GREY)
        best = history.mark_line(strokeWidth=2, style="ink")
        layers += [
            points.encode(y=y, tooltip=theme.EVALUATION_TOOLTIP),
            mean.encode(x="generation:Q", y="mean:Q"),
            best.encode(x="generation:Q", y="best:Q"),
        ]
    return alt.layer(*layers)


def _of(name: str, dataset: str = "evaluations") -> alt.Chart:
    return theme.of(dataset).transform_filter(alt.datum.population == title_of(name))


def by_size(summary: RunSummary) -> Section | None:
    """Return the section with the Pareto front of loss or score and size; None without results."""
    names = [name for name in summary.measures if name in summary.champions]
    if not names:
        return None
    return Section(
        "pareto",
        f"{'Loss' if summary.is_for_loss else 'Score'} and number of parameters",
        "Orange line: the Pareto front. No organism with as many or fewer parameters is better.",
        theme.panels(names, lambda name: _pareto(summary, name)),
    )


def _pareto(summary: RunSummary, name: str) -> ChartType:
    x = theme.log_axis("params:Q", "parameters")
    y = theme.loss_axis("worth:Q", summary.measures[name].title)
    base = _of(name).transform_filter(alt.datum.status == "ok").encode(x=x, y=y)
    legend = alt.Legend(format="d", tickMinStep=1)
    color = alt.Color("generation:Q", scale=alt.Scale(scheme=theme.SHADES), legend=legend)
    points = theme.points(base).encode(color=color, tooltip=theme.EVALUATION_TOOLTIP)
    front = base.transform_filter("datum.on_front")
    line = front.mark_line(interpolate="step-after", color=look.ORANGE, strokeWidth=2)
    rings = front.mark_point(size=110, color=look.ORANGE, strokeWidth=1.8)
    return alt.layer(points, line.encode(order="params:Q"), rings)
