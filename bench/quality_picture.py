"""Chart of the results of quality.py for report.py: loss against seconds, with baselines."""

from statistics import fmean

import altair as alt
from quality_tables import trainings

from microgpt_report.look import BLUE, GREY, ORANGE
from microgpt_report.theme import LOG

OURS, RIVAL = "microgpt", "PyTorch"
TITLE = "Presets for names on one core of an AMD EPYC"
# quality.json does not tell the two processors apart.
PROCESSORS = "names-10s, names-60s: processor with AVX-512; the others: an older one with AVX2"
N_GRAM = 6  # order of the best n-gram model
# Label at the end of each curve, and its offset in pixels.
BESIDE = {
    "names-10s": ("names-10s", 0, 16),
    "names-60s": ("names-60s", 0, 16),
    "names-600s": ("names-600s", 0, 16),
    "names-60s with AdamW": ("with AdamW", 42, -8),
    "torch": ("the same in PyTorch", 62, -10),
}
COLOR = alt.Color(
    "contender:N", title=None, scale=alt.Scale(domain=[OURS, RIVAL], range=[ORANGE, BLUE])
)
X = alt.X(
    "seconds:Q",
    scale=alt.Scale(type="log", domain=[1, 1000]),
    axis=alt.Axis(values=[1, 2, 5, 10, 30, 60, 120, 300, 600]),
    title=f"training time in seconds, without compilation and evaluation{LOG}",
)
Y = alt.Y("loss:Q", scale=alt.Scale(domain=[1.9, 2.2]), title="held-out loss, nats per character")


def quality(found: dict, kneser_ney: dict) -> alt.LayerChart:
    """Return the chart of held-out loss against training time, with the end of each preset."""
    points = [point for name in BESIDE for point in curve(found, name)]
    curves = alt.Chart(alt.Data(values=points)).encode(x=X, y=Y, color=COLOR, detail="name:N")
    last = [end(found, name) for name in BESIDE if trainings(found, name)]
    ends = alt.Chart(alt.Data(values=last)).encode(x=X, y=Y)
    names = [
        ends.transform_filter(f"datum.name == '{name}'").mark_text(
            text=text, dx=dx, dy=dy, fontSize=11
        )
        for name, (text, dx, dy) in BESIDE.items()
    ]
    (counted,) = (each["val_loss"] for each in kneser_ney["orders"] if each["n"] == N_GRAM)
    counting = [{"loss": counted, "what": f"Kneser-Ney, {N_GRAM}-gram"}]
    line = alt.Chart(alt.Data(values=counting)).encode(y=Y)
    return alt.layer(
        line.mark_rule(color=GREY, strokeDash=[6, 4]),
        line.mark_text(dy=-8, align="left", color=GREY).encode(x=alt.datum(30), text="what:N"),
        curves.mark_line(strokeWidth=2.5, clip=True),
        ends.mark_point(filled=True, size=90, opacity=1).encode(color=COLOR),
        *names,
    ).properties(width=520, height=300, title=alt.Title(TITLE, subtitle=PROCESSORS))


def curve(found: dict, name: str) -> list[dict]:
    """Return the points of a loss curve. Each point is a mean over the seeds."""
    runs = [each["curve"] for each in trainings(found, name)]
    return [
        {
            **contender(name),
            "seconds": fmean(seconds for seconds, _ in same),
            "loss": fmean(loss for _, loss in same),
        }
        for same in zip(*runs, strict=True)
    ]


def end(found: dict, name: str) -> dict:
    """Return the end point of a preset: mean time and loss over the seeds."""
    runs = trainings(found, name)
    return {
        **contender(name),
        "seconds": fmean(each["steps_s"] for each in runs),
        "loss": fmean(each["val_loss"] for each in runs),
    }


def contender(name: str) -> dict:
    """Return the chart fields that identify a preset and its contender."""
    return {"name": name, "contender": RIVAL if name == "torch" else OURS}
