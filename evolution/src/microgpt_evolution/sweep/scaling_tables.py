"""Scaling results as text and JSON; `±` and `_95` mark half-widths of 95 % intervals."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from math import floor, log10
from pathlib import Path

from microgpt import printable
from microgpt_evolution.errors import RunError
from microgpt_evolution.genome import Genome, values_of
from microgpt_evolution.runs.run_directory import TrialRecord
from microgpt_evolution.sweep.config import (
    SETTINGS,
    SIZES,
    describe,
    differing,
    show,
)
from microgpt_evolution.sweep.power_law import LEAST, LEAST_FOR_FLOOR, FittedLaw, PowerLaw
from microgpt_evolution.sweep.scaling import UNIT, Cell, Mean, Scaling, Series
from microgpt_evolution.sweep.sweep_records import SweepRecords, SweepSettings

SIZE = ("n_embd", "n_head", "n_layer")
SAMPLES, MODEL, NONE = "Samples (First 3)", "Model", "-"
NAMES = {tuple(getattr(config, n) for n in SIZE): name for name, config in SIZES.items()}
N_SHOWN = 24  # maximum number of characters shown per sample
DIGITS = 3  # significant digits of the largest value in the column Return
NOUNS = {"steps": "steps", "params": "parameters"}
GAP = "  "  # space between columns


def read_sweeps(
    directories: Sequence[Path], verb: str
) -> list[tuple[SweepSettings, list[TrialRecord]]]:
    """Read the settings and results of sweeps; `verb` is used in an error message.

    Raises:
        RunError: a sweep is missing or damaged, or the sweeps use different documents.
    """
    first, *others = sweeps = [SweepRecords.read(directory) for directory in directories]
    for sweep in others:
        if sweep.settings.documents != first.settings.documents:
            raise RunError(
                f"{first.directory} and {sweep.directory} use different documents "
                f"({first.settings.input}, {sweep.settings.input}), so their losses are not "
                f"comparable; {verb} them separately"
            )
    return [(sweep.settings, sweep.results) for sweep in sweeps]


def as_json(scaling: Scaling) -> dict[str, object]:
    """Return the scaling results as a JSON object; series refer to "points" by index."""
    points = [_point(scaling, cell) for cell in scaling.cells]
    series = [_series(scaling, series) for series in scaling.series]
    return {"contamination": scaling.contamination, "points": points, "series": series}


def _point(scaling: Scaling, cell: Cell) -> dict[str, object]:
    return {
        **values_of(cell.config, SETTINGS),
        "n_params": cell.n_params,
        "flops": cell.flops,
        "cpu_seconds": cell.cpu_seconds.value,
        "n_seeds": len(cell.losses),
        **_mean("val_loss", cell.val_loss),
        **_mean("last_loss", cell.last_loss),
        **_mean("behind", scaling.behind(cell)),
        "is_best": cell in scaling.front,
        "samples": cell.samples,
    }


def _mean(name: str, mean: Mean | None) -> dict[str, float | None]:
    half_width = mean.half_width if mean else None
    return {name: mean.value if mean else None, f"{name}_95": half_width}


def _series(scaling: Scaling, series: Series) -> dict[str, object]:
    rows = [
        {
            "point": scaling.cells.index(cell),
            "x": cell.x(series.axis),
            "val_loss": cell.val_loss.value,
            **_mean("drop", r.drop if r else None),
            **_mean("return", r.per_unit if r else None),
        }
        for cell, r in zip(series.cells, series.returns, strict=True)
    ]
    law = series.law and {
        **asdict(series.law.law),
        "exponent_95": series.law.half_width(lambda law: law.exponent),
        "floor_95": series.law.half_width(lambda law: law.floor),
    }
    return {"axis": series.axis, "rows": rows, "power_law": law}


def as_text(scaling: Scaling) -> Iterator[str]:
    """Yield the tables line by line."""
    seeds = sorted({seed for cell in scaling.cells for seed in cell.losses})
    follow = seeds[-1] - seeds[0] + 1 == len(seeds) > 2
    listed = f"{seeds[0]} … {seeds[-1]}" if follow else ", ".join(map(str, seeds))
    yield (
        f"Loss: held-out loss{scaling.mark}, nats per token. Last document: training loss of the "
        f"last document. Seeds: {listed}"
    )
    if len(seeds) > 1:
        yield "±: half-width of the 95 % confidence interval over the seeds"
    if any(len(cell.losses) < len(seeds) for cell in scaling.cells):
        yield "Some models lack seeds. Differences are over the common seeds, if there are two"
    for series in scaling.series:
        yield ""
        yield f"Loss against {NOUNS[series.axis]}: {_shared(series, scaling)}"
        yield from _losses(series)
        yield ""
        yield f"Return on investment: loss drop per {UNIT:,} {NOUNS[series.axis]}"
        yield from _returns(series)
        yield from _law(series)
    yield ""
    if scaling.has_one_cost:
        yield "Equal operations. Behind: difference from the lowest loss, paired by seed"
    else:
        yield "Loss against cost. Gain: loss drop from the best cheaper configuration"
    yield from _costs(scaling)
    yield from _best_sizes(scaling)


def with_interval(mean: Mean | None, digits: int = 4) -> str:
    """Format a mean and its confidence interval, such as "2.0310 ± 0.0120", or "-" for None."""
    if mean is None:
        return NONE
    half = "" if mean.half_width is None else f" ± {mean.half_width:.{digits}f}"
    return f"{mean.value:.{digits}f}{half}"


def model_name(config: Genome) -> str:
    """Return the name of a model size, such as "small", or n_embd/n_head/n_layer if unnamed."""
    size = tuple(getattr(config, name) for name in SIZE)
    return NAMES.get(size, "/".join(map(str, size)))


def columns(
    headings: Sequence[str], rows: Sequence[Sequence[str]], left: Collection[str] = ()
) -> Iterator[str]:
    """Yield the lines of a table; columns in `left` are left-aligned, all others right-aligned."""
    table = [headings, *rows]
    widths = [max(map(len, cells)) for cells in zip(*table, strict=True)]
    for cells in table:
        padded = (
            cell.ljust(width) if heading in left else cell.rjust(width)
            for cell, width, heading in zip(cells, widths, headings, strict=True)
        )
        yield GAP.join(padded).rstrip()


def _shared(series: Series, scaling: Scaling) -> str:
    """Format the settings shared by a series that are not defaults or vary between series."""
    cell = series.cells[0]
    varied = differing(cell.config for cell in series.cells)
    always = SIZE if series.axis == "steps" else ["steps"]
    chosen = differing([Genome(), *(other.config for other in scaling.cells)])
    names = [name for name in SETTINGS if name in {*always, *chosen} - {*varied}]
    shared = describe(values_of(cell.config, names))
    return f"{shared} ({cell.n_params:,} parameters)" if series.axis == "steps" else shared


def _losses(series: Series) -> Iterator[str]:
    rows = []
    for cell in series.cells:
        config, samples = cell.config, ", ".join(printable(s, N_SHOWN) for s in cell.samples)
        size = [model_name(config), f"{cell.n_params:,}", str(config.n_embd), str(config.n_layer)]
        first = [f"{config.steps:,}"] if series.axis == "steps" else size
        rows.append(
            [*first, with_interval(cell.val_loss), with_interval(cell.last_loss, 2), samples]
        )
    headings = ["Steps"] if series.axis == "steps" else [MODEL, "Params", "Emb", "Lay"]
    return columns([*headings, "Loss", "Last document", SAMPLES], rows, left=[MODEL, SAMPLES])


def _returns(series: Series) -> Iterator[str]:
    largest = max(abs(r.per_unit.value) for r in series.returns if r)
    digits = 4 if not largest else max(4, DIGITS - 1 - floor(log10(largest)))
    rows = [
        [
            f"{cell.x(series.axis):,}",
            f"{cell.val_loss.value:.4f}",
            with_interval(r.drop if r else None),
            with_interval(r.per_unit if r else None, digits),
        ]
        for cell, r in zip(series.cells, series.returns, strict=True)
    ]
    return columns([NOUNS[series.axis].capitalize(), "Loss", "Delta Loss", "Return"], rows)


def _law(series: Series) -> Iterator[str]:
    n_different = len({cell.x(series.axis) for cell in series.cells})
    if n_different < LEAST:
        return
    if (fitted := series.law) is None:
        noun = NOUNS[series.axis]
        yield (
            f"No power law: the loss does not fall reliably with the {noun}, falls in one step, or "
            "more seeds are needed to determine the exponent"
        )
        return
    exponent = _number(fitted, lambda law: law.exponent)
    formula = f"{fitted.law.scale:.4g} · {series.axis}^-{exponent}"
    if fitted.has_floor:
        yield f"Power law: loss = {_number(fitted, lambda law: law.floor)} + {formula}"
    else:
        missing = "; fitting a floor needs four points" if n_different < LEAST_FOR_FLOOR else ""
        yield f"Power law: loss = {formula}{missing}"


def _number(fitted: FittedLaw, number: Callable[[PowerLaw], float]) -> str:
    value, half = number(fitted.law), fitted.half_width(number)
    return f"{value:.3f}" if half is None else f"({value:.3f} ± {half:.3f})"


def _costs(scaling: Scaling) -> Iterator[str]:
    names = differing(cell.config for cell in scaling.cells)
    rows = []
    for cell in scaling.cells:
        cells = [
            f"{cell.n_params:,}",
            f"{cell.flops / 1e9:.3g}",
            f"{cell.cpu_seconds.value:.3g}",
            with_interval(cell.val_loss),
            _against_others(scaling, cell),
        ]
        rows.append([*(show(getattr(cell.config, name)) for name in names), *cells])
    last = "Behind" if scaling.has_one_cost else "Gain"
    return columns([*names, "Params", "GFLOP", "CPU s", "Loss", last], rows)


def _against_others(scaling: Scaling, cell: Cell) -> str:
    """Return the difference from the best or, if the costs differ, from the best cheaper one."""
    if scaling.has_one_cost:
        return with_interval(scaling.behind(cell))
    gain = scaling.gain(cell)
    return "cheapest" if cell in scaling.front and not gain else with_interval(gain)


def _best_sizes(scaling: Scaling) -> Iterator[str]:
    """Yield the best model size per budget, if there are several sizes."""
    if len(set(map(_size, scaling.cells))) < 2:
        return
    yield ""
    yield "Best model size by budget"
    for _, (cell, *_) in groupby(scaling.front, _size):
        yield f"  from {cell.flops / 1e9:.3g} GFLOP: {_size(cell)}"


def _size(cell: Cell) -> str:
    return f"{model_name(cell.config)}, {cell.n_params:,} parameters"
