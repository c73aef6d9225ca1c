"""Chart of loss against steps, parameters, FLOPs and CPU seconds; marks of settings."""

from collections.abc import Callable, Sequence

import altair as alt

from microgpt_evolution.genome import Genome
from microgpt_evolution.sweep.config import differing
from microgpt_evolution.sweep.scaling import Axis, Cell, Scaling, Series, time_front
from microgpt_evolution.sweep.scaling_tables import NOUNS, SIZE, model_name
from microgpt_report import look, theme
from microgpt_report.page import Row
from microgpt_report.setting_names import describe_settings, in_words, value_in_words

WIDTH, HEIGHT = 320, 250  # panel size in pixels
N_ON_CURVE = 60  # number of points per power-law curve
NUMBERS = ",~r"  # D3 number format, for example 21,000 and 0.01
COSTS = ",.4~r"  # the same with four digits
CLOCK_S = 1e-4  # minimum time shown; a logarithmic axis cannot show 0
N_SHAPES = 8  # number of distinct symbols in Vega-Lite
LEGEND_CHARS = 70  # characters in a row of the legend of symbols, beside that of colors
ROOM = 0.06  # margin above and below the losses, as a fraction of their range

X = Callable[[Cell], float]


def draw(scaling: Scaling) -> alt.ConcatChart:
    """Return a chart with a panel for steps, one for parameters (if varied) and two for cost.

    Points are means over the seeds with 95 % confidence intervals. Curves are fitted power laws,
    and dashed lines are Pareto fronts. If all configurations need the same number of operations, a
    panel of the configurations replaces the panel of the operations.
    """
    panels = _Panels(scaling)
    axes = list(dict.fromkeys(series.axis for series in scaling.series))
    along = [panels.along(axis) for axis in axes]
    return alt.concat(*along, panels.operations(), panels.time(), columns=theme.N_COLUMNS)


class _Panels:
    """Builds panels that share the loss axis and the legends."""

    def __init__(self, scaling: Scaling) -> None:
        self._scaling = scaling
        ends = [end for cell in scaling.cells for end in _interval(cell)]
        margin = (max(ends) - min(ends)) * ROOM or ROOM
        scale = alt.Scale(domain=[min(ends) - margin, max(ends) + margin], nice=False)
        title = f"held-out loss{scaling.mark}, nats per token"
        self._loss = alt.Y("loss:Q", scale=scale, title=title)
        self._low = alt.Y("low:Q", scale=scale, title=title)
        by_size = sorted(scaling.cells, key=lambda cell: cell.n_params)
        self._marks = SettingMarks([cell.config for cell in by_size])

    def along(self, axis: Axis) -> alt.LayerChart:
        """Return the panel of one axis with all series and their fitted power laws."""
        several = [series for series in self._scaling.series if series.axis == axis]
        rows = [row for number, series in enumerate(several) for row in self._curve(series, number)]
        line = theme.inline(rows).mark_line(strokeWidth=1.6, clip=True)
        # A curve over the parameter counts spans several models, so no model's color fits.
        color = self._marks.color if axis == "steps" else alt.value(look.GREY)
        n_laws = sum(series.law is not None for series in several)
        return self._panel(
            f"Loss against {NOUNS[axis]}",
            f"curves: fitted power laws, for {n_laws} of {len(several)} series",
            theme.log_axis("x:Q", NOUNS[axis], NUMBERS),
            [cell for series in several for cell in series.cells],
            lambda cell: cell.x(axis),
            line.encode(color=color, detail="series:N"),
        )

    def operations(self) -> alt.LayerChart:
        """Return the panel of the operations or, if these are all equal, of the configurations."""
        scaling = self._scaling
        if scaling.has_one_cost:
            axis = alt.Axis(grid=False, labelAngle=0, labelOverlap="greedy", labelSeparation=10)
            return self._panel(
                "Loss of each configuration",
                "all have the same number of operations",
                alt.X("x:O", title="configuration, in order of mean loss", axis=axis),
                scaling.cells,
                scaling.place,
                self._front([], scaling.place),
            )
        x = theme.log_axis("x:Q", "GFLOP per training run", COSTS)
        return self._cost("operations", x, scaling.front, lambda cell: cell.flops / 1e9)

    def time(self) -> alt.LayerChart:
        """Return the panel of the CPU time."""
        axis, best = theme.log_axis("x:Q", "CPU seconds", COSTS), time_front(self._scaling.cells)
        return self._cost("time", axis, best, lambda cell: max(cell.cpu_seconds.value, CLOCK_S))

    def _cost(self, name: str, axis: alt.X, best: Sequence[Cell], x: X) -> alt.LayerChart:
        """Return the panel that shows the loss against a cost, with the Pareto front."""
        subtitle = "dashed: lowest loss for a budget" if best[1:] else "one is best at each cost"
        cells, line = self._scaling.cells, self._front(best, x)
        return self._panel(f"Loss against {name}", subtitle, axis, cells, x, line)

    def _front(self, best: Sequence[Cell], x: X) -> alt.Chart:
        line: alt.Chart = theme.inline(self._rows(best, x)).mark_line(
            strokeWidth=1.2, strokeDash=[4, 3], interpolate="step-after", color=look.GREY
        )
        return line

    def _panel(
        self, title: str, subtitle: str, axis: alt.X, cells: Sequence[Cell], x: X, line: alt.Chart
    ) -> alt.LayerChart:
        points = theme.inline(self._rows(cells, x)).encode(color=self._marks.color)
        bars = points.mark_rule(strokeWidth=1.4, opacity=0.6)
        dots = points.mark_point(filled=True, size=42, opacity=1)
        return alt.LayerChart(
            layer=[
                line.encode(axis, self._loss),
                bars.encode(axis, self._low, alt.Y2("high:Q")),
                dots.encode(axis, self._loss, self._marks.symbol),
            ],
            width=WIDTH,
            height=HEIGHT,
            title=alt.Title(title, subtitle=subtitle),
        )

    def _rows(self, cells: Sequence[Cell], x: X) -> list[Row]:
        rows = []
        for cell in cells:
            low, high = _interval(cell)
            row = {"x": x(cell), "loss": cell.val_loss.value, "low": low, "high": high}
            rows.append(row | self._marks.row(cell.config))
        return rows

    def _curve(self, series: Series, number: int) -> list[Row]:
        """Return the fitted power law within the measured range; nothing if no law fits."""
        if not series.law:
            return []
        first, *_, last = (cell.x(series.axis) for cell in series.cells)
        xs = [first * (last / first) ** (i / (N_ON_CURVE - 1)) for i in range(N_ON_CURVE)]
        shared = self._marks.row(series.cells[0].config) | {"series": number}
        return [{"x": x, "loss": series.law.law.at(x)} | shared for x in xs]


def _interval(cell: Cell) -> tuple[float, float]:
    half = cell.val_loss.half_width or 0.0
    return cell.val_loss.value - half, cell.val_loss.value + half


class SettingMarks:
    """Settings shown by colors and symbols in the chart of a sweep.

    Colors show the size of the model or, if there is only one, the setting with the most values.
    Symbols show the other settings that differ, except the steps, which are part of the cost.
    """

    def __init__(self, configs: Sequence[Genome]) -> None:
        """Choose the settings for configurations in the order of their size."""
        varied = [name for name in differing(configs) if name != "steps"]
        self._colored = ""  # the setting that colors show, if it is not the size
        if varied and not {*SIZE} & {*varied}:
            self._colored = max(varied, key=lambda n: len({getattr(c, n) for c in configs}))
        self._others = [name for name in varied if name not in {*SIZE, self._colored}]
        by_color = configs
        if self._colored:
            by_color = sorted(configs, key=lambda config: getattr(config, self._colored))
        colors = list(dict.fromkeys(map(self._color, by_color)))
        by_symbol = sorted(configs, key=lambda c: tuple(getattr(c, n) for n in self._others))
        symbols = list(dict.fromkeys(map(self._symbol, by_symbol)))
        title = in_words(self._colored) if self._colored else "model (width/heads/layers)"
        self.color = alt.Color(
            "color:N",
            scale=theme.color_scale(colors),
            legend=alt.Legend(title=title) if colors[1:] else None,
        )
        columns = max(1, min(4, LEGEND_CHARS // max(1, *map(len, symbols))))
        note = f"symbols repeat after {N_SHAPES}" if len(symbols) > N_SHAPES else None
        self.symbol = alt.Shape(
            "symbol:N",
            sort=symbols,
            legend=alt.Legend(title=note, columns=columns) if self._others else None,
        )

    def row(self, config: Genome) -> Row:
        """Return the fields of a configuration that `color` and `symbol` encode."""
        return {"color": self._color(config), "symbol": self._symbol(config)}

    def _color(self, config: Genome) -> str:
        if not self._colored:
            return model_name(config)
        return value_in_words(getattr(config, self._colored))

    def _symbol(self, config: Genome) -> str:
        return describe_settings({name: getattr(config, name) for name in self._others})
