"""The report of a research: the staircase of its champions, with the tries that were only luck."""

from typing import TYPE_CHECKING

from microgpt_cli.charts import GREEN, GREY, ORANGE, Row
from microgpt_evolution.confidence_intervals import Mean
from microgpt_evolution.research import sequential_test as test
from microgpt_evolution.research.research import START, Research, Try

if TYPE_CHECKING:
    from altair.typing import ChartType

WIDTH, HEIGHT = 760, 300
LUCKY = "looked better, was not"  # after one pair, or with the seeds of the search
OTHERS, AXIS = "no better", "loss, nats per character"
CAPTION = (
    "One mark per try: the champion's loss less its gain, with a 95 % interval over its pairs of "
    "seeds. Line: the champion, which is lowered by gains with seeds that no decision has seen. "
    "The first pair alone would have kept the orange tries too."
)


def kind_of(each: Try) -> str:
    """Return whether a try was kept, or looked better, or did not."""
    if each.verdict == test.KEPT:
        return test.KEPT
    lucky = each.verdict == test.UNCONFIRMED or each.gains(test.SEARCH)[0] > 0
    return LUCKY if lucky else OTHERS


def draw_tries(research: Research) -> "ChartType":
    """Return the chart of the tries, and of the champion's loss."""
    import altair as alt

    first, *tries = research.tries
    level = Mean.over([*first.losses(START, first.code).values()]).value
    rows: list[Row] = [{"try": 0, "level": level}]
    for each in tries:
        row: Row = {"try": each.number}
        if gain := each.gain:
            half, loss = gain.half_width or 0.0, level - gain.value
            about = f"try {each.number}, {each.verdict}: gain {gain}"
            row |= {"loss": loss, "low": loss - half, "high": loss + half}
            row |= {"kind": kind_of(each), "about": about}
            level = loss if each.verdict == test.KEPT else level
        rows.append({**row, "level": level})
    base = alt.Chart(alt.InlineData(values=rows), width=WIDTH, height=HEIGHT).encode(
        x=alt.X("try:Q", axis=alt.Axis(format="d", tickMinStep=1, grid=False), title="try")
    )
    level_y, loss_y, low_y = (
        alt.Y(f"{name}:Q", title=AXIS, scale=alt.Scale(zero=False))
        for name in ("level", "loss", "low")
    )
    kinds = alt.Scale(domain=[test.KEPT, LUCKY, OTHERS], range=[GREEN, ORANGE, GREY])
    marks = base.transform_filter("isValid(datum.loss)").encode(
        color=alt.Color("kind:N", title=None, scale=kinds)
    )
    return alt.layer(
        base.mark_line(interpolate="step-after", strokeWidth=1.5, style="ink").encode(y=level_y),
        marks.mark_rule(strokeWidth=2, opacity=0.6).encode(y=low_y, y2="high:Q"),
        marks.mark_point(filled=True, size=56, opacity=1).encode(
            y=loss_y, tooltip="about:N", description="about:N"
        ),
    )
