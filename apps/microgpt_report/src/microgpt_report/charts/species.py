"""Which species there were, and how many of each."""

import altair as alt

from microgpt_report import theme
from microgpt_report.run_summary import RunSummary

N_NAMED = 6  # as many as there are colors


def draw(story: RunSummary, names: list[str]) -> theme.Chart:
    """Return a column for each generation, cut into its species.

    Args:
        story: the run.
        names: of the species that have one.
    """
    shown = [*names, "other"]
    picture: alt.Chart = (
        theme.of("species")
        .transform_calculate(x="datum.generation - 0.42", x2="datum.generation + 0.42")
        .mark_rect(stroke=theme.GREY, strokeWidth=0.6)
        .encode(
            x=theme.generations_axis(1, story.last_generation),
            x2="x2:Q",
            y=alt.Y("low:Q", title="share of the organisms", axis=alt.Axis(format="%")),
            y2="high:Q",
            color=alt.Color(
                "name:N",
                title="width-heads-layers-context-MLP",
                scale=alt.Scale(domain=shown, range=[*theme.COLORS[: len(names)], "#8a8a8a40"]),
                legend=alt.Legend(orient="right", labelLimit=150, titleLimit=200),
            ),
            tooltip=[
                alt.Tooltip("species:N"),
                alt.Tooltip("generation:Q"),
                alt.Tooltip("n:Q", title="organisms"),
            ],
        )
        .properties(width=theme.WIDTH - 170, height=220)
    )
    return picture
