"""The report of sweeps: all trainings, how the loss scales, and the tables of `analyze`."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import altair as alt

from microgpt_evolution.errors import RunError
from microgpt_evolution.sweep.config import SETTINGS
from microgpt_evolution.sweep.records import SweepSettings, read_sweep
from microgpt_evolution.sweep.result import SweepResult
from microgpt_evolution.sweep.scaling import Scaling
from microgpt_report import theme
from microgpt_report.facts import N_HEX
from microgpt_report.runs import labels
from microgpt_report.scaling import picture
from microgpt_report.scaling import tables as scaling_tables
from microgpt_report.section import Report, Section

TOOLTIP = [
    *(alt.Tooltip(f"{name}:N") for name in (*SETTINGS, "seed")),
    alt.Tooltip("params:Q", title="weights", format=",d"),
    alt.Tooltip("loss:Q", title="held-out loss", format=".4f"),
    alt.Tooltip("last_loss:Q", title="last document", format=".4f"),
    alt.Tooltip("reason:N"),
]


def report_of_sweeps(directories: Sequence[Path]) -> Report:
    """Return the report of one sweep, or of several that count as one.

    Raises:
        RunError: one is damaged or empty, or they are of different documents.
    """
    sweeps = [read_sweep(directory) for directory in directories]
    first, _ = sweeps[0]
    for directory, (sweep, _) in zip(directories, sweeps, strict=True):
        if sweep.documents != first.documents:
            raise RunError(
                f"{directories[0]} and {directory} are of different documents ({first.input}, "
                f"{sweep.input}), so their losses cannot stand in one table; report them one by one"
            )
    results = [result for _, found in sweeps for result in found]
    if not results:
        raise RunError(f"{directories[0]} has no training yet; try again in a while")
    scaling = Scaling.of(results)
    sections = [_trainings(results)]
    if scaling.cells:
        sections += [_scaling(scaling), _tables(scaling)]
    names = " and ".join(labels(directories))
    rows = [_row(result) for result in results]
    facts = _facts([sweep for sweep, _ in sweeps], results, scaling)
    return Report(f"sweep: {names}", facts, sections, {"evaluations": rows})


def _facts(
    sweeps: Sequence[SweepSettings], results: Sequence[SweepResult], scaling: Scaling
) -> dict[str, str]:
    n_asked = sum(len(sweep.tasks) for sweep in sweeps)
    n_ok = sum(result.is_ok for result in results)
    seeds = sorted({seed for sweep in sweeps for seed in sweep.seeds})
    found = {}
    if scaling.front:
        best = scaling.front[-1]
        found["result"] = f"held-out loss {scaling_tables.with_interval(best.val_loss)}"
        found["with"] = best.point.describe(["n_embd", "n_head", "n_layer", "steps", "lr"])
    return found | {
        "trainings": f"{n_ok:,} of {n_asked:,} have come to their end",
        "took": f"{sum(r.flops for r in results if r.is_ok):.2g} FLOPs, "
        f"{sum(r.seconds for r in results):,.1f} s",
        "swept": ", ".join(dict.fromkeys(sweep.sweep for sweep in sweeps)),
        "seeds": ", ".join(map(str, seeds)),
        "data": f"{sweeps[0].input}, sha256 {sweeps[0].data_sha256[:N_HEX]}…",
    }


def _row(result: SweepResult) -> dict[str, Any]:
    return {
        "status": result.status,
        "reason": result.reason,
        "seed": result.seed,
        "loss": result.val_loss,
        "last_loss": result.last_loss,
        "params": result.n_params,
        "flops": result.flops,
        "size": scaling_tables.model_name(result.point),
        **asdict(result.point),
    }


def _trainings(results: Sequence[SweepResult]) -> Section:
    return Section(
        "trainings",
        "Every training",
        "A mark is a training: what it took, and its loss on documents that were held out. Marks "
        "of one color and place differ in their seed alone: that much is luck. What came to no "
        "result is crossed, at the top.",
        chart=_draw(results),
    )


def _draw(results: Sequence[SweepResult]) -> theme.Chart:
    """Return a mark for each training."""
    by_size = sorted(results, key=lambda result: result.n_params)
    sizes = list(dict.fromkeys(scaling_tables.model_name(result.point) for result in by_size))
    few = len(sizes) <= len(theme.COLORS)
    scale = (
        alt.Scale(domain=sizes, range=list(theme.COLORS[: len(sizes)]))
        if few
        else alt.Scale(domain=sizes, scheme=theme.SHADES)
    )
    x = alt.X(
        "flops:Q",
        title="floating-point operations of a training",
        scale=alt.Scale(type="log", nice=False, padding=14),
        axis=alt.Axis(format="~s", grid=False, tickCount=6),
    )
    base = theme.of("evaluations").encode(
        x=x,
        color=alt.Color("size:N", title="model", scale=scale),
        tooltip=TOOLTIP,
    )
    y = alt.Y(
        "loss:Q", title="held-out loss, nats a token", scale=alt.Scale(zero=False, padding=10)
    )
    points = base.transform_filter(alt.datum.status == "ok").mark_point(
        filled=True, size=45, opacity=0.75
    )
    failed = base.transform_filter(alt.datum.status != "ok").mark_point(
        shape="cross", filled=True, size=50, angle=45
    )
    layers = [points.encode(y=y)]
    if any(not result.is_ok for result in results):
        layers.append(failed.encode(y=alt.value(6)))
    return alt.layer(*layers).properties(width=theme.WIDTH - 100, height=theme.HEIGHT)


def _scaling(scaling: Scaling) -> Section:
    return Section(
        "scaling",
        "How the loss scales",
        "Means over the seeds with their 95 % intervals; a curve is the power law that fits them, "
        "where the loss surely falls. Below: the best loss for each budget, dashed, in operations "
        "and in seconds.",
        chart=picture.draw(scaling),
    )


def _tables(scaling: Scaling) -> Section:
    return Section(
        "tables",
        "In numbers",
        "What microgpt analyze prints: the losses, what each step up has returned, and the law.",
        text="\n".join(scaling_tables.tables(scaling)),
    )
