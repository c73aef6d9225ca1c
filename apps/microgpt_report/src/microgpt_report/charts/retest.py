"""Charts and table of the retest, in which the best organisms are retrained with fresh seeds."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from operator import itemgetter
from statistics import fmean

import altair as alt
from altair.typing import ChartType

from microgpt_evolution.search.retest_file import RetestFile
from microgpt_evolution.sweep.scaling import Mean
from microgpt_report import look, theme
from microgpt_report.page import Row, Section, Table
from microgpt_report.run_summary import CONFIRM, Measure, RunSummary, title_of
from microgpt_report.setting_names import describe_settings

SEARCH, RETEST, MEAN = KINDS = ("search", "retest", "mean")


def sections(summary: RunSummary, evaluations: Sequence[Row]) -> Iterator[Section]:
    """Yield the sections on the retest and on the loss of the last document."""
    if summary.retest:
        yield _winner(summary.retest)
    if rows := _rows(summary):
        yield Section(
            "finalists",
            "Finalists retested with fresh seeds",
            "Circle: value in the search. Triangle: retest with a fresh seed. Dash: mean of these "
            "values, used to choose the winner.",
            _finalists(summary, rows),
            datasets={"finalists": rows},
        )
    both = [
        row for row in evaluations if row["last_loss"] is not None and row["val_loss"] is not None
    ]
    if len(both) > 2:
        yield Section(
            "last_document",
            "Loss of the last document against held-out loss",
            "One point per evaluation. If the loss of the last document were a good measure of a "
            "model, the two losses would be correlated.",
            _last_document(both),
        )


def _winner(retest: RetestFile) -> Section:
    measured = {
        "loss of the last document": retest.last_loss,
        "held-out loss": retest.val_loss,
        "test loss": retest.test_loss,
        **{f"{title_of(n) or n} score": m for n, m in retest.scores.items()},
    }
    rows = []
    for name, measures in measured.items():
        again = Mean.of(measures.again) if measures.again else None
        cells = [
            "–" if measures.found is None else f"{measures.found:.4f}",
            "–" if again is None else f"{again.value:.4f}",
            "–" if again is None or again.half_width is None else f"± {again.half_width:.4f}",
            str(len(measures.again)),
        ]
        rows.append([name, *cells])
    return Section(
        "retest",
        "Winner: search and retest",
        "Values of the winner in the search and after retraining with fresh seeds: mean and 95 % "
        "confidence interval. The test documents were not used in the search. Losses are in nats "
        "per token.",
        table=Table(["", "search", "retest", "95 % interval", "seeds"], rows),
    )


def _rows(summary: RunSummary) -> list[Row]:
    again: dict[str, list[float]] = {}
    for entry in summary.run.lines:
        worth = summary.worth(entry)
        # Imported logs do not record parents.
        if entry.origin == CONFIRM and entry.parents and worth is not None:
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


def _finalists(summary: RunSummary, rows: Sequence[Row]) -> alt.VConcatChart:
    means = {row["id"]: row["worth"] for row in rows if row["what"] == MEAN}
    charts = []
    for name, measure in summary.measures.items():
        ids = list(dict.fromkeys(r["id"] for r in rows if r["population"] == title_of(name)))
        if ids:
            ids.sort(key=means.__getitem__, reverse=not measure.is_loss)
            charts.append(_finalists_of(title_of(name), measure, ids))
    return alt.vconcat(*charts)


def _finalists_of(title: str, measure: Measure, ids: list[str]) -> alt.Chart:
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


def _last_document(both: Sequence[Row]) -> ChartType:
    has_both = "datum.last_loss !== null && datum.val_loss !== null && datum.status == 'ok'"
    scale = alt.Scale(zero=False, padding=8)
    base = theme.of("evaluations").transform_filter(has_both)
    base = base.encode(
        x=alt.X("last_loss:Q", title="loss of the last document, nats per token", scale=scale),
        y=alt.Y("val_loss:Q", title="held-out loss, nats per token", scale=scale),
    )
    points = base.mark_point(filled=True, size=38, opacity=0.6, color=look.GREY)
    lowest = {
        "lowest loss of the last document": min(both, key=itemgetter("last_loss"))["id"],
        "lowest held-out loss": min(both, key=itemgetter("val_loss"))["id"],
    }
    rings = [
        base.transform_filter(alt.datum.id == id_)
        .mark_point(size=120 + 130 * i, strokeWidth=2.2, opacity=1)
        .encode(color=alt.datum(what, title=None, scale=theme.color_scale([*lowest])))
        for i, (what, id_) in enumerate(lowest.items())  # one evaluation may have both
    ]
    tooltip = theme.tooltip("id", "last_loss", "val_loss")
    return alt.layer(points.encode(tooltip=tooltip), *rings)
