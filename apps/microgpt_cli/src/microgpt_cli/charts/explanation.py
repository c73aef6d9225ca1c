"""Chart of an explanation: the tokens read, the likely next tokens, and the actual tokens."""

import altair as alt
from altair.typing import ChartType

from microgpt import Explanation, printable
from microgpt_cli.charts.look import BLUE, ORANGE, Row

CELL_WIDTH, CELL_HEIGHT = 64, 32  # in pixels
ABOVE, BELOW = -24, 30  # distances of the rows above and below the cells, in pixels
LIGHT = 0.85  # probability from which white text is easier to read on a cell than black text
X = alt.X("position:O", axis=None)


def draw(explanation: Explanation) -> ChartType:
    """Return a chart with a column per position.

    A column shows the token that the model has just read, the most likely next tokens, and the
    actual next token. Darker cells are more likely. A frame marks the actual token if it is among
    the most likely ones.
    """
    expected: list[Row] = []
    columns: list[Row] = []
    pairs = zip(explanation.read, explanation.scored, strict=False)  # without what may come next
    for position, (read, each) in enumerate(pairs):
        column = {"position": position, "read": _shown(read, "start")}
        columns.append(column | _token(each.text, each.probability))
        for rank, one in enumerate(each.alternatives, start=1):
            cell = {"position": position, "rank": rank, "came": one.token == each.token}
            expected.append(cell | _token(one.text, one.probability))
    height = CELL_HEIGHT * max((row["rank"] for row in expected), default=0)
    chart = alt.layer(*_cells(expected), *_margins(columns, height))
    return chart.properties(width=CELL_WIDTH * len(columns), height=height)


def _cells(expected: list[Row]) -> list[alt.Chart]:
    cells = _chart(expected).encode(x=X, y=alt.Y("rank:O", axis=None))
    shade = alt.Scale(domain=[0, 1], range=["#eef4f9", BLUE])
    shaded = alt.Color("probability:Q", scale=shade, legend=None)
    white = alt.condition(f"datum.probability > {LIGHT}", alt.value("white"), alt.value("#222"))
    text = cells.mark_text(dy=-6, fontSize=14, fontWeight="bold", limit=CELL_WIDTH)
    frame = cells.transform_filter("datum.came")
    return [
        cells.mark_rect(stroke="white").encode(color=shaded),
        frame.mark_rect(filled=False, stroke=ORANGE, strokeWidth=3),
        text.encode(text="text:N", color=white),
        cells.mark_text(dy=9, fontSize=11).encode(text="share:N", color=white),
    ]


def _margins(columns: list[Row], height: int) -> list[alt.Chart]:
    """Return the layers above, below and to the left of the cells."""
    ends = _chart(columns).encode(x=X)
    read = ends.mark_text(fontSize=20, style="quiet", limit=CELL_WIDTH)
    came = ends.mark_text(fontSize=20, fontWeight="bold", color=ORANGE, limit=CELL_WIDTH)
    share = ends.mark_text(fontSize=11, style="quiet")
    heights = {"after": ABOVE, "expected": height / 2, "came": height + BELOW}
    titles = _chart([{"title": title, "y": y} for title, y in heights.items()])
    titles = titles.mark_text(align="right", fontSize=13, style="quiet")
    return [
        read.encode(text="read:N", y=alt.value(ABOVE)),
        came.encode(text="text:N", y=alt.value(height + BELOW - 6)),
        share.encode(text="share:N", y=alt.value(height + BELOW + 12)),
        titles.encode(text="title:N", x=alt.value(-10), y=alt.Y("y:Q", scale=None)),
    ]


def _chart(rows: list[Row]) -> alt.Chart:
    return alt.Chart(alt.InlineData(values=rows))


def _token(text: str, probability: float) -> Row:
    share = f"{probability:.0%}" if probability >= 0.095 else f"{probability:.1%}"
    return {"text": _shown(text, "end"), "share": share, "probability": probability}


def _shown(text: str, bos: str) -> str:
    """Return a token, escaped; special tokens without brackets."""
    if text.startswith("<|") and text.endswith("|>"):
        return {"bos": bos, "end_turn": "end"}.get(text[2:-2], text[2:-2])
    return printable(text, 8).replace(" ", "␣")
