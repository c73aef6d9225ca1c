"""Scaling results as text and JSON; `±` marks the half-widths of 95 % intervals."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from math import floor, log10
from typing import Any

from microgpt import printable
from microgpt_evolution.comparison import Mean
from microgpt_evolution.genome import Genome, values_of
from microgpt_evolution.report.ranking import Candidate
from microgpt_evolution.report.scaling import NOUNS, UNIT, Scaling, Series, drops, size_on
from microgpt_evolution.strategies.grid import SETTINGS, SIZES, describe, differing, show

SIZE = ("n_embd", "n_head", "n_layer")
SAMPLES, MODEL, NONE = "Samples (First 3)", "Model", "-"
NAMES = {tuple(values_of(genome, SIZE).values()): name for name, genome in SIZES.items()}
N_SHOWN = 24  # maximum number of characters shown per sample
DIGITS = 3  # significant digits of the largest value in the column Return
GAP = "  "  # space between columns

Cells = Mapping[str, Callable[[Candidate], object]]  # what a table shows, by heading


def as_json(scaling: Scaling) -> dict[str, object]:
    """Return the scaling results as a JSON object; series refer to "points" by index."""
    points = [
        {
            "config": values_of(each.genome, SETTINGS),
            "n_params": each.record.n_params,
            "flops": each.record.flops,
            "samples": each.record.samples,
            "losses": each.values,
            "val_loss": _plain(each.mean),
            "last_loss": _plain(each.mean_of("last_loss")),
            "cpu_seconds": _plain(each.mean_of("cpu_seconds")),
            "behind": _plain(scaling.behind.get(each)),
            "is_best": each in scaling.front,
        }
        for each in scaling.candidates
    ]
    series = [
        {
            "axis": each.axis,
            "points": [*map(scaling.candidates.index, each.candidates)],
            "drops": [*map(_plain, map(each.drops.get, each.candidates))],
            "returns": [*map(_plain, map(each.returns.get, each.candidates))],
        }
        for each in scaling.series
    ]
    return {"points": points, "series": series}


def _plain(mean: Mean | None) -> dict[str, Any] | None:
    return asdict(mean) if mean else None


def as_text(scaling: Scaling) -> Iterator[str]:
    """Yield the tables line by line."""
    seeds = sorted({seed for each in scaling.candidates for seed in each.trials})
    yield (
        f"Loss: {scaling.ranking.measure.title}. Last document: training loss of the last "
        f"document. Seeds: {', '.join(map(str, seeds))}"
    )
    if len(seeds) > 1:
        yield "±: half-width of the 95 % confidence interval over the seeds"
    if any(len(each.trials) < len(seeds) for each in scaling.candidates):
        yield "Some models lack seeds. Differences are over the common seeds, if there are two"
    for series in scaling.series:
        noun = NOUNS[series.axis]
        yield from ("", f"Loss against {noun}: {_shared(series, scaling)}", *_losses(series))
        yield from ("", f"Return on investment: loss drop per {UNIT:,} {noun}", *_returns(series))
    yield ""
    if scaling.has_one_cost:
        yield "Equal operations. Behind: difference from the lowest loss, paired by seed"
    else:
        yield "Loss against cost. Gain: loss drop from the best cheaper configuration"
    yield from _costs(scaling)


def _shared(series: Series, scaling: Scaling) -> str:
    """Format the settings shared by a series that are not defaults or vary between series."""
    first, is_of_steps = series.candidates[0], series.axis == "steps"
    always = SIZE if is_of_steps else ["steps"]
    chosen = differing([Genome(), *(each.genome for each in scaling.candidates)])
    varied = differing(each.genome for each in series.candidates)
    names = [name for name in SETTINGS if name in {*always, *chosen} - {*varied}]
    shared = describe(values_of(first.genome, names))
    return f"{shared} ({n_params(first)} parameters)" if is_of_steps else shared


def _losses(series: Series) -> Iterator[str]:
    cells: Cells = {"Steps": lambda each: f"{each.genome.steps:,}"}
    if series.axis == "params":
        cells = {
            MODEL: _model_name,
            "Params": n_params,
            "Emb": lambda each: each.genome.n_embd,
            "Lay": lambda each: each.genome.n_layer,
        }
    last_columns: Cells = {
        "Loss": lambda each: each.mean,
        "Last document": lambda each: each.mean_of("last_loss").show(2),
        SAMPLES: lambda each: ", ".join(printable(text, N_SHOWN) for text in each.record.samples),
    }
    return table(series.candidates, {**cells, **last_columns}, left=[MODEL, SAMPLES])


def _model_name(candidate: Candidate) -> str:
    """Return the name of a model size, such as "small", or n_embd/n_head/n_layer if unnamed."""
    size = tuple(values_of(candidate.genome, SIZE).values())
    return NAMES.get(size, "/".join(map(str, size)))


def _returns(series: Series) -> Iterator[str]:
    returns = series.returns
    largest = max(abs(each.value) for each in returns.values())
    digits = 4 if not largest else max(4, DIGITS - 1 - floor(log10(largest)))
    cells: Cells = {
        NOUNS[series.axis].capitalize(): lambda each: f"{size_on(series.axis, each):,}",
        "Loss": lambda each: f"{each.mean.value:.4f}",
        "Delta Loss": lambda each: series.drops.get(each, NONE),
        "Return": lambda each: returns[each].show(digits) if each in returns else NONE,
    }
    return table(series.candidates, cells)


def _costs(scaling: Scaling) -> Iterator[str]:
    last: Cells = {"Behind": lambda each: scaling.behind.get(each, NONE)}
    if not scaling.has_one_cost:
        gains = {scaling.front[0]: "cheapest", **drops(scaling.front)}
        last = {"Gain": lambda each: gains.get(each, NONE)}
    cells: Cells = {
        "Params": n_params,
        "GFLOP": lambda each: f"{each.record.flops / 1e9:.3g}",
        "CPU s": lambda each: f"{each.mean_of('cpu_seconds').value:.3g}",
        "Loss": lambda each: each.mean,
    }
    names = differing(each.genome for each in scaling.candidates)
    return table(scaling.candidates, {**settings_of(names), **cells, **last})


def settings_of(names: Iterable[str]) -> Cells:
    """Return the cells of some settings."""
    return {name: partial(_setting, name) for name in names}


def _setting(name: str, candidate: Candidate) -> str:
    return show(getattr(candidate.genome, name))


def n_params(candidate: Candidate) -> str:
    """Return the cell of the number of parameters."""
    return f"{candidate.record.n_params:,}"


def table(rows: Iterable[Candidate], cells: Cells, left: Collection[str] = ()) -> Iterator[str]:
    """Yield the lines of a table of candidates; see `columns`."""
    return columns([*cells], [[str(cell(each)) for cell in cells.values()] for each in rows], left)


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
