# /// script
# requires-python = ">=3.11"
# dependencies = ["altair>=6,<7", "vl-convert-python>=1.8,<2"]
# ///
"""Turn bench/results into the tables of docs/performance.md and its pictures.

uv run --script bench/report.py
"""

import json
import re
import statistics
from pathlib import Path

import altair as alt

ROOT = Path(__file__).parents[1]
RESULTS, PICTURES = ROOT / "bench" / "results", ROOT / "docs" / "pictures"
PAGE = ROOT / "docs" / "performance.md"
NAMES = {"microgpt": "microgpt", "jax": "JAX", "torch": "PyTorch", "numpy": "NumPy"}
COLORS = alt.Scale(domain=list(NAMES.values()), range=["#d62728", "#1f77b4", "#ff7f0e", "#7f7f7f"])
CURVE_OF = "d64, batch 16"  # the setting whose losses are drawn
SMOOTHED = 20  # steps


def main() -> None:
    """Write the tables and the pictures."""
    speed = json.loads((RESULTS / "train_speed.json").read_text())
    scaling = json.loads((RESULTS / "train_scaling.json").read_text())
    decoding = json.loads((RESULTS / "decode_speed.json").read_text())
    tables = {
        "train_speed": speed_table(speed),
        "train_scaling": scaling_table(scaling),
        "decode_speed": decoding_table(decoding),
        "decode_names": names_table(decoding),
        "evaluating": evaluating_table(decoding),
        "threads": threads_table(json.loads((RESULTS / "threads.json").read_text())),
        "startup": startup_table(json.loads((RESULTS / "startup.json").read_text())),
    }
    page = PAGE.read_text(encoding="utf-8")
    for name, table in tables.items():
        page = put(page, name, table)
    PAGE.write_text(page, encoding="utf-8")
    speeds(decoding).save(PICTURES / "decode_speed.svg")
    ratios(speed).save(PICTURES / "train_speed.svg")
    curves(speed).save(PICTURES / "loss_against_seconds.svg")
    costs(scaling).save(PICTURES / "train_scaling.svg")


def put(page: str, name: str, table: str) -> str:
    """Replace what stands between the markers of a table."""
    pattern = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
    page, n = re.subn(pattern, lambda m: f"{m[1]}{table}\n{m[2]}", page, flags=re.DOTALL)
    assert n == 1, f"{PAGE} has no place for {name}"
    return page


def speed_table(speed: dict) -> str:
    """Return a row for each setting: the medians, and how many times ours each is."""
    rows = ["| | microgpt | JAX | PyTorch | NumPy |", "|---|---|---|---|---|"]
    for setting in speed["settings"]:
        seconds = {name: statistics.median(c["seconds"]) for name, c in contenders(setting)}
        cells = [f"**{amount(setting, seconds['microgpt'])}**"]
        cells += [
            f"{amount(setting, seconds[name])} ({seconds[name] / seconds['microgpt']:.1f} ×)"
            for name in ("jax", "torch", "numpy")
        ]
        rows.append(f"| {setting['name']} | " + " | ".join(cells) + " |")
    return "\n".join([*rows, "", f"{speed['machine']}; {speed['date']}."])


def amount(setting: dict, seconds: float) -> str:
    """Return a time in the unit of the setting."""
    if setting["name"].startswith("chat"):
        return f"{setting['tokens'] / seconds:,.0f} tokens/s"
    micros = seconds / setting["documents"] * 1e6
    return f"{micros:.1f} µs" if micros < 100 else f"{micros:.0f} µs"


def contenders(setting: dict) -> list[tuple[str, dict]]:
    """Return the contenders of a setting with their names."""
    return list(setting["contenders"].items())


def scaling_table(scaling: dict) -> str:
    """Return a table for each size."""
    tables = []
    for name, rows in scaling["sizes"].items():
        lines = [
            f"| {name} | " + " | ".join(str(row["size"]) for row in rows) + " |",
            "|---|" + "---|" * len(rows),
            "| µs a token | "
            + " | ".join(f"{row['ns_per_token'] / 1e3:.2f}" for row in rows)
            + " |",
            "| GFLOP/s | " + " | ".join(f"{row['gflops']:.0f}" for row in rows) + " |",
        ]
        tables.append("\n".join(lines))
    return "\n\n".join([*tables, f"{scaling['machine']}; {scaling['date']}."])


def table(head: list[str], rows: list[list[str]], facts: dict) -> str:
    """Return a table with what it was measured on."""
    lines = [head, ["---"] * len(head), *rows]
    text = "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
    return f"{text}\n\n{facts['machine']}; {facts['date']}."


def decoding_table(decoding: dict) -> str:
    """Return a row for each model and number of sequences."""
    rows = []
    for row in decoding["decoding"]:
        speeds = row["tokens_per_s"]
        cells = [
            f"{speeds[name]:,.0f} ({speeds['microgpt'] / speeds[name]:.1f} ×)"
            for name in ("jax", "torch", "numpy")
        ]
        rows.append([row["name"], f"**{speeds['microgpt']:,.0f}**", *cells])
    return table(["tokens/s", "microgpt", "JAX", "PyTorch", "NumPy"], rows, decoding)


def names_table(decoding: dict) -> str:
    """Return what surrounds the kernel: the random numbers, and the command."""
    seeding, names = decoding["seeding"], decoding["names"]
    one, many = seeding["random.Random"], seeding["in bulk"]
    rows = [
        ["random numbers of a name, a `random.Random` each", f"{one:.2f} µs"],
        ["the same numbers in bulk", f"**{many:.2f} µs** ({one / many:.1f} ×)"],
        [
            f"`microgpt generate --num-samples {names['n']}`, start-up subtracted",
            f"**{names['names_per_s']:,.0f} names/s**",
        ],
    ]
    return table(["", ""], rows, decoding)


def evaluating_table(decoding: dict) -> str:
    """Return a row for each model."""
    rows = []
    for row in decoding["evaluating"]:
        cells = [
            f"{row[what] * 1e3:.1f} ms ({row[what] / row['train']:.2f} ×)"
            for what in ("kernels", "evaluate")
        ]
        rows.append(
            [f"d{row['n_embd']}, {row['n_docs']:,} names", f"{row['train'] * 1e3:.1f} ms", *cells]
        )
    head = ["", "training", "losses of tokens", "`InferenceGpt.evaluate` of texts"]
    return table(head, rows, decoding)


def threads_table(threads: dict) -> str:
    """Return a row for each thing that two threads do."""
    rows = []
    for row in threads["organisms"]:
        alone, both = row["one after another"], row["threads"]
        against = f"{alone / both:.2f} × (two processes: {alone / row['processes']:.2f} ×)"
        rows.append([row["name"], f"{alone:.3f} s", f"{both:.3f} s", against])
    for row in threads["training"]:
        one, two = row["threads 1"], row["threads 2"]
        name = f"a training step, {row['name']}"
        rows.append([name, f"{one * 1e3:.2f} ms", f"{two * 1e3:.2f} ms", f"{one / two:.2f} ×"])
    for row in threads["using"]:
        one, two = row["threads 1"], row["threads 2"]
        rows.append([row["name"], f"{one:.3f} s", f"{two:.3f} s", f"{one / two:.2f} ×"])
    return table(["", "one thread", "two", ""], rows, threads)


def startup_table(startup: dict) -> str:
    """Return a row for each command."""
    rows = [
        [f"`{row['name']}`", f"{row['seconds']:.2f} s", f"{row['first_s']:.1f} s"]
        for row in startup["commands"]
        if "first_s" in row
    ]
    return table(["", "", "the first time ever"], rows, startup)


def speeds(decoding: dict) -> alt.Chart:
    """Draw the tokens a second of each contender."""
    values = [
        {"what": row["name"], "contender": NAMES[name], "speed": speed}
        for row in decoding["decoding"]
        for name, speed in row["tokens_per_s"].items()
    ]
    base = alt.Chart(alt.Data(values=values)).encode(
        x=alt.X(
            "speed:Q",
            scale=alt.Scale(type="log", domain=[1e3, 1e7]),
            axis=alt.Axis(format="~s"),
            title="tokens a second",
        ),
        y=alt.Y("what:N", sort=None, title=None, axis=alt.Axis(labelLimit=250, grid=True)),
        color=alt.Color("contender:N", scale=COLORS, title=None),
    )
    points = base.mark_point(filled=True, size=90, opacity=1)
    labels = base.mark_text(dy=-11, fontSize=10).encode(text=alt.Text("speed:Q", format=".2~s"))
    return alt.layer(points, labels).properties(
        width=520,
        height=180,
        padding={"left": 40, "top": 10, "right": 20, "bottom": 10},
        title="Making up text on one core",
    )


def ratios(speed: dict) -> alt.Chart:
    """Draw how many times as long each rival takes."""
    values = [
        {
            "setting": setting["name"],
            "contender": NAMES[name],
            "times": middle(c) / middle(setting["contenders"]["microgpt"]),
        }
        for setting in speed["settings"]
        for name, c in contenders(setting)
    ]
    order = [setting["name"] for setting in speed["settings"]]
    base = alt.Chart(alt.Data(values=values)).encode(
        x=alt.X(
            "times:Q",
            scale=alt.Scale(type="log", domain=[0.9, 150]),
            axis=alt.Axis(values=[1, 2, 5, 10, 20, 50, 100]),
            title="time of the same training, that of microgpt being 1",
        ),
        y=alt.Y("setting:N", sort=order, title=None, axis=alt.Axis(labelLimit=250, grid=True)),
        color=alt.Color("contender:N", scale=COLORS, title=None),
    )
    points = base.mark_point(filled=True, size=90, opacity=1)
    labels = [
        base.transform_filter(f"datum.contender == '{name}'")
        .mark_text(dx=dx, dy=dy, fontSize=10)
        .encode(text=alt.Text("times:Q", format=".1f"))
        for name, dx, dy in (("JAX", 0, -10), ("PyTorch", 0, 12), ("NumPy", 13, -10))
    ]
    return alt.layer(points, *labels).properties(
        width=520,
        height=320,
        padding={"left": 40, "top": 10, "right": 20, "bottom": 10},
        title="Training on one core: how many times as long others take",
    )


def middle(contender: dict) -> float:
    """Return the median of a contender's rounds."""
    return statistics.median(contender["seconds"])


def curves(speed: dict) -> alt.Chart:
    """Draw the loss against the seconds of training."""
    setting = next(s for s in speed["settings"] if s["name"] == CURVE_OF)
    values = []
    for name, c in contenders(setting):
        losses, seconds = c["losses"], middle(c)
        for i in range(SMOOTHED, len(losses) + 1):
            mean = sum(losses[i - SMOOTHED : i]) / SMOOTHED
            at = seconds * i / len(losses)
            values.append({"contender": NAMES[name], "seconds": at, "loss": mean})
    return (
        alt.Chart(alt.Data(values=values))
        .mark_line()
        .encode(
            x=alt.X("seconds:Q", title="seconds of training (compilation and loading not counted)"),
            y=alt.Y(
                "loss:Q",
                scale=alt.Scale(zero=False),
                title=f"loss, nats a token (mean of {SMOOTHED} steps)",
            ),
            color=alt.Color("contender:N", scale=COLORS, title=None),
        )
        .properties(width=520, height=300, title=f"The same training ({CURVE_OF}), on one core")
    )


def costs(scaling: dict) -> alt.Chart:
    """Draw the cost of a token against each size."""
    values = [
        {"what": name, "size": row["size"], "cost": row["ns_per_token"] / 1e3}
        for name, rows in scaling["sizes"].items()
        for row in rows
    ]
    line = alt.Chart(alt.Data(values=values)).mark_line(point=True, color="#d62728")
    return (
        line.encode(
            x=alt.X("size:Q", scale=alt.Scale(type="log", base=2), title=None),
            y=alt.Y("cost:Q", scale=alt.Scale(type="log"), title="µs a token"),
        )
        .properties(width=170, height=150)
        .facet(column=alt.Column("what:N", title=None, sort=list(scaling["sizes"])))
        .resolve_scale(x="independent")
        .properties(title="What a token costs, from 64/4/2/64 at batch 16, one size changed")
    )


if __name__ == "__main__":
    main()
