"""Scaling results as text and JSON; `±` marks the half-widths of 95 % intervals."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict
from math import floor, log10
from pathlib import Path
from typing import Any

from microgpt import printable
from microgpt_evolution.comparison import Mean
from microgpt_evolution.errors import StudyError
from microgpt_evolution.genome import Genome, values_of
from microgpt_evolution.scaling.power_law import LEAST, LEAST_FOR_FLOOR
from microgpt_evolution.scaling.scaling import UNIT, Cell, Scaling, Series
from microgpt_evolution.strategies.grid import SETTINGS, SIZES, describe, differing, show
from microgpt_evolution.sweep.sweep_settings import SweepRecords, SweepSettings
from microgpt_evolution.trial import TrialRecord

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
        StudyError: a sweep is missing or damaged, or the sweeps use different documents.
    """
    first, *others = sweeps = [SweepRecords.read(directory) for directory in directories]
    for sweep in others:
        if sweep.settings.documents != first.settings.documents:
            raise StudyError(
                f"{first.directory} and {sweep.directory} use different documents "
                f"({first.settings.input}, {sweep.settings.input}), so their losses are not "
                f"comparable; {verb} them separately"
            )
    return [(sweep.settings, sweep.results) for sweep in sweeps]


def as_json(scaling: Scaling) -> dict[str, object]:
    """Return the scaling results as a JSON object; series refer to "points" by index."""
    points = [
        asdict(cell)
        | {
            "config": values_of(cell.config, SETTINGS),
            "behind": _plain(scaling.behind(cell)),
            "is_best": cell in scaling.front,
        }
        for cell in scaling.cells
    ]
    series = [
        {
            "axis": series.axis,
            "points": [scaling.cells.index(cell) for cell in series.cells],
            "drops": [_plain(drop) for drop in series.drops],
            "returns": [_plain(each) for each in series.returns],
            "power_law": series.law
            and {
                "scale": series.law.scale,
                "exponent": _plain(series.law.mean("exponent")),
                "floor": _plain(series.law.mean("floor")),
            },
        }
        for series in scaling.series
    ]
    return {"contamination": scaling.contamination, "points": points, "series": series}


def _plain(mean: Mean | None) -> dict[str, Any] | None:
    return asdict(mean) if mean else None


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
        rows.append([*first, str(cell.val_loss), cell.last_loss.show(2), samples])
    headings = ["Steps"] if series.axis == "steps" else [MODEL, "Params", "Emb", "Lay"]
    return columns([*headings, "Loss", "Last document", SAMPLES], rows, left=[MODEL, SAMPLES])


def _returns(series: Series) -> Iterator[str]:
    largest = max(abs(each.value) for each in series.returns if each)
    digits = 4 if not largest else max(4, DIGITS - 1 - floor(log10(largest)))
    rows = [
        [
            f"{cell.x(series.axis):,}",
            f"{cell.val_loss.value:.4f}",
            str(drop or NONE),
            per_unit.show(digits) if per_unit else NONE,
        ]
        for cell, drop, per_unit in zip(series.cells, series.drops, series.returns, strict=True)
    ]
    return columns([NOUNS[series.axis].capitalize(), "Loss", "Delta Loss", "Return"], rows)


def _law(series: Series) -> Iterator[str]:
    n_different = len({cell.x(series.axis) for cell in series.cells})
    if n_different < LEAST:
        return
    if (law := series.law) is None:
        yield (
            f"No power law: the loss does not fall reliably with the {NOUNS[series.axis]}, falls "
            "in one step, or more seeds are needed to determine the exponent"
        )
        return
    formula = f"{law.scale:.4g} · {series.axis}^-{_number(law.mean('exponent'))}"
    missing = "; fitting a floor needs four points" if n_different < LEAST_FOR_FLOOR else ""
    floor = f"{_number(law.mean('floor'))} + " if law.floor else ""
    yield f"Power law: loss = {floor}{formula}{missing}"


def _number(mean: Mean) -> str:
    return mean.show(3) if mean.half_width is None else f"({mean.show(3)})"


def _costs(scaling: Scaling) -> Iterator[str]:
    names = differing(cell.config for cell in scaling.cells)
    rows = []
    for cell in scaling.cells:
        cells = [
            f"{cell.n_params:,}",
            f"{cell.flops / 1e9:.3g}",
            f"{cell.cpu_seconds.value:.3g}",
            str(cell.val_loss),
            _against_others(scaling, cell),
        ]
        rows.append([*(show(getattr(cell.config, name)) for name in names), *cells])
    last = "Behind" if scaling.has_one_cost else "Gain"
    return columns([*names, "Params", "GFLOP", "CPU s", "Loss", last], rows)


def _against_others(scaling: Scaling, cell: Cell) -> str:
    """Return the difference from the best or, if the costs differ, from the best cheaper one."""
    if scaling.has_one_cost:
        return str(scaling.behind(cell) or NONE)
    if cell is scaling.front[0]:
        return "cheapest"
    return str(scaling.gain(cell) or NONE)
