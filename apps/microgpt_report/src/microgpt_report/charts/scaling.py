"""Chart of loss against steps, parameters, FLOPs and CPU seconds."""

from collections.abc import Callable, Sequence

import altair as alt

from microgpt_evolution.sweep.config import differing
from microgpt_evolution.sweep.scaling import Axis, Cell, Scaling, Series, front
from microgpt_report import theme
from microgpt_report.page import Row
from microgpt_report.scaling_tables import NOUNS, SIZE, model_name

WIDTH, HEIGHT = 320, 250  # panel size in pixels
N_ON_CURVE = 60  # number of points per power-law curve
NUMBERS = ",~r"  # D3 number format, for example 21,000 and 0.01
CLOCK_S = 1e-4  # minimum time shown; a logarithmic axis cannot show 0
N_SHAPES = 8  # number of distinct symbols in Vega-Lite
ROOM = 0.06  # margin above and below the losses, as a fraction of their range

X = Callable[[Cell], float]


def draw(scaling: Scaling) -> alt.VConcatChart:
    """Return a chart with one panel per axis of the sweeps and two panels for cost.

    Points are means over the seeds with 95 % confidence intervals. Curves are fitted power laws,
    and dashed lines are Pareto fronts.
    """
    panels = _Panels(scaling)
    axes = list(dict.fromkeys(series.axis for series in scaling.series))
    along = [panels.along(axis) for axis in axes]
    costs = [
        panels.cost("operations", "GFLOP per training run", lambda cell: cell.flops / 1e9),
        panels.cost("time", "CPU seconds", lambda cell: max(cell.cpu_seconds, CLOCK_S)),
    ]
    rows = [along, costs] if len(along) > 1 else [along + costs]
    chart = alt.vconcat(*(alt.hconcat(*row) for row in rows)).properties(padding=12)
    sizes = {"anchor": "start", "fontSize": 13, "subtitleFontSize": 11}
    title = sizes | {"subtitleColor": theme.DARK_GREY}
    configured: alt.VConcatChart = chart.configure(**theme.STANDALONE, title=title)
    return configured


class _Panels:
    """Builds panels that share the loss axis and the legend of models.

    Colors encode the model size. Shapes encode the other settings, except the steps.
    """

    def __init__(self, scaling: Scaling) -> None:
        self._scaling = scaling
        ends = [end for cell in scaling.cells for end in _interval(cell)]
        margin = (max(ends) - min(ends)) * ROOM or ROOM
        scale = alt.Scale(domain=[min(ends) - margin, max(ends) + margin], nice=False)
        title = "held-out loss, nats per token"
        self._loss = alt.Y("loss:Q", scale=scale, title=title)
        self._low = alt.Y("low:Q", scale=scale, title=title)
        by_size = sorted(scaling.cells, key=lambda cell: cell.n_params)
        models = list(dict.fromkeys(model_name(cell.config) for cell in by_size))
        legend = alt.Legend(title="model") if len(models) > 1 else None
        self._color = alt.Color("model:N", scale=theme.color_scale(models), legend=legend)
        varied = differing(cell.config for cell in scaling.cells)
        self._others = [name for name in varied if name not in {*SIZE, "steps"}]
        others = list(dict.fromkeys(cell.config.describe(self._others) for cell in by_size))
        note = f"symbols repeat after {N_SHAPES}" if len(others) > N_SHAPES else None
        self._shape = alt.Shape(
            "others:N",
            sort=others,
            legend=alt.Legend(title=note, labelLimit=0) if self._others else None,
        )

    def along(self, axis: Axis) -> alt.LayerChart:
        """Return the panel of one axis with all series and their fitted power laws."""
        several = [series for series in self._scaling.series if series.axis == axis]
        rows = [row for number, series in enumerate(several) for row in _curve(series, number)]
        line = theme.inline(rows).mark_line(strokeWidth=1.6, clip=True)
        # A curve over the parameter counts spans several models, so no model's color fits.
        color = self._color if axis == "steps" else alt.value(theme.DARK_GREY)
        is_law = any(series.law for series in several)
        return self._panel(
            NOUNS[axis],
            "curve: fitted power law" if is_law else "no power law fits",
            NOUNS[axis],
            [cell for series in several for cell in series.cells],
            lambda cell: cell.x(axis),
            line.encode(color=color, detail="series:N"),
        )

    def cost(self, name: str, unit: str, x: X) -> alt.LayerChart:
        """Return the panel that shows the loss against a cost."""
        line = theme.inline(self._rows(front(self._scaling.cells, x), x)).mark_line(
            strokeWidth=1.2, strokeDash=[4, 3], interpolate="step-after", color=theme.DARK_GREY
        )
        subtitle = "dashed: lowest loss for a budget"
        return self._panel(name, subtitle, unit, self._scaling.cells, x, line)

    def _panel(
        self, name: str, subtitle: str, unit: str, cells: Sequence[Cell], x: X, line: alt.Chart
    ) -> alt.LayerChart:
        axis = alt.X(
            "x:Q",
            title=unit,
            scale=alt.Scale(type="log", nice=False, padding=12),
            axis=alt.Axis(format=NUMBERS, labelOverlap="greedy", labelSeparation=10, tickCount=6),
        )
        points = theme.inline(self._rows(cells, x)).encode(color=self._color)
        bars = points.mark_rule(strokeWidth=1.4, opacity=0.6)
        dots = points.mark_point(filled=True, size=42, opacity=1)
        return alt.LayerChart(
            layer=[
                line.encode(axis, self._loss),
                bars.encode(axis, self._low, alt.Y2("high:Q")),
                dots.encode(axis, self._loss, self._shape),
            ],
            width=WIDTH,
            height=HEIGHT,
            title=alt.Title(f"Loss against {name}", subtitle=subtitle),
        )

    def _rows(self, cells: Sequence[Cell], x: X) -> list[Row]:
        rows = []
        for cell in cells:
            low, high = _interval(cell)
            row = {"x": x(cell), "loss": cell.val_loss.value, "low": low, "high": high}
            names = {"model": model_name(cell.config), "others": cell.config.describe(self._others)}
            rows.append(row | names)
        return rows


def _curve(series: Series, number: int) -> list[Row]:
    """Return the fitted power law within the measured range, or the measurements if no law fits."""
    xs = [cell.x(series.axis) for cell in series.cells]
    losses = [cell.val_loss.value for cell in series.cells]
    if series.law:
        ratio = xs[-1] / xs[0]
        xs = [xs[0] * ratio ** (i / (N_ON_CURVE - 1)) for i in range(N_ON_CURVE)]
        losses = [series.law.law.at(x) for x in xs]
    shared = {"model": model_name(series.cells[0].config), "series": number}
    return [{"x": x, "loss": loss} | shared for x, loss in zip(xs, losses, strict=True)]


def _interval(cell: Cell) -> tuple[float, float]:
    half = cell.val_loss.half_width or 0.0
    return cell.val_loss.value - half, cell.val_loss.value + half
