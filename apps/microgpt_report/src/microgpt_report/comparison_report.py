"""Report that compares several searches."""

from collections.abc import Iterator, Sequence
from operator import itemgetter

import altair as alt
from altair.typing import ChartType

from microgpt_evolution.errors import RunError
from microgpt_evolution.search.retest import Measures
from microgpt_evolution.sweep.scaling import Mean
from microgpt_report import theme
from microgpt_report.page import N_HEX, Report, Row, Section, Table, describe_data
from microgpt_report.run_summary import CONFIRM, Measure, RunSummary
from microgpt_report.scaling_tables import with_interval

HEAD = ("run", "seed", "evaluations", "GFLOP", "winner", "measure", "held-out loss", "test loss")


def comparison_report(summaries: Sequence[RunSummary]) -> Report:
    """Return a report that compares several searches.

    Raises:
        RunError: the searches use different documents.
    """
    data = _check_data(summaries)
    rows = [row for summary in summaries for row in _rows(summary)]
    sections = [_table(summaries, rows), *_charts(summaries)]
    facts = {"runs": str(len(summaries)), "evaluations": f"{len(rows):,}", "data": data}
    return Report(_headline(summaries), f"Comparison of {len(summaries)} searches", facts, sections)


def best_of(summaries: Sequence[RunSummary]) -> RunSummary | None:
    """Return the search with the best winner; None if measures differ or a winner is missing."""
    measures = {measure for summary in summaries for measure in summary.measures.values()}
    found = [(summary.winner.fitness, summary) for summary in summaries if summary.winner]
    if len(measures) > 1 or len(found) < len(summaries):
        return None
    return min(found, key=itemgetter(0))[1]


def _headline(summaries: Sequence[RunSummary]) -> str:
    best = best_of(summaries)
    if best is None or best.winner is None:
        return f"{len(summaries)} searches compared"
    return f"Best {best.common.name}: {best.winner.worth:.4f}, {best.name}"


def _check_data(summaries: Sequence[RunSummary]) -> str:
    """Return a description of the runs' documents; raise RunError if the documents differ."""
    known = [(summary.name, summary.settings) for summary in summaries if summary.settings]
    if not known:
        return "unknown (imported logs)"
    first, settings = known[0]
    sha256 = settings.data_sha256
    for name, each in known:
        if (other := each.data_sha256) != sha256:
            raise RunError(
                f"{first} and {name} use different documents (sha256 "
                f"{sha256[:N_HEX]}… and {other[:N_HEX]}…), so their losses are not comparable; "
                "report them separately"
            )
    return describe_data(settings.input, sha256)


def _rows(summary: RunSummary) -> list[Row]:
    """Return one row per evaluation, in order, with the best value and the total FLOPs so far."""
    measure, rows = summary.common, list[Row]()
    front = summary.pareto_front if len(summary.measures) == 1 else set()
    better, best, flops = min if measure.is_loss else max, None, 0
    for n, entry in enumerate(summary.run.lines, start=1):
        worth = measure.of(entry.evaluation)
        flops += entry.flops or 0
        if worth is not None and entry.origin != CONFIRM:
            best = worth if best is None else better(best, worth)
        rows.append(
            {
                "run": summary.name,
                "measure": measure.name,
                "n": n,
                "id": entry.id,
                "worth": worth,
                "best": best,
                "spent": flops,
                "params": summary.n_params(entry.genome),
                "on_front": entry.id in front,
            }
        )
    return rows


def _table(summaries: Sequence[RunSummary], evaluations: Sequence[Row]) -> Section:
    rows = []
    for summary in summaries:
        winner, retest, entries = summary.winner, summary.retest, summary.run.lines
        seed, flops = summary.run.settings.seed, sum(entry.flops or 0 for entry in entries)
        cells = [
            "–" if seed is None else str(seed),
            f"{len(entries):,}",
            f"{flops / 1e9:,.3g}" if flops else "–",
            f"{winner.worth:.4f}" if winner else "–",
            summary.measures[summary.organisms[winner.id][0]].name if winner else "–",
            *map(_retested, (retest.val_loss, retest.test_loss) if retest else (None, None)),
        ]
        rows.append([summary.name, *cells])
    caption = (
        "The winner of each search: its value in the search and, once the search has ended, its "
        "losses (nats per token) in the retest with fresh seeds, with 95 % confidence intervals."
    )
    table, datasets = Table(HEAD, rows), {"evaluations": evaluations}
    return Section("runs", "Results", caption, table=table, datasets=datasets)


def _retested(measures: Measures | None) -> str:
    return with_interval(Mean.of(measures.again)) if measures and measures.again else "–"


def _charts(summaries: Sequence[RunSummary]) -> Iterator[Section]:
    for i, measure in enumerate(dict.fromkeys(summary.common for summary in summaries)):
        alike = [summary for summary in summaries if summary.common == measure]
        scale = theme.color_scale([summary.name for summary in alike])
        legend = alt.Legend(symbolType="stroke")
        base = theme.of("evaluations").transform_filter(alt.datum.measure == measure.name)
        base = base.encode(color=alt.Color("run:N", title=None, scale=scale, legend=legend))
        has_flops = any(entry.flops for summary in alike for entry in summary.run.lines)
        yield Section(
            f"progress{i or ''}",
            f"Progress: {measure.name}",
            f"One mark per evaluation; {measure.better} is better. Line: best so far.",
            _progress(base, measure, has_flops=has_flops),
        )
        if all(len(summary.measures) > 1 for summary in alike):
            continue  # each head has a separate Pareto front
        yield Section(
            f"fronts{i or ''}",
            f"Pareto fronts: {measure.name} and number of parameters",
            "For each run, the organisms that no smaller organism beats. Token embeddings are not "
            "counted in runs that do not record the vocabulary size, such as imported logs.",
            _fronts(base, measure),
        )


def _progress(base: alt.Chart, measure: Measure, *, has_flops: bool) -> ChartType:
    """Return charts of the best value so far over evaluations and, if known, over FLOPs."""
    line = base.mark_line(interpolate="step-after", strokeWidth=2)
    line = line.encode(y=theme.loss_axis("best:Q", measure.title))
    points = base.transform_filter("datum.worth !== null")
    points = points.mark_point(filled=True, size=16, opacity=0.35).encode(
        y=theme.loss_axis("worth:Q", measure.title), tooltip=theme.tooltip("run", "id", "worth")
    )
    n = alt.X("n:Q", title="evaluations", scale=alt.Scale(nice=False), axis=alt.Axis(grid=False))
    panels = [alt.layer(points.encode(x=n), line.encode(x=n))]
    if has_flops:  # imported logs record no FLOPs
        spent = theme.log_axis("spent:Q", "operations so far", padding=0)
        panels.append(alt.layer(line.transform_filter("datum.spent > 0").encode(x=spent)))
    return alt.vconcat(*(panel.properties(height=260) for panel in panels))


def _fronts(base: alt.Chart, measure: Measure) -> ChartType:
    x, y = theme.log_axis("params:Q", "parameters"), theme.loss_axis("worth:Q", measure.title)
    base = base.transform_filter("datum.on_front").encode(x=x, y=y)
    line = base.mark_line(interpolate="step-after", strokeWidth=2).encode(order="params:Q")
    points = base.mark_point(filled=True, size=45, opacity=1).encode(
        tooltip=theme.tooltip("run", "id", "worth", "params")
    )
    return alt.layer(line, points)
