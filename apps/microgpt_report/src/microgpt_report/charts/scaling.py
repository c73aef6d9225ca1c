"""Chart of loss against steps, parameters, FLOPs and CPU seconds."""

from collections.abc import Callable, Sequence

import altair as alt

from microgpt_evolution.sweep.config import differing
from microgpt_evolution.sweep.scaling import Axis, Cell, Scaling, Series, front
from microgpt_report import look, theme
from microgpt_report.page import Row
from microgpt_report.scaling_tables import NOUNS, SIZE, model_name
from microgpt_report.setting_names import describe_settings

WIDTH, HEIGHT = 320, 250  # panel size in pixels
N_ON_CURVE = 60  # number of points per power-law curve
NUMBERS = ",~r"  # D3 number format, for example 21,000 and 0.01
CLOCK_S = 1e-4  # minimum time shown; a logarithmic axis cannot show 0
N_SHAPES = 8  # number of distinct symbols in Vega-Lite
LEGEND_CHARS = 90  # characters in a row of the legend of shapes
ROOM = 0.06  # margin above and below the losses, as a fraction of their range

X = Callable[[Cell], float]


def draw(scaling: Scaling) -> alt.ConcatChart:
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
    return alt.concat(*along, *costs, columns=theme.N_COLUMNS)


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
        self._color = theme.model_color("model:N", models)
        varied = differing(cell.config for cell in scaling.cells)
        self._others = [name for name in varied if name not in {*SIZE, "steps"}]
        others = list(dict.fromkeys(self._describe(cell) for cell in by_size))
        note = f"symbols repeat after {N_SHAPES}" if len(others) > N_SHAPES else None
        columns = max(1, min(4, LEGEND_CHARS // max(1, *map(len, others))))
        self._shape = alt.Shape(
            "others:N",
            sort=others,
            legend=alt.Legend(title=note, columns=columns) if self._others else None,
        )

    def along(self, axis: Axis) -> alt.LayerChart:
        """Return the panel of one axis with all series and their fitted power laws."""
        several = [series for series in self._scaling.series if series.axis == axis]
        rows = [row for number, series in enumerate(several) for row in _curve(series, number)]
        line = theme.inline(rows).mark_line(strokeWidth=1.6, clip=True)
        # A curve over the parameter counts spans several models, so no model's color fits.
        color = self._color if axis == "steps" else alt.value(look.GREY)
        n_laws = sum(series.law is not None for series in several)
        caption = f"curves: fitted power laws, for {n_laws} of {len(several)} series"
        if n_laws == len(several):
            caption = f"curve{'s' * (n_laws > 1)}: fitted power law{'s' * (n_laws > 1)}"
        return self._panel(
            NOUNS[axis],
            caption if n_laws else "no power law fits",
            NOUNS[axis],
            [cell for series in several for cell in series.cells],
            lambda cell: cell.x(axis),
            line.encode(color=color, detail="series:N"),
        )

    def cost(self, name: str, unit: str, x: X) -> alt.LayerChart:
        """Return the panel that shows the loss against a cost."""
        best = front(self._scaling.cells, x)
        line = theme.inline(self._rows(best, x)).mark_line(
            strokeWidth=1.2, strokeDash=[4, 3], interpolate="step-after", color=look.GREY
        )
        subtitle = (
            "dashed: lowest loss for a budget" if best[1:] else "the cheapest has the lowest loss"
        )
        return self._panel(name, subtitle, unit, self._scaling.cells, x, line)

    def _panel(
        self, name: str, subtitle: str, unit: str, cells: Sequence[Cell], x: X, line: alt.Chart
    ) -> alt.LayerChart:
        axis = theme.log_axis("x:Q", unit, NUMBERS)
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

    def _describe(self, cell: Cell) -> str:
        return describe_settings({name: getattr(cell.config, name) for name in self._others})

    def _rows(self, cells: Sequence[Cell], x: X) -> list[Row]:
        rows = []
        for cell in cells:
            low, high = _interval(cell)
            row = {"x": x(cell), "loss": cell.val_loss.value, "low": low, "high": high}
            names = {"model": model_name(cell.config), "others": self._describe(cell)}
            rows.append(row | names)
        return rows


def _curve(series: Series, number: int) -> list[Row]:
    """Return the fitted power law within the measured range; nothing if no law fits."""
    if not series.law:
        return []
    first, *_, last = (cell.x(series.axis) for cell in series.cells)
    xs = [first * (last / first) ** (i / (N_ON_CURVE - 1)) for i in range(N_ON_CURVE)]
    shared = {"model": model_name(series.cells[0].config), "series": number}
    return [{"x": x, "loss": series.law.law.at(x)} | shared for x in xs]


def _interval(cell: Cell) -> tuple[float, float]:
    half = cell.val_loss.half_width or 0.0
    return cell.val_loss.value - half, cell.val_loss.value + half
