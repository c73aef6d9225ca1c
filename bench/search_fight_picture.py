"""Chart of the results of search_fight.py for report.py: regret against operations."""

import altair as alt
from search_fight_tables import TITLES

COLORS = {
    "random": "#7f7f7f",
    "halving": "#bcbd22",
    "local": "#8c564b",
    "evolution": "#e377c2",
    "optuna": "#1f77b4",
    "optuna_hyperband": "#17becf",
    "dehb": "#9467bd",
    "smac": "#2ca02c",
    "rule": "#000000",
    "ruled_halving": "#bcbd22",
    "ruled_optuna": "#1f77b4",
    "ours": "#d62728",
}
DASHES = {name: [6, 3] if name.startswith("ruled_") else [1, 0] for name in COLORS}
X = alt.X(
    "cost:Q",
    scale=alt.Scale(type="log", domain=[1, 30]),
    axis=alt.Axis(values=[1, 2, 3, 5, 10, 20, 30]),
    title="operations, in complete training runs",
)
Y = alt.Y(
    "mean:Q",
    scale=alt.Scale(type="symlog", constant=0.005, domain=[0, 0.2]),
    axis=alt.Axis(values=[0, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2], format=".3~f"),
    title="test loss above the best, nats per character",
)


def fight_picture(fight: dict) -> alt.VConcatChart:
    """Return the charts of the mean regret of each search for each text, with 95 % intervals."""
    return alt.vconcat(*(regrets(text, found) for text, found in fight.items()))


def regrets(text: str, found: dict) -> alt.LayerChart:
    """Return the chart for a text."""
    names = [name for name in TITLES if name in found["curves"]]
    values = [
        {"method": TITLES[name], "cost": i + 1, "mean": mean, "low": low, "high": high}
        for name in names
        for i, (mean, low, high) in enumerate(found["curves"][name])
    ]
    titles = [TITLES[name] for name in names]
    legend = alt.Legend(
        title=None, labelLimit=400, symbolType="stroke", symbolSize=500, symbolOpacity=1
    )
    color, dash = (
        channel(
            "method:N",
            scale=alt.Scale(domain=titles, range=[looks[name] for name in names]),
            legend=legend,
        )
        for channel, looks in ((alt.Color, COLORS), (alt.StrokeDash, DASHES))
    )
    chart = alt.Chart(alt.Data(values=values)).encode(x=X)
    return alt.layer(
        chart.mark_area(opacity=0.1, clip=True, aria=False).encode(
            y=alt.Y("low:Q"), y2="high:Q", color=color
        ),
        chart.mark_line(strokeWidth=2, clip=True).encode(y=Y, color=color, strokeDash=dash),
    ).properties(width=440, height=300, title=f"Searches for hyper-parameters: {text}")
