"""What was found, and what came of it when it was measured again."""

from statistics import fmean

import altair as alt

from microgpt_report import theme
from microgpt_report.rows import Row, title_of
from microgpt_report.run_summary import RunSummary

FOUND, AGAIN, MEAN = "found", "measured again", "mean of all"


def rows(story: RunSummary) -> list[Row]:
    """Return a row for each measurement of those that were measured again."""
    again: dict[str, list[float]] = {}
    for entry in story.run.entries:
        worth = story.worth(entry)
        if entry.origin == "confirm" and entry.parents and worth is not None:  # no log names them
            again.setdefault(entry.parents[0], []).append(worth)
    found: list[Row] = []
    for id_, worths in again.items():
        population, organism = story.organisms[id_]
        everything = [organism.worth, *worths]
        for what, values in (
            (FOUND, [organism.worth]),
            (AGAIN, worths),
            (MEAN, [fmean(everything)]),
        ):
            found += [
                {
                    "population": title_of(population),
                    "id": id_,
                    "what": what,
                    "worth": value,
                    "genes": organism.genome.describe(),
                }
                for value in values
            ]
    return found


def draw(story: RunSummary, measured: list[Row]) -> theme.Chart:
    """Return for each of the best a ring where it was found, and points where it was again."""
    charts = []
    for name, measure in story.measures.items():
        title = title_of(name)
        ids = list(dict.fromkeys(row["id"] for row in measured if row["population"] == title))
        if not ids:
            continue
        means = {r["id"]: r["worth"] for r in measured if r["what"] == MEAN}
        ids.sort(key=means.__getitem__, reverse=not measure.is_loss)
        base = theme.of("again").transform_filter(alt.datum.population == title)
        y = alt.Y("id:N", sort=ids, title=title or None, axis=alt.Axis(grid=True))
        x = alt.X("worth:Q", title=measure.title, scale=alt.Scale(zero=False, padding=12))
        kinds = [FOUND, AGAIN, MEAN]
        points = base.mark_point(size=90, filled=False, strokeWidth=2.2, opacity=1).encode(
            x=x,
            y=y,
            shape=alt.Shape(
                "what:N",
                title=None,
                scale=alt.Scale(domain=kinds, range=["circle", "triangle-up", "stroke"]),
                legend=alt.Legend(orient="top"),
            ),
            color=alt.Color(
                "what:N",
                title=None,
                scale=alt.Scale(domain=kinds, range=[theme.RED, theme.BLUE, theme.GREY]),
            ),
            tooltip=[
                alt.Tooltip("id:N"),
                alt.Tooltip("what:N"),
                alt.Tooltip("worth:Q", format=".4f"),
                alt.Tooltip("genes:N"),
            ],
        )
        charts.append(points.properties(width=theme.WIDTH - 80, height=34 * len(ids)))
    return alt.vconcat(*charts)


def has_both_losses(rows: list[Row]) -> bool:
    """Return whether enough organisms have both losses for a picture of them."""
    return sum(_has_both(row) for row in rows) > 2


def _has_both(row: Row) -> bool:
    return row["last_loss"] is not None and row["val_loss"] is not None


def draw_lottery(rows: list[Row]) -> theme.Chart:
    """Return a point for each organism: the loss of its last document, and that held out."""
    base = theme.of("evaluations").transform_filter(
        "datum.last_loss !== null && datum.val_loss !== null && datum.status == 'ok'"
    )
    x = alt.X(
        "last_loss:Q",
        title="loss of the last document, nats a token",
        scale=alt.Scale(zero=False, padding=8),
    )
    y = alt.Y(
        "val_loss:Q",
        title="held-out loss, nats a token",
        scale=alt.Scale(zero=False, padding=8),
    )
    tooltip = [
        alt.Tooltip("id:N"),
        alt.Tooltip("last_loss:Q", title="last document", format=".4f"),
        alt.Tooltip("val_loss:Q", title="held out", format=".4f"),
    ]
    points = base.mark_point(filled=True, size=38, opacity=0.6, color=theme.GREY).encode(
        x=x, y=y, tooltip=tooltip
    )
    both = [row for row in rows if _has_both(row)]
    luckiest = min(both, key=lambda row: float(row["last_loss"]))["id"]
    best = min(both, key=lambda row: float(row["val_loss"]))["id"]
    layers: list[alt.Chart] = [points]
    for id_, color, text in ((luckiest, theme.RED, "the luckiest"), (best, theme.BLUE, "the best")):
        one = base.transform_filter(alt.datum.id == id_)
        layers.append(one.mark_point(size=120, strokeWidth=2.2, color=color).encode(x=x, y=y))
        layers.append(
            one.mark_text(align="left", dx=12, dy=-8, color=color, fontWeight="bold").encode(
                x=x, y=y, text=alt.value(text)
            )
        )
    return alt.layer(*layers).properties(width=theme.WIDTH - 60, height=theme.HEIGHT)
