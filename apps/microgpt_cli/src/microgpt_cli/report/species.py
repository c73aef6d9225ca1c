"""Which species there were, and how many of each."""

import altair as alt

from microgpt_cli.report import look
from microgpt_cli.report.story import Story

N_NAMED = 6  # as many as there are colors


def draw(story: Story, names: list[str]) -> look.Chart:
    """Return a column for each generation, cut into its species.

    Args:
        story: the run.
        names: of the species that have one.
    """
    shown = [*names, "other"]
    picture: alt.Chart = (
        look.of("species")
        .transform_calculate(x="datum.generation - 0.42", x2="datum.generation + 0.42")
        .mark_rect(stroke=look.GREY, strokeWidth=0.6)
        .encode(
            x=look.generations_axis(1, story.last_generation),
            x2="x2:Q",
            y=alt.Y("low:Q", title="share of the organisms", axis=alt.Axis(format="%")),
            y2="high:Q",
            color=alt.Color(
                "name:N",
                title="width-heads-layers-context-MLP",
                scale=alt.Scale(domain=shown, range=[*look.COLORS[: len(names)], "#8a8a8a40"]),
                legend=alt.Legend(orient="right", labelLimit=150, titleLimit=200),
            ),
            tooltip=[
                alt.Tooltip("species:N"),
                alt.Tooltip("generation:Q"),
                alt.Tooltip("n:Q", title="organisms"),
            ],
        )
        .properties(width=look.WIDTH - 170, height=220)
    )
    return picture
