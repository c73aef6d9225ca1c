"""Draw loss curves and other results, write chart files, and define the style of all charts.

The entry points in the group `microgpt.plotting` map the name of a result's class, such as
`TrainResult`, to the function that draws it. Altair is imported only when a chart is drawn.
"""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

from microgpt import (
    CheckpointError,
    ConfigError,
    HistoryPoint,
    MicrogptError,
    TrainingPlan,
    TrainResult,
    TrainState,
    check_extra,
    check_has_training,
    count_params,
    mark,
    plugin,
    printable,
    publish,
    read_training,
)

if TYPE_CHECKING:
    from altair.typing import ChartType

# Each color has a contrast of at least 3:1 with a light and a dark background. The first six differ
# as much as possible; each later one differs clearly from all before it, also for readers with
# red-green color blindness (tests/cli/charts/test_charts.py).
COLORS = (
    *("#0072b2", "#fe5f07", "#24a970", "#ba2379", "#598bff", "#955503"),
    *("#1a4eff", "#0ba2be", "#e669aa", "#00a500", "#cd05cd", "#b95055", "#00783c", "#ff37e6"),
    *("#785a91", "#c38750", "#a078dc", "#d70a28", "#a56996", "#8732e6", "#3c8c73", "#a546af"),
    *("#2d6e73", "#7d5fd2"),
)
BLUE, ORANGE, GREEN, PINK, SKY, AMBER = COLORS[:6]
GREY = "#8a8a8a"
# Colors of text (ink), secondary text (quiet), lines, and the background (paper).
SCHEMES = {
    "light": {"ink": "#24292f", "quiet": "#57606a", "line": "#e4e6e9", "paper": "#ffffff"},
    "dark": {"ink": "#e6e8eb", "quiet": "#a2a9b3", "line": "#33383f", "paper": "#16191d"},
}
FONT = "system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif"
PADDING = 12  # pixels around a chart in a file
FILES = (".png", ".svg")  # suffixes of chart files
PNG_SCALE = 2  # PNG pixels per chart pixel; 1 is blurry on most screens

Specification = dict[str, object]  # a chart or a configuration in Vega-Lite
Row = dict[str, Any]  # a row of a chart's dataset
WIDTH, HEIGHT = 520, 300  # plot size in pixels
SMOOTHED = 1 / 40  # the moving average extends over 1/40 of the points on either side
HELD_OUT, TRAINING = "held-out", "training (smoothed)"


def file_config() -> Specification:
    """Return the Vega-Lite configuration of chart files, which have the light color scheme."""
    color = SCHEMES["light"]
    titles = {"titleColor": color["quiet"], "titleFontWeight": 400, "titleFontSize": 12}
    labels = {"labelColor": color["quiet"], "labelFontSize": 11, "labelLimit": 0}
    axis = {"domainColor": color["quiet"], "tickColor": color["quiet"], "gridColor": color["line"]}
    legend = {"labelColor": color["ink"], "labelFontSize": 12, "labelLimit": 0, "orient": "top"}
    legend |= {"titleLimit": 0, "columns": 4, "columnPadding": 14}
    legend |= {"symbolOpacity": 1, "symbolBaseFillColor": GREY}
    title = {"color": color["ink"], "anchor": "start", "fontSize": 14, "fontWeight": 600}
    subtitle = {"subtitleColor": color["quiet"], "subtitleFontSize": 12, "subtitlePadding": 6}
    return {
        "background": color["paper"],
        "padding": PADDING,
        "font": FONT,
        "view": {"stroke": None},
        "axis": {**axis, "titlePadding": 8, "labelFlush": False, **labels, **titles},
        "header": labels | titles,
        "legend": legend | titles,
        "title": title | subtitle,
        "text": {"color": color["ink"]},
        "style": {name: {"color": color[name]} for name in ("ink", "quiet")},
    }


def picture(chart: Specification, kind: str) -> bytes:
    """Return a chart rendered as a PNG or SVG file; `kind` is "png" or "svg"."""
    import vl_convert

    whole = chart | {"config": file_config()}
    if kind == "png":
        return bytes(vl_convert.vegalite_to_png(whole, scale=PNG_SCALE))
    return str(vl_convert.vegalite_to_svg(whole)).encode()


def check_files(files: Sequence[Path]) -> None:
    """Raise ConfigError unless every file name ends in .png or .svg and charts can be drawn."""
    for file in files:
        if file.suffix.lower() not in FILES:
            raise ConfigError(f"the chart must be a {' or '.join(FILES)} file, got {file}")
    if files:
        check_plots()


def check_plots() -> None:
    """Raise ConfigError if a package of the extra `plots` is not installed."""
    check_extra("microgpt-cli[plots]", "charts", "altair", "vl_convert")


def write_chart(chart: "ChartType", files: Sequence[Path]) -> None:
    """Write a chart to .png and .svg files atomically; raise CheckpointError if a write fails."""
    for file in files:
        content = picture(chart.to_dict(), file.suffix.lower().removeprefix("."))
        publish(file.parent, {file.name: content})


def chart(result: object) -> Any:
    """Return the Altair chart of a result; raise MicrogptError if its class cannot be plotted."""
    check_plots()
    name = type(result).__name__
    draw = plugin("plotting", name)
    if draw is None:
        raise MicrogptError(f"a {name} cannot be plotted")
    return draw(result).configure(**file_config())


class TrainingRun(NamedTuple):
    """The losses of a training run, and its label in a chart."""

    label: str
    points: Sequence[HistoryPoint]  # the loss curve, in order of steps
    val_mark: str  # contamination mark of the held-out loss, or ""

    @property
    def name(self) -> str:
        """The label, and the lowest held-out loss or, if there is none, the last training loss."""
        held_out = [(p.val_loss, p.step) for p in self.points if p.val_loss is not None]
        if not held_out:
            return f"{self.label}: training loss {self.points[-1].loss:#.4g}"
        loss, step = min(held_out)
        return f"{self.label}: best {loss:#.4g} at step {step:,}{self.val_mark}"


def draw_result(result: TrainResult) -> "ChartType":
    """Return a chart of the losses of a training run."""
    return draw([_run(f"{count_params(result.model):,} weights", result.plan, result.state)])


def draw(runs: Sequence[TrainingRun]) -> "ChartType":
    """Return a chart of the losses of training runs; raise CheckpointError if a run has none."""
    import altair as alt

    rows: list[Row] = []
    for run in runs:
        if not run.points:
            raise CheckpointError(f"{run.label} has no losses yet; train for at least one step")
        n_near = round(len(run.points) * SMOOTHED)
        for i, point in enumerate(run.points):
            near = run.points[max(0, i - min(i, n_near)) : i + min(i, n_near) + 1]
            row = {"name": run.name, "step": point.step}
            rows.append(row | {"loss": fmean(each.loss for each in near), "kind": TRAINING})
            if point.val_loss is not None:
                rows.append(row | {"loss": point.val_loss, "kind": HELD_OUT})
    names, kinds = [run.name for run in runs], sorted({row["kind"] for row in rows})
    below = alt.Legend(title=None, orient="bottom", columns=1, symbolType="stroke")
    above = alt.Legend(title=None, symbolType="stroke", symbolSize=500)
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        alt.X("step:Q", title="step", axis=alt.Axis(format=",d", tickMinStep=1)),
        alt.Y("loss:Q", title="loss, nats per token", scale=alt.Scale(zero=False)),
        alt.Color("name:N", scale=alt.Scale(domain=names, range=COLORS), legend=below),
    )
    dashes = alt.Scale(domain=kinds, range=[[1, 0], [5, 4]])
    lines = base.encode(alt.StrokeDash("kind:N", scale=dashes, legend=above)).mark_line()
    # Training losses are drawn as points only if each run has just one, because a line needs two.
    shown = "true" if len(rows) == len(runs) else f"datum.kind == '{HELD_OUT}'"
    points = base.transform_filter(shown).mark_point(filled=True, size=24, opacity=1)
    title = runs[0].label if len(runs) == 1 else f"{len(runs)} training runs"
    return alt.layer(lines, points).properties(width=WIDTH, height=HEIGHT, title=title)


def read_training_runs(directories: Sequence[Path]) -> list[TrainingRun]:
    """Read the training runs of model directories; raise CheckpointError if a run is missing."""
    runs = []
    for directory in dict.fromkeys(directories):
        check_has_training(directory)
        plan, state, _ = read_training(directory)
        runs.append(_run(printable(str(directory), len(str(directory))), plan, state))
    return runs


def _run(label: str, plan: TrainingPlan, state: TrainState) -> TrainingRun:
    label += " (subwords)" if plan.tokenizer.kind == "bpe" else ""
    return TrainingRun(label, state.history, mark(plan.contamination.get("validation", 0.0)))
