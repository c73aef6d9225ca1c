"""Chart of the loss curves of one or more training runs."""

import textwrap
from collections.abc import Callable, Sequence

import altair as alt
from altair.typing import ChartType

from microgpt import CheckpointError, TrainResult, count_params, meta_of, printable
from microgpt_cli.charts.look import COLORS, Row
from microgpt_cli.charts.setting_text import describe_settings
from microgpt_cli.charts.training_runs import Curve, TrainingRun, described, differing

WIDTH, HEIGHT = 520, 300  # plot size in pixels
SUBTITLE_WIDTH = 100  # characters per line
N_MARKED = 50  # maximum number of points on a held-out curve; more would hide the line
N_RAW = 6  # maximum number of runs whose training loss is also drawn unsmoothed
BEGINNING = 0.05  # initial fraction of the steps in which very high losses may be cut off
ROOM_FOR_BEGINNING = 1.5  # maximum space for very high losses, as a fraction of the later range
MARGIN, LEAST_MARGIN = 0.12, 0.01  # y-axis margin as a share of the range; minimum margin in nats
HELD_OUT, TRAINING = "held-out", "training (smoothed)"

Runs = Sequence[TrainingRun]


def draw_result(result: TrainResult) -> ChartType:
    """Return the chart of a training run; raise CheckpointError if there are no losses."""
    if not result.state.history:
        raise CheckpointError("there are no losses to plot; train for at least one step")
    meta = meta_of(result, result.plan, result.state, result.test_loss)
    label = f"{count_params(result.model):,} weights"
    return draw([described(label, result.state.history, meta)])


def draw(runs: Runs) -> ChartType:
    """Return the chart of one or more training runs.

    The held-out loss is a solid line with points, and a ring marks its minimum. The smoothed
    training loss is dashed. The raw training loss is faint.
    """
    low, high = range_of_losses(runs)
    longest = max(run.points[-1].step for run in runs)
    steps = alt.X(
        "step:Q",
        title="step",
        scale=alt.Scale(domain=[0, longest * 1.01], nice=False),
        axis=alt.Axis(format=",d", tickCount=6, tickMinStep=1),
    )
    has_held_out = any(run.held_out for run in runs)
    title = f"{'loss' if has_held_out else 'training loss'}, nats per token"
    losses = alt.Y("loss:Q", title=title, scale=alt.Scale(domain=[low, high], nice=False))
    legend = alt.Legend(
        title=None, orient="bottom", columns=1, symbolType="stroke", symbolStrokeWidth=3
    )
    names = alt.Scale(domain=[_name(runs, run) for run in runs], range=COLORS)
    color = alt.Color("name:N", scale=names, legend=legend)
    base = alt.Chart().encode(steps, losses, color)
    chart = alt.layer(*_lines(base, runs, has_held_out=has_held_out), *_points(base, runs))
    return chart.properties(width=WIDTH, height=HEIGHT, title=_title(runs))


def range_of_losses(runs: Runs) -> tuple[float, float]:
    """Return the lowest and highest loss shown. Very high losses at the start are cut off."""
    curves = [curve for run in runs for curve in (run.smoothed, run.held_out) if curve]
    losses = [loss for curve in curves for _, loss in curve]
    later = [loss for curve in curves for step, loss in curve if step >= BEGINNING * curve[-1][0]]
    low, high = min(losses), max(later)
    high = min(max(losses), high + (high - low) * ROOM_FOR_BEGINNING)
    margin = max((high - low) * MARGIN, LEAST_MARGIN, high / 1000)
    return low - margin, high + margin


def _name(runs: Runs, run: TrainingRun) -> str:
    """Return the text of a run in the legend: its losses, and the settings that differ."""
    losses = f"training loss {_short(run.smoothed[-1][1])}"
    if run.best:
        step, loss = run.best
        losses = f"best {_short(loss)} at step {step:,}{run.val_mark}, {losses}"
    settings = _settings(run, differing(runs))
    return f"{run.label}: {losses}{', ' if settings else ''}{settings}"


def _lines(base: alt.Chart, runs: Runs, *, has_held_out: bool) -> list[alt.Chart]:
    """Return the layers of the raw training losses, the smoothed ones and the held-out losses."""
    raw = _curves(base, runs, TRAINING, lambda run: run.training if len(runs) <= N_RAW else [])
    legend = alt.Legend(title=None, offset=6, symbolType="stroke", symbolSize=500)
    dashes = [[1, 0], [5, 4] if has_held_out else [1, 0]]
    kinds = alt.Scale(domain=[HELD_OUT, TRAINING], range=dashes)
    shown = legend if has_held_out else None
    base = base.encode(strokeDash=alt.StrokeDash("kind:N", scale=kinds, legend=shown))
    smoothed = _curves(base, runs, TRAINING, lambda run: run.smoothed)
    held_out = _curves(base, runs, HELD_OUT, lambda run: run.held_out)
    return [
        raw.mark_line(clip=True, strokeWidth=0.8, opacity=0.15),
        smoothed.mark_line(clip=True, strokeWidth=1.6),
        held_out.mark_line(clip=True, strokeWidth=2.2),
    ]


def _points(base: alt.Chart, runs: Runs) -> list[alt.Chart]:
    """Return the layers of the minima, and of few held-out losses or else the last loss."""
    few = [run for run in runs if len(run.held_out) <= N_MARKED]
    marked = _curves(base, few, HELD_OUT, lambda run: run.held_out or run.smoothed[-1:])
    best = _curves(base, runs, HELD_OUT, lambda run: [run.best] if run.best else [])
    return [
        marked.mark_point(filled=True, size=24, opacity=1, clip=True),
        best.mark_point(size=130, strokeWidth=1.8, opacity=1),
    ]


def _curves(
    base: alt.Chart, runs: Runs, kind: str, curve: Callable[[TrainingRun], Curve]
) -> alt.Chart:
    """Return a chart of one curve per run; the name of a point determines its color."""
    rows: list[Row] = [
        {"name": _name(runs, run), "kind": kind, "step": step, "loss": loss}
        for run in runs
        for step, loss in curve(run)
    ]
    return base.properties(data=alt.InlineData(values=rows))


def _short(loss: float) -> str:
    return f"{loss:#.4g}"


def _settings(run: TrainingRun, names: Sequence[str]) -> str:
    text = describe_settings({name: run.settings[name] for name in names if name in run.settings})
    return printable(text, len(text))


def _title(runs: Runs) -> alt.Title:
    """Return the title with the shared settings. For a single run, include the test loss."""
    subtitle = []
    if all(run.settings for run in runs):
        names = differing(runs)
        shared = [name for name in runs[0].settings if name not in names]
        subtitle = textwrap.wrap(_settings(runs[0], shared), SUBTITLE_WIDTH)
    if len(runs) == 1 and (loss := runs[0].test_loss) is not None:
        subtitle.append(f"test loss{runs[0].test_mark}: {_short(loss)} nats per token")
    return alt.Title(
        runs[0].label if len(runs) == 1 else f"{len(runs)} training runs",
        subtitle=subtitle or alt.Undefined,
        limit=2 * WIDTH,
        offset=12,
    )
