"""Chart of the loss curves of one or more training runs."""

import textwrap
from collections.abc import Callable, Iterator, Sequence

import altair as alt
from altair.typing import ChartType

from microgpt import printable
from microgpt_report import look, theme
from microgpt_report.page import Row
from microgpt_report.setting_names import describe_settings, with_name
from microgpt_report.training_runs import Curve, TrainingRun, differing

WIDTH, HEIGHT = 520, 300  # plot size in pixels
SUBTITLE_WIDTH, MAX_IN_TITLE = 100, 2  # characters per subtitle line; maximum settings in the title
N_MARKED = 50  # maximum number of points on a held-out curve; more would hide the line
BEGINNING = 0.05  # initial fraction of the steps in which very high losses may be cut off
ROOM_FOR_BEGINNING = 1.5  # maximum space for very high losses, as a fraction of the later range
MARGIN, LEAST_MARGIN = 0.06, 0.01  # y-axis margin as a share of the range; minimum margin in nats
ROOM_FOR_NOISE = 0.25  # space for unsmoothed losses, as a fraction of the range of the curves
LOG_FROM = 8  # minimum ratio of the longest to the shortest run for a logarithmic step axis
HELD_OUT, TRAINING = "held-out", "training (smoothed)"

Runs = Sequence[TrainingRun]


def draw(runs: Runs) -> ChartType:
    """Return the chart of one or more training runs.

    The held-out loss is a solid line with points, and a ring marks its minimum. The smoothed
    training loss is dashed. The raw training loss is faint.
    """
    low, high = range_of_losses(runs)
    which = "loss" if any(run.held_out for run in runs) else "training loss"
    if which != "loss" and len(runs) > 1:  # otherwise, a label or the legend identifies it
        which += " (thick line: smoothed)"
    scale = alt.Scale(domain=[low, high], nice=False)
    legend = alt.Legend(
        title=None, orient="bottom", columns=1, symbolType="stroke", symbolStrokeWidth=3
    )
    base = alt.Chart().encode(
        x=_steps(runs),
        y=alt.Y("loss:Q", scale=scale, title=f"{which}, nats per token"),
        color=alt.Color("name:N", scale=_colors(runs), legend=legend),
    )
    chart = alt.layer(*_lines(base, runs), *_points(base, runs, high))
    return chart.properties(width=WIDTH, height=HEIGHT, title=_title(runs))


def range_of_losses(runs: Runs) -> tuple[float, float]:
    """Return the lowest and highest loss shown.

    Very high losses at the start and noise far beyond the smoothed curves are cut off.
    """
    curves = [run.smoothed for run in runs] + [run.held_out for run in runs if run.held_out]
    curves += [[run.best] for run in runs if run.best]
    losses = [loss for curve in curves for _, loss in curve]
    low, high = min(losses), max(map(_highest, curves))
    high = min(max(losses), high + (high - low) * ROOM_FOR_BEGINNING)
    room = (high - low) * ROOM_FOR_NOISE
    low = max(low - room, min(low, *(loss for run in runs for _, loss in run.training)))
    high = min(high + room, max(high, *(_highest(run.training) for run in runs)))
    margin = max((high - low) * MARGIN, LEAST_MARGIN, high / 1000)
    return low - margin, high + margin


def _highest(curve: Curve) -> float:
    begun = BEGINNING * curve[-1][0]
    return max(loss for step, loss in curve if step >= begun)


def _steps(runs: Runs) -> alt.X:
    lengths, title = [run.points[-1].step for run in runs], "step"
    if max(lengths) < LOG_FROM * min(lengths):
        scale = alt.Scale(domain=[0, max(lengths)], nice=False)
        axis = alt.Axis(format=",d", tickCount=6, tickMinStep=1)
    else:
        first = min(run.points[0].step for run in runs)
        scale = alt.Scale(type="log", domain=[first, max(lengths)], nice=False)
        ticks = [digit * 10**n for n in range(10) for digit in (1, 2, 5)]
        axis = alt.Axis(format=",d", values=ticks, labelOverlap="greedy", labelSeparation=8)
        title += theme.LOG
    return alt.X("step:Q", title=title, scale=scale, axis=axis)


def _colors(runs: Runs) -> alt.Scale:
    """Return one color per run, or one color per curve for a single run."""
    if len(runs) > 1:
        return theme.color_scale([_name(runs, run, HELD_OUT) for run in runs])
    kinds = [HELD_OUT, TRAINING] if runs[0].held_out else [TRAINING]
    names = [_name(runs, runs[0], kind) for kind in kinds]
    return alt.Scale(domain=names, range=[look.BLUE, look.GREY])


def _name(runs: Runs, run: TrainingRun, kind: str) -> str:
    """Return the text of a curve in the legend, with its last or best loss."""
    if len(runs) == 1 and kind == TRAINING:
        return f"{kind}: final {_short(run.smoothed[-1][1])}"
    if len(runs) == 1:
        return f"{kind}: {_figure(run)}"
    details = filter(None, [_figure(run), _settings(run, differing(runs))])
    return f"{run.label}: {', '.join(details)}"


def _curves(runs: Runs, kind: str, curve: Callable[[TrainingRun], Curve]) -> list[Row]:
    """Return the points of one curve per run; the name of a point determines its color."""
    return [
        {"name": _name(runs, run, kind), "kind": kind, "step": step, "loss": loss}
        for run in runs
        for step, loss in curve(run)
    ]


def _of(base: alt.Chart, rows: list[Row]) -> alt.Chart:
    return base.properties(data=alt.InlineData(values=rows))


def _lines(base: alt.Chart, runs: Runs) -> Iterator[alt.Chart]:
    are_few = len(runs) <= len(look.COLORS)
    if are_few:  # raw losses, drawn first so that they are below the other lines
        rows = _curves(runs, TRAINING, lambda run: run.training)
        yield _of(base, rows).mark_line(strokeWidth=1, opacity=0.2, clip=True)
    smoothed = _curves(runs, TRAINING, lambda run: run.smoothed)
    held_out = _curves(runs, HELD_OUT, lambda run: run.held_out)
    legend = alt.Legend(title=None, offset=6, symbolType="stroke", symbolSize=500)
    kinds = alt.Scale(domain=[HELD_OUT, TRAINING], range=[[1, 0], [5, 3] if held_out else [1, 0]])
    shown = legend if held_out and len(runs) > 1 else None
    dashed = base.encode(strokeDash=alt.StrokeDash("kind:N", scale=kinds, legend=shown))
    width, opacity = (1.6, 0.8 if are_few else 0.4) if held_out else (2.2, 1.0)
    yield _of(dashed, smoothed).mark_line(clip=True, strokeWidth=width, opacity=opacity)
    yield _of(dashed, held_out).mark_line(clip=True, strokeWidth=2.2)


def _points(base: alt.Chart, runs: Runs, high: float) -> Iterator[alt.Chart]:
    """Yield markers for held-out losses, for their minima, and for one-point training curves."""
    rows = _curves(runs, TRAINING, lambda run: run.smoothed if len(run.points) == 1 else [])
    rows += _curves(
        runs, HELD_OUT, lambda run: run.held_out if len(run.held_out) <= N_MARKED else []
    )
    seen = [row for row in rows if row["loss"] <= high]
    yield _of(base, seen).mark_point(filled=True, size=24, opacity=1)
    best = _curves(runs, HELD_OUT, lambda run: [run.best] if run.best else [])
    yield _of(base, best).mark_point(size=130, strokeWidth=1.8, opacity=1)


def _figure(run: TrainingRun) -> str:
    if run.best is None:
        return f"training loss {_short(run.smoothed[-1][1])}"
    step, loss = run.best
    return f"best {_short(loss)} at step {step:,}{run.val_mark}"


def _short(loss: float) -> str:
    return f"{loss:#.4g}"


def _settings(run: TrainingRun, names: Sequence[str]) -> str:
    text = describe_settings({name: run.settings[name] for name in names if name in run.settings})
    return printable(text, len(text))


def _title(runs: Runs) -> alt.Title:
    """Return the title with the shared settings. For a single run, include the test loss."""
    names = differing(runs)
    by = f", by {' and '.join(map(with_name, names))}" if 0 < len(names) <= MAX_IN_TITLE else ""
    subtitle = []
    if all(run.settings for run in runs):
        shared = [name for name in runs[0].settings if name not in names]
        subtitle = textwrap.wrap(_settings(runs[0], shared), SUBTITLE_WIDTH)
    if len(runs) == 1 and (loss := runs[0].test_loss) is not None:
        subtitle.append(f"test loss{runs[0].test_mark}: {_short(loss)} nats per token")
    return alt.Title(
        runs[0].label if len(runs) == 1 else f"{len(runs)} training runs{by}",
        subtitle=subtitle or alt.Undefined,
        limit=2 * WIDTH,
        offset=12,
    )
