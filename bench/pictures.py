"""Charts of the results of train_speed.py and decode_speed.py."""

from statistics import median

import altair as alt
from tables import processor

from microgpt_report.look import BLUE, GREEN, GREY, ORANGE
from microgpt_report.theme import LOG

NAMES = {"microgpt": "microgpt", "jax": "JAX", "torch": "PyTorch", "numpy": "NumPy"}
COLORS = alt.Scale(domain=list(NAMES.values()), range=[ORANGE, GREEN, BLUE, GREY])
CURVE_OF = "d64, batch 16"  # setting for which the loss curves are drawn
SMOOTHED = 20  # number of steps in the moving average


def speeds(decoding: dict, *_: dict) -> alt.Chart:
    """Return the chart of the decoding speed of each contender, in tokens per second."""
    values = [
        {"what": row["name"], "contender": NAMES[name], "speed": speed}
        for row in decoding["decoding"]
        for name, speed in row["tokens_per_s"].items()
    ]
    x = alt.X(
        "speed:Q",
        scale=alt.Scale(type="log", domain=[1e3, 1e7]),
        axis=alt.Axis(format="~s", values=[1e3, 1e4, 1e5, 1e6, 1e7]),
        title=f"tokens per second{LOG}",
    )
    places = {"microgpt": (0, -11), "JAX": (0, -11), "PyTorch": (0, 12), "NumPy": (9, -11)}
    title = f"Generating text on one core of an {processor(decoding)}"
    text = alt.Text("speed:Q", format=".2~s")
    return labelled_points(values, "what", x, text, places).properties(
        width=520, height=180, title=title
    )


def ratios(speed: dict, *_: dict) -> alt.Chart:
    """Return the chart of each rival's training time relative to microgpt."""
    values = [
        {
            "setting": setting["name"],
            "contender": NAMES[name],
            "times": middle(c) / middle(setting["contenders"]["microgpt"]),
        }
        for setting in speed["settings"]
        for name, c in setting["contenders"].items()
        if name in NAMES
    ]
    x = alt.X(
        "times:Q",
        scale=alt.Scale(type="log", domain=[0.9, 150]),
        axis=alt.Axis(values=[1, 2, 5, 10, 20, 50, 100]),
        title=f"training time relative to microgpt{LOG}",
    )
    places = {"JAX": (0, -10), "PyTorch": (0, 12), "NumPy": (0, 12)}
    title = f"Training on one core of an {processor(speed)}: time relative to microgpt"
    text = alt.Text("times:Q", format=".1f")
    return labelled_points(values, "setting", x, text, places).properties(
        width=520, height=320, title=title
    )


def labelled_points(
    values: list[dict], what: str, x: alt.X, text: alt.Text, places: dict[str, tuple[int, int]]
) -> alt.LayerChart:
    """Return a chart of points, with numbers next to the points of the contenders in `places`."""
    base = alt.Chart(alt.Data(values=values)).encode(
        x=x,
        y=alt.Y(f"{what}:N", sort=list(dict.fromkeys(each[what] for each in values)), title=None,
                axis=alt.Axis(grid=True)),
        color=alt.Color("contender:N", scale=COLORS, title=None),
    )  # fmt: skip
    labels = [
        base.transform_filter(f"datum.contender == '{name}'")
        .mark_text(dx=dx, dy=dy, fontSize=10)
        .encode(text=text)
        for name, (dx, dy) in places.items()
    ]
    return alt.layer(base.mark_point(filled=True, size=90, opacity=1), *labels)


def curves(speed: dict, *_: dict) -> alt.Chart:
    """Return the chart of the training loss against the training time."""
    setting = next(s for s in speed["settings"] if s["name"] == CURVE_OF)
    values = []
    for name, c in setting["contenders"].items():
        losses, seconds = c["losses"], middle(c)  # a program in C has no losses
        for i in range(SMOOTHED, len(losses) + 1):
            mean = sum(losses[i - SMOOTHED : i]) / SMOOTHED
            at = seconds * i / len(losses)
            values.append({"contender": NAMES[name], "seconds": at, "loss": mean})
    title = "training time in seconds (without compilation and loading)"
    x = alt.X("seconds:Q", axis=alt.Axis(tickCount=8), title=title)
    title = f"loss, nats per token (mean of {SMOOTHED} steps)"
    y = alt.Y("loss:Q", scale=alt.Scale(zero=False), title=title)
    color = alt.Color("contender:N", scale=COLORS, title=None)
    title = f"Training loss over time ({CURVE_OF}) on one core of an {processor(speed)}"
    lines = alt.Chart(alt.Data(values=values)).mark_line().encode(x=x, y=y, color=color)
    return lines.properties(width=520, height=300, title=title)


def middle(contender: dict) -> float:
    """Return the median seconds over a contender's rounds."""
    return median(contender["seconds"])
