"""Chart of an explanation: the most likely tokens at each position, and the token that came."""

import altair as alt
from altair.typing import ChartType

from microgpt.evaluation.explanation import Explanation
from microgpt.printable import printable
from microgpt_report import look, theme
from microgpt_report.page import Row

CELL_WIDTH, CELL_HEIGHT = 64, 30  # in pixels
LIGHT = 0.55  # probability from which text on a cell is white
CAPTION = "Below: the most likely tokens at this position.\nFrame: the token that came."


def draw(explanation: Explanation) -> ChartType:
    """Return a chart with a column per position.

    A column has the token that came, with its probability, and the most likely tokens below. Darker
    cells are more likely. A frame marks the token that came if it is one of them.
    """
    rows, tops = _cells(explanation)
    n_ranks = max((row["rank"] for row in rows), default=0)
    base = theme.inline(rows).encode(
        x=alt.X("position:O", axis=None),
        y=alt.Y("rank:O", title="most likely next", axis=alt.Axis(labelAngle=0, ticks=False)),
    )
    shade = alt.Scale(domain=[0, 1], range=["#f4f8fb", look.BLUE])
    color = alt.Color("probability:Q", scale=shade, legend=None)
    cells = base.mark_rect(stroke="white").encode(color=color)
    framed = base.transform_filter("datum.came")
    frame = framed.mark_rect(filled=False, stroke=look.ORANGE, strokeWidth=2.5)
    white = alt.condition(f"datum.probability > {LIGHT}", alt.value("white"), alt.value("#222"))
    name = base.mark_text(dy=-5, fontSize=14, fontWeight="bold").encode(text="text:N", color=white)
    share = base.mark_text(dy=9, fontSize=10).encode(text="share:N", color=white)
    top = theme.inline(tops).encode(x=alt.X("position:O", axis=None), y=alt.value(-30))
    came = top.mark_text(fontSize=20, fontWeight="bold").encode(text="text:N")
    how = top.mark_text(fontSize=10, dy=18, style="quiet").encode(text="share:N")
    chart = alt.layer(cells, frame, name, share, came, how)
    title = alt.Title(
        "Text, with the probability of each token", subtitle=CAPTION.split("\n"), offset=16
    )
    return chart.properties(width=CELL_WIDTH * len(tops), height=CELL_HEIGHT * n_ranks, title=title)


def _cells(explanation: Explanation) -> tuple[list[Row], list[Row]]:
    """Return a row per alternative, and a row per token that came."""
    rows, tops = [], []
    for position, each in enumerate(explanation.predictions):
        tops.append(
            {"position": position, "text": _shown(each.text), "share": _percent(each.probability)}
        )
        rows += [
            {
                "position": position,
                "rank": rank,
                "text": _shown(one.text),
                "share": _percent(one.probability),
                "probability": one.probability,
                "came": one.token == each.token,
            }
            for rank, one in enumerate(each.alternatives, start=1)
        ]
    return rows, tops


def _shown(text: str) -> str:
    names = {"<|bos|>": "end", " ": "␣"}
    return names.get(text) or printable(text, 8)


def _percent(probability: float) -> str:
    return f"{probability:.0%}" if probability >= 0.095 else f"{probability:.1%}"
