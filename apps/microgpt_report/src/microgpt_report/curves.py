"""The picture of how the losses of trainings fell.

Importing this module loads Altair, which takes a second and may not be installed.
"""

import math
import textwrap
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import altair as alt

from microgpt.printable import printable
from microgpt_report.runs import Curve, Run, differing

WIDTH, HEIGHT = 520, 300  # pixels
LABEL_HEIGHT, LABEL_WIDTH = 34, 300  # of what stands beside a curve; the picture grows with them
SUBTITLE_WIDTH, MAX_IN_TITLE = 100, 2  # characters; settings by which trainings differ
GREY, GRID = "#666", "#eee"
N_MARKED = 50  # held-out losses that get a point each; more would hide the line
BEGINNING = 0.05  # of a training; its losses would squeeze all that follow into a line
MARGIN, LEAST_MARGIN = 0.06, 0.01  # above and below the losses: of their range, and in nats
ROOM_FOR_NOISE = 0.25  # of the range of the other curves
LOG_FROM = 8  # times as long as the shortest training is the longest: linear steps would hide one

# Okabe & Ito 2008, without yellow and black: the colour-blind too can tell them apart. More
# trainings than that are shades, in the order in which they were named.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
SHADES = alt.SchemeParams(name="viridis", extent=[0, 0.9])
HELD_OUT, TRAINING = "held-out", "training (smoothed)"

Rows = list[dict[str, Any]]


def draw(runs: Sequence[Run]) -> alt.LayerChart:
    """Return the picture of one or several trainings.

    The held-out loss is a line with points, the lowest in a ring; the training loss is dashed as
    its mean and faint as it was.
    """
    low, high = range_of_losses(runs)
    which = "loss" if any(run.held_out for run in runs) else "training loss"
    height = max(HEIGHT, LABEL_HEIGHT * len(runs))
    base = alt.Chart().encode(
        x=_steps(runs),
        y=alt.Y(
            "loss:Q",
            scale=alt.Scale(domain=[low, high], nice=False),
            title=f"{which}, nats a token",
        ),
        color=alt.Color("name:N", scale=_colors(runs), legend=None),
    )
    texts = _texts(runs)
    gap = (high - low) * LABEL_HEIGHT / height
    places = spread([text["loss"] for text in texts], gap, low, high)
    texts = [text | {"loss": place} for text, place in zip(texts, places, strict=True)]
    picture: alt.LayerChart = (
        alt.layer(*_lines(base, runs), *_points(base, runs, high), *_beside(base, texts))
        .properties(width=WIDTH, height=height, title=_title(runs), padding=12)
        .configure_axis(gridColor=GRID, domainColor=GREY, tickColor=GREY, labelColor=GREY)
        .configure_view(stroke=None)
    )
    return picture


def range_of_losses(runs: Sequence[Run]) -> tuple[float, float]:
    """Return the lowest and the highest loss that the picture shows.

    What is higher in the beginning of a training is cut off; so is noise that is much larger than
    what it surrounds.
    """
    curves = [run.smoothed for run in runs] + [run.held_out for run in runs if run.held_out]
    curves += [[run.best] for run in runs if run.best]
    low, high = min(map(_lowest, curves)), max(map(_highest, curves))
    room = (high - low) * ROOM_FOR_NOISE
    low = max(low - room, min(low, *(_lowest(run.training) for run in runs)))
    high = min(high + room, max(high, *(_highest(run.training) for run in runs)))
    margin = max((high - low) * MARGIN, LEAST_MARGIN, high / 1000)
    return low - margin, high + margin


def _lowest(curve: Curve) -> float:
    return min(loss for _, loss in curve)


def _highest(curve: Curve) -> float:
    """Return the highest loss after the beginning."""
    begun = BEGINNING * curve[-1][0]
    return max(loss for step, loss in curve if step >= begun)


def spread(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Return places near those given, at least a gap apart, between low and high if all fit."""
    order = sorted(range(len(places)), key=places.__getitem__)
    moved = list(places)
    moved[order[0]] = max(moved[order[0]], low + gap / 2)
    for below, i in pairwise(order):
        moved[i] = max(moved[i], moved[below] + gap)
    moved[order[-1]] = min(moved[order[-1]], high - gap / 2)
    for above, i in pairwise(reversed(order)):
        moved[i] = min(moved[i], moved[above] - gap)
    return moved


def _steps(runs: Sequence[Run]) -> alt.X:
    """Return the axis of the steps."""
    lengths = [run.points[-1].step for run in runs]
    if max(lengths) < LOG_FROM * min(lengths):
        scale = alt.Scale(domain=[0, max(lengths)], nice=False)
        axis = alt.Axis(format=",d", tickCount=6, tickMinStep=1)
    else:
        first = min(run.points[0].step for run in runs)
        scale = alt.Scale(type="log", domain=[first, max(lengths)], nice=False)
        ticks = [digit * 10**n for n in range(10) for digit in (1, 2, 5)]
        axis = alt.Axis(format=",d", values=ticks, labelOverlap="greedy", labelSeparation=8)
    return alt.X("step:Q", title="steps", scale=scale, axis=axis)


def _colors(runs: Sequence[Run]) -> alt.Scale:
    """Return a colour for each training; for a single one, for what is held out and what is not."""
    if len(runs) == 1:
        (run,) = runs
        colors = [COLORS[0], GREY] if run.held_out else [GREY, COLORS[0]]
        return alt.Scale(domain=[HELD_OUT, TRAINING], range=colors)
    labels = [run.label for run in runs]
    if len(runs) > len(COLORS):
        return alt.Scale(domain=labels, scheme=SHADES)
    return alt.Scale(domain=labels, range=COLORS[: len(runs)])


def _rows(runs: Sequence[Run], kind: str, curve: Callable[[Run], Curve]) -> Rows:
    """Return the points of curves, each with the name that it is coloured by."""
    return [
        {"name": run.label if len(runs) > 1 else kind, "kind": kind, "step": step, "loss": loss}
        for run in runs
        for step, loss in curve(run)
    ]


def _of(base: alt.Chart, rows: Rows) -> alt.Chart:
    return base.properties(data=alt.InlineData(values=rows))


def _lines(base: alt.Chart, runs: Sequence[Run]) -> Iterator[alt.Chart]:
    """Yield the lines, the faintest first."""
    are_few = len(runs) <= len(COLORS)
    if are_few:
        rows = _rows(runs, TRAINING, lambda run: run.training)
        yield _of(base, rows).mark_line(strokeWidth=1, opacity=0.2, clip=True)
    smoothed = _rows(runs, TRAINING, lambda run: run.smoothed)
    held_out = _rows(runs, HELD_OUT, lambda run: run.held_out)
    legend = alt.Legend(
        title=None, orient="top", offset=6, symbolType="stroke", symbolSize=500, symbolOpacity=1
    )
    kinds = alt.Scale(domain=[HELD_OUT, TRAINING], range=[[1, 0], [5, 3] if held_out else [1, 0]])
    dashed = base.encode(
        strokeDash=alt.StrokeDash(
            "kind:N", scale=kinds, legend=legend if held_out and len(runs) > 1 else None
        )
    )
    width, opacity = (1.6, 0.8 if are_few else 0.4) if held_out else (2.2, 1.0)
    yield _of(dashed, smoothed).mark_line(clip=True, strokeWidth=width, opacity=opacity)
    yield _of(dashed, held_out).mark_line(clip=True, strokeWidth=2.2)


def _points(base: alt.Chart, runs: Sequence[Run], high: float) -> Iterator[alt.Chart]:
    """Yield the points of held-out losses, and of a training loss that is no line for being one."""
    rows = _rows(runs, TRAINING, lambda run: run.smoothed if len(run.points) == 1 else [])
    rows += _rows(runs, HELD_OUT, lambda run: run.held_out if len(run.held_out) <= N_MARKED else [])
    seen = [row for row in rows if row["loss"] <= high]
    yield _of(base, seen).mark_point(filled=True, size=24, opacity=1)
    best = _rows(runs, HELD_OUT, lambda run: [run.best] if run.best else [])
    yield _of(base, best).mark_point(size=130, strokeWidth=1.8, opacity=1)


def _texts(runs: Sequence[Run]) -> Rows:
    """Return what stands beside the curves, where they end: a name and a figure each.

    A single training is named in the title; its curves by what they are.
    """
    if len(runs) == 1:
        (run,) = runs
        last = run.smoothed[-1][1]
        texts = [{"name": TRAINING, "loss": last, "figure": f"{_short(last)} at the end"}]
        if run.best:
            texts.append({"name": HELD_OUT, "loss": run.held_out[-1][1], "figure": _figure(run)})
        return texts
    names = differing(runs)
    return [
        {
            "name": run.label,
            "loss": (run.held_out or run.smoothed)[-1][1],
            "figure": ", ".join([_figure(run), *_settings(run, names)]),
        }
        for run in runs
    ]


def _figure(run: Run) -> str:
    if run.best is None:
        return f"{_short(run.smoothed[-1][1])} in training"
    step, loss = run.best
    return f"best {_short(loss)} at step {step:,}"


def _short(loss: float) -> str:
    return f"{loss:#.4g}"


def _settings(run: Run, names: Sequence[str]) -> list[str]:
    return [printable(f"{name} {run.settings[name]}") for name in names if name in run.settings]


def _beside(base: alt.Chart, texts: Rows) -> Iterator[alt.Chart]:
    """Yield the texts beside the curves: the names in their colours, the figures below."""
    at = _of(base, texts).encode(x=alt.value(WIDTH + 12))
    yield at.mark_text(
        align="left", limit=LABEL_WIDTH, dy=-6, fontWeight="bold", fontSize=12
    ).encode(text="name:N")
    yield at.mark_text(align="left", limit=LABEL_WIDTH, dy=8, fontSize=11).encode(
        text="figure:N", color=alt.value(GREY)
    )


def _title(runs: Sequence[Run]) -> alt.Title:
    """Return the title: which trainings these are, what they share and how good a single one is."""
    names = differing(runs)
    by = f", by {' and '.join(names)}" if 0 < len(names) <= MAX_IN_TITLE else ""
    return alt.Title(
        runs[0].label if len(runs) == 1 else f"{len(runs)} trainings{by}",
        subtitle=[*_shared_settings(runs), *_losses(runs)] or alt.Undefined,
        limit=WIDTH + LABEL_WIDTH,
        anchor="start",
        fontSize=15,
        subtitleColor=GREY,
        subtitleFontSize=11,
        subtitlePadding=6,
        offset=12,
    )


def _shared_settings(runs: Sequence[Run]) -> list[str]:
    """Return lines of the settings that are known to be the same in all trainings."""
    if not all(run.settings for run in runs):
        return []
    names = [name for name in runs[0].settings if name not in differing(runs)]
    return textwrap.wrap(", ".join(_settings(runs[0], names)), SUBTITLE_WIDTH)


def _losses(runs: Sequence[Run]) -> list[str]:
    """Return a line of the losses of a single training on what it has not learnt from."""
    if len(runs) > 1:
        return []
    (run,) = runs
    losses = {"best held-out loss": run.best[1] if run.best else None, "test loss": run.test_loss}
    known = [f"{name}: {_in_both_units(loss)}" for name, loss in losses.items() if loss is not None]
    return ["; ".join(known)] if known else []


def _in_both_units(loss: float) -> str:
    return f"{_short(loss)} nats a token ({_short(loss / math.log(2))} bits)"
