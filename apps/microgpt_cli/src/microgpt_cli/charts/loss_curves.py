"""Chart of the loss curves of one or more training runs."""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import altair as alt
from altair.typing import ChartType

from microgpt import (
    CheckpointError,
    HistoryPoint,
    TrainingPlan,
    TrainResult,
    TrainState,
    check_has_training,
    count_params,
    mark,
    printable,
    read_training,
)
from microgpt_cli.charts.look import COLORS, Row

WIDTH, HEIGHT = 520, 300  # plot size in pixels
SMOOTHED = 1 / 40  # points on each side in a mean of the training loss, as a share of all points
HELD_OUT, TRAINING = "held-out", "training (smoothed)"


class TrainingRun(NamedTuple):
    """The losses of a training run."""

    label: str
    points: Sequence[HistoryPoint]  # at least one
    val_mark: str  # whether the held-out loss is of contaminated documents

    @property
    def name(self) -> str:
        """The text in the legend: the label and the lowest held-out loss, or the last loss."""
        held_out = [(p.val_loss, p.step) for p in self.points if p.val_loss is not None]
        if not held_out:
            return f"{self.label}: training loss {self.points[-1].loss:#.4g}"
        loss, step = min(held_out)
        return f"{self.label}: best {loss:#.4g} at step {step:,}{self.val_mark}"


def draw_result(result: TrainResult) -> ChartType:
    """Return the chart of a training run; raise CheckpointError if there are no losses."""
    if not result.state.history:
        raise CheckpointError("there are no losses to plot; train for at least one step")
    label = f"{count_params(result.model):,} weights"
    return draw([_run(label, result.plan, result.state)])


def draw(runs: Sequence[TrainingRun]) -> ChartType:
    """Return the chart of one or more training runs.

    The held-out loss is a solid line with points. The smoothed training loss is dashed. The raw
    training loss is faint.
    """
    names = [run.name for run in runs]
    training: list[Row] = []
    held_out: list[Row] = []
    for run, name in zip(runs, names, strict=True):
        n_near = round(len(run.points) * SMOOTHED)
        for i, point in enumerate(run.points):
            near = run.points[max(0, i - min(i, n_near)) : i + min(i, n_near) + 1]
            row = {"name": name, "step": point.step}
            training.append(row | {"loss": point.loss, "kind": TRAINING})
            training[-1]["mean"] = fmean(each.loss for each in near)
            if point.val_loss is not None:
                held_out.append(row | {"loss": point.val_loss, "kind": HELD_OUT})
    kinds = [HELD_OUT, TRAINING] if held_out else [TRAINING]
    legend = alt.Legend(title=None, symbolType="stroke", symbolSize=500)
    below = alt.Legend(title=None, orient="bottom", columns=1, symbolType="stroke")
    dashes = alt.Scale(domain=kinds, range=[[1, 0], [5, 4]] if held_out else [[1, 0]])
    loss, mean = (
        alt.Y(f"{name}:Q", title="loss, nats per token", scale=alt.Scale(zero=False))
        for name in ("loss", "mean")
    )
    base = alt.Chart().encode(
        alt.X("step:Q", title="step", axis=alt.Axis(format=",d", tickMinStep=1)),
        loss,
        alt.Color("name:N", scale=alt.Scale(domain=names, range=COLORS), legend=below),
    )
    lines = base.encode(alt.StrokeDash("kind:N", scale=dashes, legend=legend if held_out else None))
    smoothed = lines.properties(data=alt.InlineData(values=training))
    points = held_out or (training if len(training) == len(runs) else [])
    chart = alt.layer(
        smoothed.mark_line(strokeWidth=0.8, opacity=0.15),
        smoothed.mark_line(strokeWidth=1.6).encode(mean),
        lines.properties(data=alt.InlineData(values=held_out)).mark_line(strokeWidth=2.2),
        base.properties(data=alt.InlineData(values=points)).mark_point(
            filled=True, size=24, opacity=1
        ),
    )
    title = runs[0].label if len(runs) == 1 else f"{len(runs)} training runs"
    return chart.properties(width=WIDTH, height=HEIGHT, title=title)


def read_training_runs(directories: Sequence[Path]) -> list[TrainingRun]:
    """Read the training runs of model directories; each has its path as label.

    Raises:
        CheckpointError: there is no training run, it is damaged, or it has no losses yet.
    """
    runs = []
    for directory in dict.fromkeys(directories):
        check_has_training(directory)
        plan, state, _ = read_training(directory)
        if not state.history:
            raise CheckpointError(
                f"{directory} has no losses yet: training has just started; try again later"
            )
        runs.append(_run(printable(str(directory), len(str(directory))), plan, state))
    return runs


def _run(label: str, plan: TrainingPlan, state: TrainState) -> TrainingRun:
    val_mark = mark(plan.contamination.get("validation", 0.0))
    return TrainingRun(label, state.history, val_mark)
