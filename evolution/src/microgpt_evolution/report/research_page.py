"""The report of a research: the staircase of its champions, with the tries that were only luck."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from microgpt import in_short
from microgpt_cli.charts import GREEN, GREY, ORANGE, Row
from microgpt_evolution.confidence_intervals import Mean
from microgpt_evolution.report.ranking import Rows
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


def rows_of(tries: Sequence[Try]) -> Rows:
    """Return the table of all tries, with its headings."""
    table = [["Try", "Verdict", "Gain", "Pairs", "Lines", "Seconds", "Operations", "Reason"]]
    for each in tries[1:]:
        n, m = len(each.gains(test.SEARCH)), len(each.gains(test.CONFIRM))
        seconds, flops = (each.cost(name, each.code) for name in ("seconds", "flops"))
        cells = [each.verdict, each.gain or "", f"{n} + {m}", each.changed_lines]
        cells += [f"{seconds:.2f}", in_short(flops) if flops else "", each.reason]
        table.append([str(each.number), *map(str, cells)])
    return table


def draw_tries(research: Research) -> "ChartType":
    """Return the chart of the tries, and of the champion's loss."""
    import altair as alt

    level = Mean.over([*research.tries[0].losses(START, research.tries[0].code).values()]).value
    rows, steps = list[Row](), [{"try": 0, "loss": level}]
    for each in research.tries[1:]:
        if gain := each.gain:
            half, loss = gain.half_width or 0.0, level - gain.value
            about = f"try {each.number}, {each.verdict}: gain {gain}"
            row = {"try": each.number, "loss": loss, "low": loss - half, "high": loss + half}
            rows.append({**row, "kind": kind_of(each), "about": about})
            level = loss if each.verdict == test.KEPT else level
        steps.append({"try": each.number, "loss": level})
    x = alt.X("try:Q", axis=alt.Axis(format="d", tickMinStep=1, grid=False), title="try")
    y = alt.Y("loss:Q", title=AXIS, scale=alt.Scale(zero=False))
    kinds = alt.Scale(domain=[test.KEPT, LUCKY, OTHERS], range=[GREEN, ORANGE, GREY])
    tries = alt.Chart(alt.InlineData(values=rows), width=WIDTH, height=HEIGHT).encode(
        x=x, color=alt.Color("kind:N", title=None, scale=kinds)
    )
    champion = alt.Chart(alt.InlineData(values=steps), width=WIDTH, height=HEIGHT).encode(x=x, y=y)
    low = alt.Y("low:Q", title=AXIS)
    return alt.layer(
        champion.mark_line(interpolate="step-after", strokeWidth=1.5, style="ink"),
        tries.mark_rule(strokeWidth=2, opacity=0.6).encode(y=low, y2="high:Q"),
        tries.mark_point(filled=True, size=56, opacity=1).encode(
            y=y, tooltip="about:N", description="about:N"
        ),
    )
