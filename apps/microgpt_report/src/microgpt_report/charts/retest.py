"""Table and charts of the retest, in which the best organisms are retrained with fresh seeds."""

from dataclasses import asdict
from statistics import fmean

import altair as alt

from microgpt_evolution.sweep.scaling import Mean
from microgpt_report import look, theme
from microgpt_report.page import Row, Section, Table
from microgpt_report.run_summary import CONFIRM, Measure, RunSummary, title_of
from microgpt_report.setting_names import describe_settings

SEARCH, RETEST, MEAN = KINDS = ("search", "retest", "mean")


def winner(summary: RunSummary) -> Section | None:
    """Return the section with the measurements of the winner; None if there was no retest."""
    retest = summary.retest
    if retest is None:
        return None
    measured = {
        "loss of the last document": retest.last_loss,
        "held-out loss": retest.val_loss,
        "test loss": retest.test_loss,
        **{f"{title_of(n) or n} score": m for n, m in retest.scores.items()},
    }
    rows = []
    for name, measures in measured.items():
        again = Mean.of(measures.again) if measures.again else None
        mean, half_width = (again.value, again.half_width) if again else (None, None)
        cells = [_cell(measures.found), _cell(mean), _cell(half_width, "± ")]
        rows.append([name, *cells, str(len(measures.again))])
    return Section(
        "retest",
        "Winner: search and retest",
        "Values of the winner in the search and after retraining with fresh seeds: mean and 95 % "
        "confidence interval. The test documents were not used in the search. Losses are in nats "
        "per token.",
        table=Table(["", "search", "retest", "95 % interval", "seeds"], rows),
    )


def _cell(number: float | None, sign: str = "") -> str:
    return "–" if number is None else f"{sign}{number:.4f}"


def finalists(summary: RunSummary) -> Section | None:
    """Return the section on the retested organisms; None if there was no retest."""
    rows = _rows(summary)
    if not rows:
        return None
    means = {row["id"]: row["worth"] for row in rows if row["what"] == MEAN}
    charts = []
    for name, measure in summary.measures.items():
        ids = list(dict.fromkeys(r["id"] for r in rows if r["population"] == title_of(name)))
        if ids:
            ids.sort(key=means.__getitem__, reverse=not measure.is_loss)
            charts.append(_finalists(title_of(name), measure, ids))
    return Section(
        "finalists",
        "Finalists retested with fresh seeds",
        "Circle: value in the search. Triangle: retest with a fresh seed. Dash: mean of these "
        "values, used to choose the winner.",
        alt.vconcat(*charts),
        datasets={"finalists": rows},
    )


def _rows(summary: RunSummary) -> list[Row]:
    again: dict[str, list[float]] = {}
    for entry in summary.run.lines:
        worth = summary.worth(entry)
        if entry.origin == CONFIRM and worth is not None:
            again.setdefault(entry.parents[0], []).append(worth)
    rows: list[Row] = []
    for id_, worths in again.items():
        population, organism = summary.organisms[id_]
        about = {"population": title_of(population), "id": id_}
        about["genes"] = describe_settings(asdict(organism.genome))
        mean = fmean([organism.worth, *worths])
        rows += [
            about | {"what": what, "worth": worth}
            for what, values in zip(KINDS, ([organism.worth], worths, [mean]), strict=True)
            for worth in values
        ]
    return rows


def _finalists(title: str, measure: Measure, ids: list[str]) -> alt.Chart:
    """Return the chart of one population, with one row per retested organism."""
    x = alt.X("worth:Q", title=measure.title, scale=alt.Scale(zero=False, padding=12))
    shapes = alt.Scale(domain=KINDS, range=["circle", "triangle-up", "stroke"])
    colors = alt.Scale(domain=KINDS, range=[look.ORANGE, look.BLUE, look.GREY])
    base = theme.of("finalists").transform_filter(alt.datum.population == title)
    chart: alt.Chart = base.mark_point(size=90, filled=False, strokeWidth=2.2, opacity=1)
    return chart.encode(
        x=x,
        y=alt.Y("id:N", sort=ids, title=title or None, axis=alt.Axis(grid=True)),
        shape=alt.Shape("what:N", title=None, scale=shapes),
        color=alt.Color("what:N", title=None, scale=colors),
        tooltip=theme.tooltip("id", "what", "worth", "genes"),
    ).properties(width=theme.WIDTH - 80, height=34 * len(ids))
