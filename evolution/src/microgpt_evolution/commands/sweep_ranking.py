"""Summary of a sweep: ranking, command that trains the winner, and suggested next sweeps."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from microgpt import ReadOptions, as_argument, flag, path_from_text
from microgpt_evolution.commands.sweep import SHORT_AXES
from microgpt_evolution.errors import GenomeError
from microgpt_evolution.genome import Genome, check_genes, values_of
from microgpt_evolution.runs.run_directory import TrialRecord
from microgpt_evolution.sweep.config import SETTINGS, differing, show
from microgpt_evolution.sweep.scaling import Cell, Scaling, gain
from microgpt_evolution.sweep.scaling_tables import columns, with_interval
from microgpt_evolution.sweep.sweep_records import SweepSettings

N_ROWS = 10  # maximum number of configurations in the ranking
COMPUTE = {"steps": "more steps", "batch_size": "larger batches"}


def describe_sweep(
    sweep: SweepSettings, results: Sequence[TrialRecord], run: Path
) -> Iterator[str]:
    """Yield the summary line by line; at least one training run must have finished."""
    n_seeds, cells = len(sweep.seeds), ranked(sweep, results)
    repeats = f"mean over {n_seeds} seeds ± 95 % interval" if n_seeds > 1 else "1 seed"
    if n_seeds > 1 < len(cells):
        repeats += "; Behind 1: paired by seed"
    yield ""
    what = "Ranking by held-out loss" if len(cells) > 1 else "Held-out loss"
    yield f"{what}{sweep.mark()} (nats per token, {repeats})"
    yield from _table(sweep, cells)
    varied = differing(cell.config for cell in cells)
    if sweep.chosen:  # steps that no list gives are as many as the budget allows
        varied = [name for name in varied if name in sweep.chosen.swept]
    if more := [words for name, words in COMPUTE.items() if name in varied]:
        yield f"Runs with {' or '.join(more)} had more compute; the ranking does not correct for it"
    yield ""
    yield f"Train the winner:  {train_command(sweep, cells[0].config, run)}"
    for line in _next_steps(sweep, cells):
        yield f"Next:  {line}"
    yield f"Tables and chart:  microgpt analyze {as_argument(run)} --output scaling.svg"


def ranked(sweep: SweepSettings, results: Sequence[TrialRecord]) -> list[Cell]:
    """Return the configurations, best first; those with missing runs come last."""
    n_seeds = len(sweep.seeds)
    return sorted(
        Scaling.of(results).cells,
        key=lambda cell: (len(cell.losses) < n_seeds, cell.val_loss.value),
    )


def _table(sweep: SweepSettings, cells: Sequence[Cell]) -> Iterator[str]:
    chosen, n_seeds, rows = sweep.chosen, len(sweep.seeds), []
    names = differing(cell.config for cell in cells)
    if chosen:
        names = [name for name in names if name in (*chosen.swept, "steps")]
    for place, cell in enumerate(cells[:N_ROWS], start=1):
        remarks = ["as train chooses"] if chosen and cell.config == chosen.base else []
        if len(cell.losses) < n_seeds:
            remarks.append(f"{len(cell.losses)} of {n_seeds} seeds")
        settings = [show(getattr(cell.config, name)) for name in names]
        behind = with_interval(gain(cell, cells[0])) if place > 1 else ""
        loss, size = with_interval(cell.val_loss), f"{cell.n_params:,}"
        rows.append([str(place), *settings, loss, behind, size, ", ".join(remarks)])
    yield from columns(["", *names, "Held-out loss", "Behind 1", "Params", ""], rows)
    if len(cells) > N_ROWS:
        yield f"… and {len(cells) - N_ROWS} more"


def train_command(sweep: SweepSettings, config: Genome, run: Path) -> str:
    """Return the command that trains a configuration; its held-out documents are the same."""
    path, here = path_from_text(sweep.input), Path.cwd()
    path = path.relative_to(here) if path.is_relative_to(here) else path
    options = f"--data {as_argument(path)} {ReadOptions.of(vars(sweep)).as_typed()}"
    if chosen := sweep.chosen:
        options += "--text stream " if sweep.text == "stream" else ""
        if chosen.vocab_size:
            options += f"--tokenizer bpe --vocab-size {chosen.vocab_size} "
    # The command sets those with short axes always, so that it shows what is trained.
    names = {*SHORT_AXES, *differing([config, Genome()])}
    for name, value in values_of(config, [name for name in SETTINGS if name in names]).items():
        options += f"{flag(name)} {value} "
    options += f"--val-fraction {sweep.val_fraction} --test-fraction {sweep.test_fraction} "
    options += f"--seed {sweep.seeds[0]} --model {as_argument(Path(f'{run.name}-winner'))}"
    return f"microgpt train --preset karpathy {options}"


def _next_steps(sweep: SweepSettings, cells: Sequence[Cell]) -> Iterator[str]:
    """Yield suggestions for the next sweep: a wider range, and more seeds."""
    varied = differing(cell.config for cell in cells)
    if sweep.chosen:
        varied = [name for name in varied if name in sweep.chosen.swept]
    edges = [name for name in varied if _is_at_edge(name, [cell.config for cell in cells])]
    if edges:
        names = f"{' and '.join(edges)} {'is' if len(edges) == 1 else 'are'}"
        yield f"the best {names} at the edge of the range; add values beyond it"
    if len(cells) > 1:
        lead = gain(cells[1], cells[0])
        if lead.half_width is None or lead.value <= lead.half_width:
            yield (
                "the lead of 1 over 2 may be chance; repeat the sweep with more seeds: "
                f"--seeds {max(5, 2 * len(sweep.seeds))}"
            )


def _is_at_edge(name: str, configs: Sequence[Genome]) -> bool:
    """Return whether the best number, that of the first, is least or largest, but can go beyond."""
    values = [getattr(config, name) for config in configs]
    best = values[0]
    if type(best) not in (int, float):
        return False
    less, more = best - 1, best + 1
    if isinstance(best, float):
        less, more = math.nextafter(best, -math.inf), math.nextafter(best, math.inf)
    is_lower_possible = best == min(values) and _is_possible(name, less)
    return is_lower_possible or (best == max(values) and _is_possible(name, more))


def _is_possible(name: str, value: float) -> bool:
    try:
        check_genes({name: value})
    except GenomeError:
        return False
    return True
