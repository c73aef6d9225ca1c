"""The picture of a ladder: a bar per model, and what each predicts."""

from typing import TYPE_CHECKING

from microgpt_cli.charts import BLUE, GREY, ORANGE
from microgpt_cli.ladder import Ladder, Likely

if TYPE_CHECKING:
    from altair.typing import ChartType

BAR_WIDTH, TEXT_WIDTH, STEP = 300, 96, 30  # pixels
MAX_BEGINNING = 10  # characters of a beginning that are shown


def shown(text: str) -> str:
    """Return the end of a text without white space; a special token ends a text or a turn."""
    if text.startswith("<|"):
        return "end"
    return text[-MAX_BEGINNING:].replace("\n", "⏎").replace(" ", "␣")


def draw_ladder(ladder: Ladder) -> "ChartType":
    """Return the chart of a ladder; the bars of models that are trained have colors."""
    import altair as alt

    rows = [
        {
            "model": rung.name,
            "loss": rung.loss,
            "label": f"{rung.loss:.3f} ({rung.bits:.2f} bits)",
            "kind": "GPT" if "GPT" in rung.name else "network" if rung.operations else "counts",
            **{f"after{i}": _text(likely[0]) for i, likely in enumerate(rung.predictions)},
        }
        for rung in ladder.rungs
    ]
    names = [rung.name for rung in ladder.rungs]
    scale = alt.Scale(domain=["counts", "network", "GPT"], range=[GREY, ORANGE, BLUE])
    most = max(rung.loss for rung in ladder.rungs)
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        alt.Y("model:N", sort=names, title=None, axis=alt.Axis(labelLimit=240))
    )
    loss = alt.X(
        "loss:Q", title="held-out loss, nats per character", scale=alt.Scale(domain=[0, 1.4 * most])
    )
    bars = base.mark_bar(height=STEP / 2).encode(
        loss, alt.Color("kind:N", scale=scale, legend=None)
    )
    labels = base.mark_text(align="left", dx=5).encode(loss, alt.Text("label:N"))
    columns = [alt.layer(bars, labels).properties(width=BAR_WIDTH, height=alt.Step(STEP))]
    for i, beginning in enumerate(ladder.beginnings):
        above = alt.TitleParams(f"after {shown(beginning)}", fontSize=12, anchor="middle")
        text = base.mark_text().encode(
            alt.Y("model:N", sort=names, axis=None), alt.Text(f"after{i}:N")
        )
        columns.append(text.properties(width=TEXT_WIDTH, height=alt.Step(STEP), title=above))
    return alt.hconcat(*columns, spacing=4)


def _text(likely: Likely) -> str:
    return f"{shown(likely.text)} {likely.probability:.0%}"
