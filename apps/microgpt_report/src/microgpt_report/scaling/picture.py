"""The picture of what sweeps say: the loss against steps, size, operations and seconds.

Importing this module loads Altair, which takes a second and may not be installed.
"""

from collections.abc import Callable, Sequence
from typing import Any

import altair as alt

from microgpt_evolution.sweep.config import differing
from microgpt_evolution.sweep.scaling import Axis, Cell, Scaling, Series, front
from microgpt_report.curves import COLORS, GREY, GRID, SHADES
from microgpt_report.scaling.tables import NOUNS, SIZE, model_name

WIDTH, HEIGHT = 320, 250  # pixels, of a panel
N_ON_CURVE = 60  # points that a law is drawn through
NUMBERS = ",~r"  # 21,000 and 0.01
CLOCK_S = 1e-4  # what a clock may not tell from 0, which a logarithmic axis does not have
ROOM = 0.06  # above and below the losses: of their range

X = Callable[[Cell], float]
Rows = list[dict[str, Any]]


def draw(scaling: Scaling) -> alt.VConcatChart:
    """Return the picture: a panel for each axis of the sweeps, and two for what it costs.

    Points are means over the seeds with their 95 % intervals; a curve is the fitted power law, a
    line in steps the best for each budget.
    """
    panels = _Panels(scaling)
    axes = list(dict.fromkeys(series.axis for series in scaling.series))
    along = [panels.along(axis) for axis in axes]
    costs = [
        panels.cost("operations", "GFLOP of a training", lambda cell: cell.flops / 1e9),
        panels.cost("time", "seconds of a processor", _seconds),
    ]
    rows = [along, costs] if len(along) > 1 else [along + costs]
    picture: alt.VConcatChart = (
        alt.vconcat(*(alt.hconcat(*row) for row in rows))
        .configure_axis(gridColor=GRID, domainColor=GREY, tickColor=GREY, labelColor=GREY)
        .configure_view(stroke=None)
        .configure_title(anchor="start", fontSize=13, subtitleColor=GREY, subtitleFontSize=11)
        .properties(padding=12)
    )
    return picture


class _Panels:
    """Makes panels, which share the axis of the losses, and what models look like.

    A size has a colour; other settings, but for the steps, have a shape.
    """

    def __init__(self, scaling: Scaling) -> None:
        self._scaling = scaling
        ends = [end for cell in scaling.cells for end in _interval(cell)]
        margin = (max(ends) - min(ends)) * ROOM or ROOM
        scale = alt.Scale(domain=[min(ends) - margin, max(ends) + margin], nice=False)
        title = "held-out loss, nats a token"
        self._loss = alt.Y("loss:Q", scale=scale, title=title)
        self._low = alt.Y("low:Q", scale=scale, title=title)
        by_size = sorted(scaling.cells, key=lambda cell: cell.n_params)
        models = list(dict.fromkeys(model_name(cell.point) for cell in by_size))
        few = len(models) <= len(COLORS)
        colors = {"range": COLORS[: len(models)]} if few else {"scheme": SHADES}
        legend = alt.Legend(title="model") if len(models) > 1 else None
        self._color = alt.Color("model:N", scale=alt.Scale(domain=models, **colors), legend=legend)
        varied = differing(cell.point for cell in scaling.cells)
        self._told = [name for name in varied if name not in {*SIZE, "steps"}]
        self._shape = alt.Shape(
            "others:N",
            sort=list(dict.fromkeys(cell.point.describe(self._told) for cell in by_size)),
            legend=alt.Legend(title=None) if self._told else None,
        )

    def along(self, axis: Axis) -> alt.LayerChart:
        """Return the panel of all series along an axis, with their laws."""
        several = [series for series in self._scaling.series if series.axis == axis]
        lines = [row for number, s in enumerate(several) for row in self._line(s, number)]
        line = alt.Chart(alt.InlineData(values=lines)).mark_line(strokeWidth=1.6, clip=True)
        # A line along the parameters goes through several models, and has the colour of none.
        color = self._color if axis == "steps" else alt.value(GREY)
        is_law = any(series.law for series in several)
        what = "curve: the power law" if is_law else "there is no power law"
        title = alt.Title(f"Loss against {NOUNS[axis]}", subtitle=what)
        return self._panel(
            title,
            NOUNS[axis],
            [cell for series in several for cell in series.cells],
            lambda cell: cell.x(axis),
            line.encode(color=color, detail="series:N"),
        )

    def cost(self, name: str, unit: str, x: X) -> alt.LayerChart:
        """Return the panel of what a loss costs."""
        best = self._rows(front(self._scaling.cells, x), x)
        line = alt.Chart(alt.InlineData(values=best)).mark_line(
            strokeWidth=1.2, strokeDash=[4, 3], interpolate="step-after", color=GREY
        )
        title = alt.Title(f"Loss against {name}", subtitle="dashed: the best for a budget")
        return self._panel(title, unit, self._scaling.cells, x, line)

    def _panel(
        self, title: alt.Title, unit: str, cells: Sequence[Cell], x: X, line: alt.Chart
    ) -> alt.LayerChart:
        axis = alt.X(
            "x:Q",
            title=unit,
            scale=alt.Scale(type="log", nice=False, padding=12),
            axis=alt.Axis(format=NUMBERS, labelOverlap="greedy", labelSeparation=10, tickCount=6),
        )
        points = alt.Chart(alt.InlineData(values=self._rows(cells, x))).encode(color=self._color)
        bars = points.mark_rule(strokeWidth=1.4, opacity=0.6).encode(
            axis, self._low, alt.Y2("high:Q")
        )
        dots = points.mark_point(filled=True, size=42, opacity=1).encode(self._shape)
        layers = [line.encode(axis, self._loss), bars, dots.encode(axis, self._loss)]
        return alt.LayerChart(layer=layers, width=WIDTH, height=HEIGHT, title=title)

    def _line(self, series: Series, number: int) -> Rows:
        """Return the curve of a law, as far as there are measurements; without one, these."""
        xs = [cell.x(series.axis) for cell in series.cells]
        losses = [cell.val_loss.value for cell in series.cells]
        if series.law:
            ratio = xs[-1] / xs[0]
            xs = [xs[0] * ratio ** (i / (N_ON_CURVE - 1)) for i in range(N_ON_CURVE)]
            losses = [series.law.law.at(x) for x in xs]
        shared = {"model": model_name(series.cells[0].point), "series": number}
        return [{"x": x, "loss": loss} | shared for x, loss in zip(xs, losses, strict=True)]

    def _rows(self, cells: Sequence[Cell], x: X) -> Rows:
        rows = []
        for cell in cells:
            low, high = _interval(cell)
            row = {"x": x(cell), "loss": cell.val_loss.value, "low": low, "high": high}
            names = {"model": model_name(cell.point), "others": cell.point.describe(self._told)}
            rows.append(row | names)
        return rows


def _seconds(cell: Cell) -> float:
    return max(cell.cpu_seconds, CLOCK_S)


def _interval(cell: Cell) -> tuple[float, float]:
    half = cell.val_loss.half_width or 0.0
    return cell.val_loss.value - half, cell.val_loss.value + half
