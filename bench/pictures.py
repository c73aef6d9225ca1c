"""Charts of the benchmark results for report.py."""

import altair as alt
from tables import CHAT_SETS, NAMES, middle, processor

from microgpt_report.look import BLUE, GREEN, GREY, ORANGE
from microgpt_report.setting_names import with_name
from microgpt_report.theme import LOG

COLORS = alt.Scale(domain=list(NAMES.values()), range=[ORANGE, GREEN, BLUE, GREY])
CURVE_OF = "d64, batch 16"  # setting for which the loss curves are drawn
QUANTILES = {"low": 1, "lower": 25, "median": 50, "upper": 75, "high": 99}  # in percent
BASE = "the others: width 64, heads 4, layers 2, context 64, batch size 16"
SMOOTHED = 20  # number of steps in the moving average


def speeds(decoding: dict) -> alt.Chart:
    """Return the chart of the decoding speed of each contender, in tokens per second."""
    values = [
        {"what": row["name"], "contender": NAMES[name], "speed": speed}
        for row in decoding["decoding"]
        for name, speed in row["tokens_per_s"].items()
    ]
    base = alt.Chart(alt.Data(values=values)).encode(
        x=alt.X(
            "speed:Q",
            scale=alt.Scale(type="log", domain=[1e3, 1e7]),
            axis=alt.Axis(format="~s", values=[1e3, 1e4, 1e5, 1e6, 1e7]),
            title=f"tokens per second{LOG}",
        ),
        y=alt.Y("what:N", sort=None, title=None, axis=alt.Axis(grid=True)),
        color=alt.Color("contender:N", scale=COLORS, title=None),
    )
    text = alt.Text("speed:Q", format=".2~s")
    places = {"microgpt": (0, -11), "JAX": (0, -11), "PyTorch": (0, 12), "NumPy": (9, -11)}
    return labelled_points(base, text, places).properties(
        width=520,
        height=180,
        title=f"Generating text on one core of an {processor(decoding)}",
    )


def ratios(speed: dict) -> alt.Chart:
    """Return the chart of each rival's training time relative to microgpt."""
    values = [
        {
            "setting": setting["name"],
            "contender": NAMES[name],
            "times": middle(c) / middle(setting["contenders"]["microgpt"]),
        }
        for setting in speed["settings"]
        for name, c in setting["contenders"].items()
    ]
    order = [setting["name"] for setting in speed["settings"]]
    base = alt.Chart(alt.Data(values=values)).encode(
        x=alt.X(
            "times:Q",
            scale=alt.Scale(type="log", domain=[0.9, 150]),
            axis=alt.Axis(values=[1, 2, 5, 10, 20, 50, 100]),
            title=f"training time relative to microgpt{LOG}",
        ),
        y=alt.Y("setting:N", sort=order, title=None, axis=alt.Axis(grid=True)),
        color=alt.Color("contender:N", scale=COLORS, title=None),
    )
    text = alt.Text("times:Q", format=".1f")
    places = {"JAX": (0, -10), "PyTorch": (0, 12), "NumPy": (0, 12)}
    return labelled_points(base, text, places).properties(
        width=520,
        height=320,
        title=f"Training on one core of an {processor(speed)}: time relative to microgpt",
    )


def labelled_points(
    base: alt.Chart, text: alt.Text, places: dict[str, tuple[int, int]]
) -> alt.LayerChart:
    """Return a chart of points, with numbers next to the points of the contenders in `places`."""
    labels = [
        base.transform_filter(f"datum.contender == '{name}'")
        .mark_text(dx=dx, dy=dy, fontSize=10)
        .encode(text=text)
        for name, (dx, dy) in places.items()
    ]
    return alt.layer(base.mark_point(filled=True, size=90, opacity=1), *labels)


def curves(speed: dict) -> alt.Chart:
    """Return the chart of the training loss against the training time."""
    setting = next(s for s in speed["settings"] if s["name"] == CURVE_OF)
    values = []
    for name, c in setting["contenders"].items():
        losses, seconds = c["losses"], middle(c)
        for i in range(SMOOTHED, len(losses) + 1):
            mean = sum(losses[i - SMOOTHED : i]) / SMOOTHED
            at = seconds * i / len(losses)
            values.append({"contender": NAMES[name], "seconds": at, "loss": mean})
    return (
        alt.Chart(alt.Data(values=values))
        .mark_line()
        .encode(
            x=alt.X(
                "seconds:Q",
                axis=alt.Axis(tickCount=8),
                title="training time in seconds (without compilation and loading)",
            ),
            y=alt.Y(
                "loss:Q",
                scale=alt.Scale(zero=False),
                title=f"loss, nats per token (mean of {SMOOTHED} steps)",
            ),
            color=alt.Color("contender:N", scale=COLORS, title=None),
        )
        .properties(
            width=520,
            height=300,
            title=f"Training loss over time ({CURVE_OF}) on one core of an {processor(speed)}",
        )
    )


def costs(machines: list[dict]) -> alt.Chart:
    """Return the chart of the cost per token against each size, for each machine."""
    values = [
        {
            "machine": processor(machine),
            "what": with_name(name),
            "size": row["size"],
            "cost": row["ns_per_token"] / 1e3,
        }
        for machine in machines
        for name, rows in machine["sizes"].items()
        for row in rows
    ]
    order = [with_name(name) for name in machines[0]["sizes"]]
    return (
        alt.Chart(alt.Data(values=values))
        .mark_line(point=True)
        .encode(
            x=alt.X(
                "size:Q",
                scale=alt.Scale(type="log", base=2),
                axis=alt.Axis(values=[2**i for i in range(10)], labelOverlap="greedy"),
                title=f"size{LOG}",
            ),
            y=alt.Y(
                "cost:Q",
                scale=alt.Scale(type="log", domain=[0.5, 200]),
                axis=alt.Axis(values=[1, 10, 100]),
                title=f"µs per token{LOG}",
            ),
            color=alt.Color("machine:N", scale=alt.Scale(range=[ORANGE, BLUE]), title=None),
        )
        .properties(width=240, height=150)
        .facet(alt.Facet("what:N", title=None, sort=order), columns=2)
        .resolve_scale(x="independent")
        .properties(title=alt.Title("Cost per token when one size varies", subtitle=BASE))
    )


def last_document(fitness: dict) -> alt.LayerChart:
    """Return the chart of held-out loss against last-document loss of organisms and champions."""
    everyone = "organisms of the search"
    kinds = [everyone, *fitness["champions"]]
    champions = [
        {"kind": kind, "last": champion.get("found", champion["last"]), "val": champion["val"]}
        for kind, each in fitness["champions"].items()
        for champion in each
    ]
    organisms = [{"kind": everyone, "last": x, "val": y} for x, y in fitness["organisms"]]
    color = alt.Color(
        "kind:N",
        title=None,
        scale=alt.Scale(domain=kinds, range=[GREY, GREEN, ORANGE, BLUE]),
        legend=alt.Legend(columns=2),
    )
    layers = [
        alt.Chart(alt.Data(values=values))
        .mark_point(filled=True, size=size, opacity=opacity, clip=True, aria=False)
        .encode(
            x=alt.X(
                "last:Q",
                scale=alt.Scale(domain=[1, 4]),
                title="loss of the last training document, nats per token",
            ),
            y=alt.Y(
                "val:Q",
                scale=alt.Scale(domain=[2.25, 3]),
                title="held-out loss, nats per token",
            ),
            color=color,
        )
        for values, size, opacity in ((organisms, 20, 0.4), (champions, 90, 1))
    ]
    return alt.layer(*layers).properties(
        width=520,
        height=300,
        title="Loss of the last document against held-out loss",
    )


def exchanges(found: dict) -> alt.HConcatChart:
    """Return the charts of distinct genomes by exchange and of the champions' score differences."""
    names = {"migrate": "migrate (microgpt)", "source": "source (evolve-rust)"}
    values = [
        {"exchange": names[exchange], "seed": run["seed"], "cycle": i + 1, "genomes": n}
        for exchange, runs in found["runs"].items()
        for run in runs
        for i, n in enumerate(run["genomes"])
    ]
    alive = alt.Chart(alt.Data(values=values)).encode(
        x=alt.X("cycle:O", title="after cycle", axis=alt.Axis(labelAngle=0)),
        color=alt.Color(
            "exchange:N",
            title=None,
            scale=alt.Scale(domain=list(names.values()), range=[ORANGE, BLUE]),
            legend=alt.Legend(symbolType="stroke"),
        ),
    )
    what = f"distinct genomes of {found['organisms']} organisms"
    count = alt.Y(
        "genomes:Q",
        scale=alt.Scale(domain=[0, found["organisms"]]),
        title=what,
    )
    mean = alt.Y("mean(genomes):Q", title=what)
    left = alt.layer(
        alive.mark_line(opacity=0.25, strokeWidth=1, aria=False).encode(y=count, detail="seed:N"),
        alive.mark_line(point=True, strokeWidth=3).encode(y=mean),
    ).properties(width=260, height=220, title="Genomes after each cycle")
    rows = [
        {"head": head.title(), "mean": each["difference"], "low": low, "high": high}
        for head, each in found["champions"].items()
        for low, high in [each["interval"]]
    ]
    compared = alt.Chart(alt.Data(values=rows)).encode(y=alt.Y("head:N", sort=None, title=None))
    right = alt.layer(
        alt.Chart(alt.Data(values=[{"zero": 0}])).mark_rule(color=GREY).encode(x="zero:Q"),
        compared.mark_rule(strokeWidth=2, color=ORANGE).encode(
            x=alt.X(
                "low:Q",
                title="score of microgpt − that of evolve-rust",
                axis=alt.Axis(tickCount=4),
            ),
            x2="high:Q",
        ),
        compared.mark_point(filled=True, size=90, opacity=1, color=ORANGE).encode(x="mean:Q"),
    ).properties(width=260, height=220, title="Scores of the champions")
    return alt.hconcat(left, right)


def answers(quality: dict) -> alt.LayerChart:
    """Return the chart of exact answers per task and set of questions: one point per training."""
    values = [
        {"task": task, "set": title, "share": n_exact / n, "seed": training["seed"]}
        for training in quality["trainings"]
        for split, title in CHAT_SETS.items()
        for task, (n_exact, n) in training[split]["tasks"].items()
    ]
    base = alt.Chart(alt.Data(values=values)).encode(
        y=alt.Y("task:N", title=None, sort=list(dict.fromkeys(value["task"] for value in values))),
        yOffset=alt.YOffset("set:N", sort=list(CHAT_SETS.values())),
        color=alt.Color(
            "set:N",
            title=None,
            sort=list(CHAT_SETS.values()),
            scale=alt.Scale(range=[BLUE, GREY, GREEN]),
        ),
    )
    return alt.layer(
        base.mark_bar(opacity=0.35, aria=False).encode(x=alt.X("mean(share):Q")),
        base.mark_point(filled=True, size=28, opacity=1).encode(
            x=alt.X(
                "share:Q",
                axis=alt.Axis(format="%"),
                scale=alt.Scale(domain=[0, 1]),
                title="exact answers, three training runs",
            )
        ),
    ).properties(width=520, height=alt.Step(11), title="Accuracy of the demo chat model")


def secrets(detection: dict) -> alt.LayerChart:
    """Return the chart of the bits per character of identifiers and of each class of secrets."""
    values = [
        {
            "kind": kind,
            "secret": kind != "identifiers",
            **{name: quantiles[at] for name, at in QUANTILES.items()},
        }
        for kind, quantiles in detection["quantiles"].items()
    ]
    order = sorted(values, key=lambda row: row["median"])
    base = alt.Chart(alt.Data(values=values)).encode(
        y=alt.Y("kind:N", title=None, sort=[row["kind"] for row in order]),
        color=alt.Color(
            "secret:N",
            scale=alt.Scale(domain=[False, True], range=[BLUE, ORANGE]),
            legend=None,
        ),
    )
    title = "bits per character: 1 % to 99 %, the middle half, the median"
    x = alt.X("low:Q", title=title, scale=alt.Scale(zero=True))
    whole = base.mark_bar(height=3).encode(x=x, x2="high:Q")
    middle = base.mark_bar(height=14, opacity=0.7).encode(x="lower:Q", x2="upper:Q")
    median = base.mark_tick(thickness=2.5, height=20).encode(x="median:Q")
    chart: alt.LayerChart = alt.layer(whole, middle, median).properties(
        width=520, height=170, title="Bits per character of secrets and of identifiers"
    )
    return chart
