"""Several runs side by side: what each has found, what it is worth, and what it took."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import accumulate
from statistics import fmean

import altair as alt

from microgpt_evolution import confidence_interval
from microgpt_evolution.errors import RunError
from microgpt_evolution.runs.retest_file import Measures
from microgpt_report import theme
from microgpt_report.facts import N_HEX
from microgpt_report.rows import Row, kind_of, n_params, pareto_front
from microgpt_report.run_summary import Measure, RunSummary
from microgpt_report.section import Report, Section, Table

HEAD = ("run", "seed", "evaluations", "FLOPs", "found", "by", "held out", "test")


def compare(stories: Sequence[RunSummary]) -> Report:
    """Return the report of several runs.

    Raises:
        RunError: they are of different documents.
    """
    data = _check_data(stories)
    rows = [row for story in stories for row in evaluation_rows(story)]
    sections = [_table(stories), *_pictures(stories)]
    facts = {"runs": str(len(stories)), "evaluations": f"{len(rows):,}", "data": data}
    title = f"{len(stories)} searches compared"
    return Report(title, facts, sections, {"evaluations": rows})


def _check_data(stories: Sequence[RunSummary]) -> str:
    """Return what data the runs are of, as far as they know."""
    first: RunSummary | None = None
    for story in stories:
        sha256 = story.run.settings.get("data_sha256")
        if sha256 is None:
            continue
        first = first or story
        if sha256 != (known := first.run.settings["data_sha256"]):
            raise RunError(
                f"{first.name} and {story.name} are of different documents (sha256 "
                f"{known[:N_HEX]}… and {sha256[:N_HEX]}…), so their losses cannot stand in one "
                "table; report them one by one"
            )
    if first is None:
        return "unknown: imported logs"
    settings = first.run.settings
    return f"{settings['input']}, sha256 {settings['data_sha256'][:N_HEX]}…"


def evaluation_rows(story: RunSummary) -> list[Row]:
    """Return a row for each evaluation, in their order: what it was, and the best until then."""
    measure = story.common
    front = pareto_front(story) if len(story.measures) == 1 else set()
    worths = [measure.of(entry.evaluation) for entry in story.run.entries]
    better = min if measure.is_loss else max
    counted = [
        None if kind_of(entry.origin) == "measured again" else worth
        for entry, worth in zip(story.run.entries, worths, strict=True)
    ]
    best = accumulate(counted, partial(_better, better))
    flops = accumulate(entry.flops or 0 for entry in story.run.entries)
    return [
        {
            "run": story.name,
            "measure": measure.name,
            "n": n,
            "id": entry.id,
            "worth": worth,
            "best": so_far,
            "spent": spent,
            "params": n_params(story, entry.genome),
            "on_front": entry.id in front,
        }
        for n, (entry, worth, so_far, spent) in enumerate(
            zip(story.run.entries, worths, best, flops, strict=True), start=1
        )
    ]


def _better(
    better: Callable[[float, float], float], a: float | None, b: float | None
) -> float | None:
    """Return the better of two worths, either of which may be missing."""
    return better(a, b) if a is not None and b is not None else b if a is None else a


def _table(stories: Sequence[RunSummary]) -> Section:
    rows = []
    for story in stories:
        winner, exam, settings = story.winner, story.exam, story.run.settings
        flops = sum(entry.flops or 0 for entry in story.run.entries)
        rows.append(
            [
                story.name,
                str(settings.get("seed") if settings.get("seed") is not None else "–"),
                f"{len(story.run.entries):,}",
                f"{flops:.2g}" if flops else "–",
                f"{winner.worth:.4f}" if winner else "–",
                story.measures[story.organisms[winner.id][0]].name if winner else "–",
                _honest(exam.val_loss if exam else None),
                _honest(exam.test_loss if exam else None),
            ]
        )
    caption = (
        "What each search found, and what its winner came to when it was trained again with fresh "
        "seeds, with 95 % intervals. A search that has not ended has no such figures; losses in "
        "nats a token."
    )
    return Section("runs", "What they found", caption, table=Table(HEAD, rows))


def _honest(measured: Measures | None) -> str:
    if not measured or not measured.again:
        return "–"
    half = (
        f" ± {confidence_interval.half_width(measured.again):.4f}"
        if len(measured.again) > 1
        else ""
    )
    return f"{fmean(measured.again):.4f}{half}"


def _pictures(stories: Sequence[RunSummary]) -> Iterator[Section]:
    """Yield the pictures of each measure, which are of the runs that have it."""
    measures = {story.common.name: story.common for story in stories}
    for i, measure in enumerate(measures.values()):
        alike = [story for story in stories if story.common == measure]
        names = [story.name for story in alike]
        which = "lower" if measure.is_loss else "higher"
        yield Section(
            f"course{i or ''}",
            f"The course of each: {measure.name}",
            f"A mark is an evaluation, and {which} is better; the line goes through the best so "
            "far. Against what all trainings took together, a search of small models is not "
            "mistaken for a fast one.",
            chart=_course(alike, measure),
        )
        if all(len(story.measures) > 1 for story in alike):
            continue  # heads have fronts of their own
        yield Section(
            f"fronts{i or ''}",
            f"What it costs: {measure.name}",
            "The Pareto fronts: what each run has found that no smaller organism of it beats. "
            "Where the number of tokens is not known, as of logs, their weights are left out.",
            chart=_fronts(names, measure),
        )


def _color(names: Sequence[str]) -> alt.Color:
    colors = theme.COLORS if len(names) <= len(theme.COLORS) else None
    scale = alt.Scale(domain=names, range=colors) if colors else (
        alt.Scale(domain=names, scheme=theme.SHADES)
    )  # fmt: skip
    return alt.Color(
        "run:N",
        title=None,
        scale=scale,
        legend=alt.Legend(orient="top", columns=2, symbolOpacity=1, labelLimit=340),
    )


def _course(stories: Sequence[RunSummary], measure: Measure) -> theme.Chart:
    """Return the evaluations and the best so far, by number and by cost."""
    names, pictures = [story.name for story in stories], []
    fields = [("n", "evaluations", "linear")]
    if any(entry.flops for story in stories for entry in story.run.entries):  # no log knows them
        fields.append(("spent", "floating-point operations so far", "log"))
    for field, title, type_ in fields:
        base = theme.of("evaluations").transform_filter(
            f"datum.measure == {measure.name!r} && datum.{field} > 0"
        )
        scale = alt.Scale(type=type_, nice=False)  # type: ignore[arg-type]
        x = alt.X(f"{field}:Q", title=title, scale=scale, axis=alt.Axis(grid=False, format="~s"))
        y_scale = alt.Scale(zero=False, padding=8)
        line = base.mark_line(interpolate="step-after", strokeWidth=2).encode(
            x=x, y=alt.Y("best:Q", title=measure.title, scale=y_scale), color=_color(names)
        )
        points = (
            base.transform_filter("datum.worth !== null")
            .mark_point(filled=True, size=16, opacity=theme.QUIET)
            .encode(
                x=x,
                y=alt.Y("worth:Q", title=measure.title, scale=y_scale),
                color=_color(names),
                tooltip=[
                    alt.Tooltip("run:N"),
                    alt.Tooltip("id:N"),
                    alt.Tooltip("worth:Q", format=".4f"),
                ],
            )
        )
        layers = [points, line] if field == "n" else [line]
        pictures.append(alt.layer(*layers).properties(width=theme.WIDTH, height=260))
    return alt.vconcat(*pictures)


def _fronts(names: Sequence[str], measure: Measure) -> theme.Chart:
    base = theme.of("evaluations").transform_filter(
        (alt.datum.measure == measure.name) & (alt.datum.on_front)
    )
    x = alt.X(
        "params:Q",
        title="weights",
        scale=alt.Scale(type="log", nice=False, padding=12),
        axis=alt.Axis(format="~s", tickCount=6, grid=False),
    )
    y = alt.Y("worth:Q", title=measure.title, scale=alt.Scale(zero=False, padding=8))
    tooltip = [
        alt.Tooltip("run:N"),
        alt.Tooltip("id:N"),
        alt.Tooltip("worth:Q", format=".4f"),
        alt.Tooltip("params:Q", format=",d"),
    ]
    line = base.mark_line(interpolate="step-after", strokeWidth=2).encode(
        x=x, y=y, color=_color(names), order="params:Q"
    )
    points = base.mark_point(filled=True, size=45, opacity=1).encode(
        x=x, y=y, color=_color(names), tooltip=tooltip
    )
    return alt.layer(line, points).properties(width=theme.WIDTH, height=theme.HEIGHT)
