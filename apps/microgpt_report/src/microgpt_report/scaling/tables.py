"""What sweeps say, as tables: the source's three, and what they could not say."""

from collections.abc import Iterator, Sequence
from math import floor, log10

from microgpt.printable import printable
from microgpt_evolution.sweep.config import SETTINGS, SweepConfig, differing, show
from microgpt_evolution.sweep.grid import SIZES
from microgpt_evolution.sweep.power_law import LEAST
from microgpt_evolution.sweep.scaling import UNIT, Cell, Mean, Scaling, Series
from microgpt_report.text_table import columns

SIZE = ("n_embd", "n_head", "n_layer")
SAMPLES, MODEL, NONE = "Samples (First 3)", "Model", "-"
NAMES = {tuple(getattr(point, n) for n in SIZE): name for name, point in SIZES.items()}
N_SHOWN = 24  # characters of a sample
DIGITS = 3  # of the largest return in a table
NOUNS = {"steps": "steps", "params": "parameters"}


def tables(scaling: Scaling) -> Iterator[str]:
    """Yield the lines of all tables."""
    seeds = sorted({seed for cell in scaling.cells for seed in cell.losses})
    yield f"Losses in nats a token, held out but for the last document's. Seeds: {_list(seeds)}"
    if len(seeds) > 1:
        yield "± is half the 95 % confidence interval of a mean over them"
    for series in scaling.series:
        yield ""
        yield f"Loss against {NOUNS[series.axis]}: {_shared(series)}"
        yield from _steps(series) if series.axis == "steps" else _sizes(series)
        yield ""
        yield f"Return on investment: loss drop per {UNIT:,} {NOUNS[series.axis]}"
        yield from _returns(series)
        yield from _law(series)
    yield ""
    yield "Loss against operations and seconds; Gain: of the best for a budget on the one before"
    yield from _costs(scaling)
    yield from _best_sizes(scaling)


def _list(seeds: Sequence[int]) -> str:
    """Return seeds in words; those of a sweep follow one another."""
    first, last = seeds[0], seeds[-1]
    follow = last - first + 1 == len(seeds) > 2
    return f"{first} … {last}" if follow else ", ".join(map(str, seeds))


def with_interval(mean: Mean | None, digits: int = 4) -> str:
    """Return a mean and half its interval, as far as there are."""
    if mean is None:
        return NONE
    half = "" if mean.half_width is None else f" ± {mean.half_width:.{digits}f}"
    return f"{mean.value:.{digits}f}{half}"


def _shared(series: Series) -> str:
    """Return what all cells of a series have in common, as far as somebody chose it."""
    cell = series.cells[0]
    varied = differing(cell.point for cell in series.cells)
    always = SIZE if series.axis == "steps" else ["steps"]
    chosen = [
        name for name in SETTINGS if getattr(cell.point, name) != getattr(SweepConfig(), name)
    ]
    names = [name for name in SETTINGS if name in {*always, *chosen} - {*varied}]
    shared = cell.point.describe(names)
    return f"{shared} ({cell.n_params:,} parameters)" if series.axis == "steps" else shared


def _steps(series: Series) -> Iterator[str]:
    rows = [
        [
            f"{cell.point.steps:,}",
            with_interval(cell.val_loss),
            with_interval(cell.last_loss, 2),
            _samples(cell),
        ]
        for cell in series.cells
    ]
    return columns(["Steps", "Loss", "Last document", SAMPLES], rows, left=[SAMPLES])


def _sizes(series: Series) -> Iterator[str]:
    rows = [
        [
            model_name(cell.point),
            f"{cell.n_params:,}",
            str(cell.point.n_embd),
            str(cell.point.n_layer),
            with_interval(cell.val_loss),
            with_interval(cell.last_loss, 2),
            _samples(cell),
        ]
        for cell in series.cells
    ]
    headings = [MODEL, "Params", "Emb", "Lay", "Loss", "Last document", SAMPLES]
    return columns(headings, rows, left=[MODEL, SAMPLES])


def model_name(point: SweepConfig) -> str:
    """Return what the source calls a model of this size, or else its width, heads and depth."""
    size = tuple(getattr(point, name) for name in SIZE)
    return NAMES.get(size, "/".join(map(str, size)))


def _samples(cell: Cell) -> str:
    return ", ".join(printable(sample, N_SHOWN) for sample in cell.samples)


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
    """Yield a line on the power law, where there are enough points for one."""
    if len({cell.x(series.axis) for cell in series.cells}) < LEAST:
        return
    if (fitted := series.law) is None:
        noun = NOUNS[series.axis]
        yield f"No power law: the loss does not surely fall with the {noun}, or all at once"
        return
    law = fitted.law
    exponent = _number(law.exponent, fitted.half_width(lambda law: law.exponent))
    if not fitted.has_floor:
        yield (
            f"Power law: loss = {law.scale:.4g} · {series.axis}^-{exponent}; "
            "whether it ends at a floor takes four points to tell"
        )
        return
    bottom = _number(law.floor, fitted.half_width(lambda law: law.floor))
    yield f"Power law: loss = {bottom} + {law.scale:.4g} · {series.axis}^-{exponent}"


def _number(value: float, half: float | None) -> str:
    return f"{value:.3f}" if half is None else f"({value:.3f} ± {half:.3f})"


def _costs(scaling: Scaling) -> Iterator[str]:
    names = differing(cell.point for cell in scaling.cells)
    rows = [
        [
            *(show(getattr(cell.point, name)) for name in names),
            f"{cell.n_params:,}",
            f"{cell.flops / 1e9:.3g}",
            f"{cell.cpu_seconds:.3g}",
            with_interval(cell.val_loss),
            _gain(scaling, cell),
        ]
        for cell in scaling.cells
    ]
    return columns([*names, "Params", "GFLOP", "CPU s", "Loss", "Gain"], rows)


def _gain(scaling: Scaling, cell: Cell) -> str:
    if cell not in scaling.front:
        return NONE
    gain = scaling.gain(cell)
    return with_interval(gain) if gain else "cheapest"


def _best_sizes(scaling: Scaling) -> Iterator[str]:
    """Yield which size is the best from which budget on, where there are several."""
    if len({_size(cell) for cell in scaling.cells}) < 2:
        return
    yield ""
    yield "The best size for a budget"
    before = None
    for cell in scaling.front:
        if _size(cell) != before:
            before = _size(cell)
            budget, model = f"{cell.flops / 1e9:.3g} GFLOP", model_name(cell.point)
            yield f"  from {budget}: {model}, {cell.n_params:,} parameters"


def _size(cell: Cell) -> Sequence[int]:
    point = cell.point
    return (point.n_embd, point.n_head, point.n_layer, point.n_ff_exp, point.block_size)
