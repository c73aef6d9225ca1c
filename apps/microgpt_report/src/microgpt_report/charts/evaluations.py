"""Charts of the evaluations of a search: by generation, by size, and during training."""

import math

import altair as alt
from altair.typing import ChartType

from microgpt_evolution.budgeted.genome import EVALUATIONS
from microgpt_evolution.objectives.scores import first_names
from microgpt_evolution.runs.run_directory import TrialRecord
from microgpt_report import theme
from microgpt_report.page import Row, Section
from microgpt_report.search_run import RETESTED, SearchRun, place_of


def evaluation_rows(run: SearchRun) -> list[Row]:
    """Return one row per evaluation, worst first, so that the best organisms are drawn on top."""

    def cost(row: Row) -> float:
        worth, is_score = row["worth"], run.measures[row["population"]].score
        return math.inf if worth is None else -worth if is_score else worth

    return sorted((_row(run, line) for line in run.lines), key=cost, reverse=True)


def _row(run: SearchRun, line: TrialRecord) -> Row:
    generation, slot = place_of(line)
    is_first = line.genome == run.first and line.origin != RETESTED
    return {
        "id": line.id,
        "population": run.population_of(line),
        "generation": generation + (slot - 1) % run.size / run.size,
        "kind": theme.START if is_first else theme.kind_of(line.origin),
        "origin": line.origin,
        "status": line.status,
        "worth": run.value_of(line),
        "settings": run.describe(line.genome),
        "params": line.n_params,
        "names": first_names(line.samples),
    }


def by_generation(run: SearchRun, rows: list[Row]) -> Section:
    """Return the section with all evaluations in the order in which they were bred."""
    better = "higher" if any(measure.score for measure in run.measures.values()) else "lower"
    axis = alt.Axis(format="d", tickMinStep=1, grid=False)
    scale = alt.Scale(zero=False, nice=False, padding=10)
    return Section(
        "generations",
        "Evaluations by generation",
        f"One mark per evaluation; {better} is better. Line: the best organism so far. Crosses at "
        "the top: failed evaluations.",
        _along("generation", alt.X("generation:Q", axis=axis, scale=scale), run, rows),
        datasets={"evaluations": rows},
    )


def by_size(run: SearchRun, rows: list[Row]) -> Section:
    """Return the section with all evaluations by their number of parameters."""
    return Section(
        "sizes",
        "Evaluations by number of parameters",
        "Line: the best organism with as many or fewer parameters.",
        _along("params", theme.log_axis("params:Q", "parameters"), run, rows),
    )


def during_training(run: SearchRun) -> Section:
    """Return the section with the learning curves of a search with a budget."""
    rows = [
        _row(run, line) | {"share": evaluation / EVALUATIONS, "worth": loss}
        for line in run.lines
        for evaluation, loss in enumerate(
            line.losses, start=(line.until or 0) - len(line.losses) + 1
        )
    ]
    (measure,) = run.measures.values()
    scale, axis = alt.Scale(domain=[0, 1]), alt.Axis(format="%", tickCount=4)
    line = theme.of("curves").encode(
        x=alt.X("share:Q", title="share of the training run", scale=scale, axis=axis),
        y=theme.loss_axis("worth:Q", measure.title),
        color=theme.kind_color(rows),
        detail="id:N",
        tooltip=theme.TOOLTIP,
    )
    return Section(
        "curves",
        "Learning curves",
        "Held-out loss of each organism during its training run. The less promising "
        "organisms pause after the sixth evaluation.",
        alt.layer(line.mark_line(opacity=0.7), theme.points(line)),
        datasets={"curves": rows},
    )


def _along(field: str, x: alt.X, run: SearchRun, rows: list[Row]) -> ChartType:
    """Return the chart of the evaluations along a field, with a panel per population."""
    color = theme.kind_color(rows)

    def panel(population: str) -> ChartType:
        measure, every = run.measures[population], theme.of("evaluations").encode(x=x)
        every = every.transform_filter(alt.datum.population == population)
        failed = every.transform_filter("!isValid(datum.worth)").encode(
            y=alt.value(6), color=color, tooltip=["id:N", "status:N"]
        )
        finished = every.transform_filter("isValid(datum.worth)")
        y = theme.loss_axis("worth:Q", measure.title)
        points = theme.points(finished.encode(y=y, color=color, tooltip=theme.TOOLTIP))
        best = finished.transform_filter(alt.datum.origin != RETESTED).transform_window(
            sort=[alt.SortField(field)],
            frame=[None, 0],
            best=f"{'max' if measure.score else 'min'}(worth)",
        )
        line = best.mark_line(interpolate="step-after", strokeWidth=2, style="ink")
        layers = []  # none without data, of which Vega would warn
        if (population, False) in outcomes:
            layers += [points, line.encode(y="best:Q")]
        if (population, True) in outcomes:
            layers.append(failed.mark_point(shape="cross", filled=True, size=50, angle=45))
        return alt.layer(*layers)

    outcomes = {(row["population"], row["worth"] is None) for row in rows}
    names = {population for population, _ in outcomes}
    return theme.panels([name for name in run.measures if name in names], panel)
