"""`microgpt analyze`: show how the loss scales with steps, model size and cost."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

from microgpt import printable
from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.help import examples
from microgpt_cli.terminal.options import argument
from microgpt_evolution.commands.study_options import RUNS, newest_run
from microgpt_evolution.confidence_intervals import Mean
from microgpt_evolution.genome import Genome, values_of
from microgpt_evolution.report.ranking import (
    Candidate,
    Cells,
    Ranking,
    describe_ranking,
    n_params,
    rows_of,
    text_of,
)
from microgpt_evolution.strategies.grid import SETTINGS, SIZES, describe, differing
from microgpt_evolution.study import Study
from microgpt_evolution.study_settings import SweepSettings

UNIT = 1000  # the column Return shows the decrease in loss per 1,000 steps or parameters
# The axes of the tables, each with the settings that vary along it.
AXES = {"steps": ("steps",), "parameters": ("n_embd", "n_head", "n_layer", "n_ff_exp")}
SIZE = AXES["parameters"][:3]
MODELS = {tuple(values_of(genome, SIZE).values()): name for name, genome in SIZES.items()}
SAMPLES, MODEL, NONE = "Samples (First 3)", "Model", "-"
N_SHOWN = 24  # maximum number of characters shown per sample
N_DIGITS = 6  # decimal places in the column Return, whose values can be small
# Two or more candidates that differ only in the settings of one axis, sorted along this axis.
Series = Sequence[Candidate]


@examples("microgpt sweep steps && microgpt analyze")
def analyze(
    run: Path | None = argument(
        None, f"Directory of a sweep.  [default: the newest in {RUNS}]", "RUN"
    ),
) -> None:
    """Show how the loss scales with steps, model size and cost.

    The tables show held-out losses, averaged over the seeds, with 95% confidence intervals, and the
    gain per 1,000 steps.
    """
    sweep = Study(run or newest_run("sweep steps"), SweepSettings)
    n_ok, n_all = sum(record.is_ok for record in sweep.records), len(sweep.settings.trials)
    if n_ok < n_all:
        note(f"{n_ok} of {n_all} training runs in {sweep.directory} completed")
    ranking = Ranking(sweep.settings, sweep.records, name=str(sweep.directory))
    for line in describe_scaling(ranking):
        print(line)


def describe_scaling(ranking: Ranking) -> Iterator[str]:
    """Yield the lines of all tables: losses and their decreases per series, and the ranking."""
    measure, seeds = ranking.measure, ranking.seeds
    chosen = differing([Genome(), *(each.record.genome for each in ranking.candidates)])
    yield (
        f"Loss: {measure.axis}. Last document: training loss of the last "
        f"document. Seeds: {', '.join(map(str, seeds))}"
    )
    if len(seeds) > 1:
        yield "±: half-width of the 95 % confidence interval over the seeds"
    for axis in AXES:
        for series in series_on(axis, ranking.candidates):
            shared = _shared(axis, series, chosen)
            yield from ("", f"Loss against {axis}: {shared}", *_losses(axis, series))
            yield from ("", f"Return on investment: loss drop per {UNIT:,} {axis}")
            yield from _returns(axis, series)
    yield from ("", *describe_ranking(ranking))


def series_on(axis: str, candidates: Sequence[Candidate]) -> Iterator[Series]:
    """Yield each series of candidates along an axis, "steps" or "parameters"."""
    names = [name for name in SETTINGS if name not in AXES[axis]]
    groups: dict[tuple[object, ...], list[Candidate]] = {}
    for each in sorted(candidates, key=partial(_size, axis)):
        groups.setdefault(tuple(values_of(each.record.genome, names).values()), []).append(each)
    for group in groups.values():
        if _size(axis, group[0]) < _size(axis, group[-1]):
            yield group


def returns_on(axis: str, series: Series) -> dict[Candidate, tuple[Mean, Mean]]:
    """Return how far each candidate's loss is below the previous one's, in total and per UNIT."""
    found = {}
    for before, after in pairwise(series):
        drop, more = before.above(after), _size(axis, after) - _size(axis, before)
        found[after] = drop, drop.times(UNIT / more if more > 0 else 0.0)
    return found


def _size(axis: str, candidate: Candidate) -> int:
    return candidate.record.genome.steps if axis == "steps" else candidate.record.n_params


def _shared(axis: str, series: Series, chosen: Sequence[str]) -> str:
    """Format the settings that a series has in common: size, steps, and those in `chosen`."""
    varied = differing(each.record.genome for each in series)
    names = [name for name in SETTINGS if name in {*SIZE, "steps", *chosen} - {*varied}]
    shared = describe(values_of(series[0].record.genome, names))
    return f"{shared} ({n_params(series[0])} parameters)" if axis == "steps" else shared


def _losses(axis: str, series: Series) -> Iterator[str]:
    first: Cells = {"Steps": lambda each: f"{each.record.genome.steps:,}"}
    if axis == "parameters":
        first = {
            MODEL: _model_name,
            "Params": n_params,
            "Width": lambda each: each.record.genome.n_embd,
            "Layers": lambda each: each.record.genome.n_layer,
        }
    last: Cells = {
        "Loss": lambda each: each.mean,
        "Last document": lambda each: Mean.over([r.last_loss or 0.0 for r in each.records]).show(2),
        SAMPLES: lambda each: ", ".join(printable(text, N_SHOWN) for text in each.record.samples),
    }
    return text_of(rows_of(series, {**first, **last}), left=[MODEL, SAMPLES])


def _model_name(candidate: Candidate) -> str:
    """Return the name of a model size, such as "small", or else n_embd/n_head/n_layer."""
    size = tuple(values_of(candidate.record.genome, SIZE).values())
    return MODELS.get(size, "/".join(map(str, size)))


def _returns(axis: str, series: Series) -> Iterator[str]:
    found = returns_on(axis, series)
    cells: Cells = {
        axis.capitalize(): lambda each: f"{_size(axis, each):,}",
        "Loss": lambda each: f"{each.mean.value:.4f}",
        "Delta Loss": lambda each: found[each][0] if each in found else NONE,
        "Return": lambda each: found[each][1].show(N_DIGITS) if each in found else NONE,
    }
    return text_of(rows_of(series, cells))
