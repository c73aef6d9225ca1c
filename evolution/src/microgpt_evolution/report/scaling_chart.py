"""Chart of loss against steps, parameters and operations, with fitted power laws."""

import altair as alt

from microgpt_cli.charts.look import COLORS, GREY, Row
from microgpt_cli.charts.setting_text import describe_settings
from microgpt_evolution.genome import values_of
from microgpt_evolution.scaling.scaling import Cell, Scaling, Series
from microgpt_evolution.scaling.tables import NOUNS
from microgpt_evolution.strategies.grid import differing

WIDTH, HEIGHT = 320, 250  # panel size in pixels
N_COLUMNS = 2  # panels side by side
N_ON_CURVE = 60  # number of points per power-law curve
COSTS = {**NOUNS, "GFLOP": "GFLOP per training run"}  # titles of the axes
ROOM = 0.06  # margin above and below the losses, as a fraction of their range


def draw(scaling: Scaling) -> alt.ConcatChart:
    """Return a chart with a panel for each of steps, parameters and operations that differ.

    Points are means over the seeds with 95 % confidence intervals. Curves are fitted power laws.
    If all configurations need the same operations, a panel shows them in the order of their loss.
    """
    by_size = sorted(scaling.cells, key=lambda cell: cell.n_params)
    names = [name for name in differing(cell.config for cell in by_size) if name != "steps"]
    rows = [_row(cell, names) for cell in by_size]
    axes = [cost for cost in COSTS if len({row[cost] for row in rows}) > 1]
    if scaling.has_one_cost or not axes:
        axes.append("label")
    return alt.concat(*(_panel(axis, rows, scaling, names) for axis in axes), columns=N_COLUMNS)


def _row(cell: Cell, names: list[str]) -> Row:
    loss, half = cell.val_loss.value, cell.val_loss.half_width or 0.0
    costs = {"steps": cell.config.steps, "params": cell.n_params, "GFLOP": cell.flops / 1e9}
    label = describe_settings(values_of(cell.config, names))
    return costs | {"loss": loss, "low": loss - half, "high": loss + half, "label": label}


def _panel(axis: str, rows: list[Row], scaling: Scaling, names: list[str]) -> alt.LayerChart:
    ends = [row[end] for row in rows for end in ("low", "high")]
    margin = (max(ends) - min(ends)) * ROOM or ROOM
    scale = alt.Scale(domain=[min(ends) - margin, max(ends) + margin], nice=False)
    title = f"held-out loss{scaling.mark}, nats per token"
    labels = list(dict.fromkeys(row["label"] for row in rows))
    legend = alt.Legend(title=None, columns=1) if labels[1:] else None
    color = alt.Color("label:N", scale=alt.Scale(domain=labels, range=COLORS), legend=legend)
    x = alt.X("label:N", title=None, sort=alt.SortField("loss"))
    if axis != "label":
        x = log_axis(f"{axis}:Q", COSTS[axis])
    points = alt.Chart(alt.InlineData(values=rows)).encode(x=x, color=color)
    layers = [
        points.mark_rule(opacity=0.6).encode(y=alt.Y("low:Q", scale=scale), y2="high:Q"),
        points.mark_point(filled=True, size=42, opacity=1).encode(
            y=alt.Y("loss:Q", scale=scale, title=title), tooltip=["label:N", "loss:Q", f"{axis}:Q"]
        ),
    ]
    series = [each for each in scaling.series if each.axis == axis]
    curve = [row for number, each in enumerate(series) for row in _curve(each, number, names)]
    if curve:
        # A curve over the parameters spans several models, so no model's color fits.
        law = alt.Chart(alt.InlineData(values=curve)).mark_line(strokeWidth=1.6, clip=True)
        line_color = color if axis == "steps" else alt.value(GREY)
        layers.append(law.encode(x=x, y="loss:Q", color=line_color, detail="series:N"))
    n_laws = sum(each.law is not None for each in series)
    subtitle = f"fitted power laws for {n_laws} of {len(series)} series" if series else ""
    name = f"Loss against {NOUNS.get(axis, 'operations')}"
    heading = alt.Title(
        "Loss of each configuration" if axis == "label" else name, subtitle=subtitle
    )
    return alt.LayerChart(layer=layers, width=WIDTH, height=HEIGHT, title=heading)


def _curve(series: Series, number: int, names: list[str]) -> list[Row]:
    """Return the fitted power law within the measured range; nothing if no law fits."""
    if not series.law:
        return []
    first, *_, last = (cell.x(series.axis) for cell in series.cells)
    xs = [first * (last / first) ** (i / (N_ON_CURVE - 1)) for i in range(N_ON_CURVE)]
    label = describe_settings(values_of(series.cells[0].config, names))
    return [
        {series.axis: x, "loss": series.law.at(x), "label": label, "series": number} for x in xs
    ]


def log_axis(field: str, title: str) -> alt.X:
    """Return a logarithmic x axis; its title names the scale."""
    scale = alt.Scale(type="log", nice=False, padding=12)
    axis = alt.Axis(
        grid=False, format=",.4~r", tickCount=6, labelOverlap="greedy", labelSeparation=10
    )
    return alt.X(field, title=f"{title} (log scale)", scale=scale, axis=axis)
