"""Chart of the results of search_fight.py for report.py: regret against operations."""

import altair as alt
from search_fight_tables import TITLES

from microgpt_report.look import AMBER, BLUE, GREEN, GREY, ORANGE, PINK
from microgpt_report.theme import LOG

SOLID, DASHED, DOTTED = [1, 0], [6, 3], [2, 2]
LOOKS = {  # color and dashes of each method
    "random": (GREY, SOLID),
    "halving": (AMBER, SOLID),
    "local": (PINK, SOLID),
    "evolution": (PINK, DOTTED),
    "optuna": (BLUE, SOLID),
    "optuna_hyperband": (BLUE, DOTTED),
    "dehb": (GREEN, SOLID),
    "smac": (GREEN, DOTTED),
    "rule": (GREY, DASHED),
    "ruled_halving": (AMBER, DASHED),
    "ruled_optuna": (BLUE, DASHED),
    "ours": (ORANGE, SOLID),
}
X = alt.X(
    "cost:Q",
    scale=alt.Scale(type="log", domain=[1, 30]),
    axis=alt.Axis(values=[1, 2, 3, 5, 10, 20, 30]),
    title=f"operations, in complete training runs{LOG}",
)
Y = alt.Y(
    "mean:Q",
    scale=alt.Scale(type="log", domain=[0.001, 0.5]),
    axis=alt.Axis(values=[0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5], format=".3~f"),
    title=f"loss above the best, nats per character{LOG}",
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
    legend = alt.Legend(columns=2, symbolType="stroke", symbolSize=500)
    color, dash = (
        channel(
            "method:N",
            title=None,
            scale=alt.Scale(domain=titles, range=[LOOKS[name][i] for name in names]),
            legend=legend,
        )
        for i, channel in enumerate((alt.Color, alt.StrokeDash))
    )
    chart = alt.Chart(alt.Data(values=values)).encode(x=X)
    return alt.layer(
        chart.mark_area(opacity=0.1, clip=True, aria=False).encode(
            y=alt.Y("low:Q"), y2="high:Q", color=color
        ),
        chart.mark_line(strokeWidth=2, clip=True).encode(y=Y, color=color, strokeDash=dash),
    ).properties(width=520, height=300, title=f"Searches for hyper-parameters: {text}")
