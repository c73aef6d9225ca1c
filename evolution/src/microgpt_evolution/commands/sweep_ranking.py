"""Summary of a sweep: ranking, and the command that trains the winner."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from microgpt import FIELDS, as_argument, flag, path_from_text
from microgpt_evolution.genome import Genome, values_of
from microgpt_evolution.scaling.scaling import Cell, Scaling
from microgpt_evolution.scaling.tables import columns
from microgpt_evolution.strategies.grid import SETTINGS, describe, differing, show
from microgpt_evolution.sweep.sweep_settings import SweepSettings
from microgpt_evolution.trial import TrialRecord

N_ROWS = 10  # maximum number of configurations in the ranking
COMPUTE = {"steps": "more steps", "batch_size": "larger batches"}
OPTIONS = [name for name in SETTINGS if "panel" in FIELDS[name].metadata]  # those of `train`
# The command of the winner always sets these, so that it shows what is trained.
SHOWN = {"n_embd", "n_head", "n_layer", "block_size", "steps", "lr", "batch_size"}


def describe_sweep(
    sweep: SweepSettings, results: Sequence[TrialRecord], run: Path
) -> Iterator[str]:
    """Yield the summary line by line; at least one training run must have finished."""
    n_seeds = len(sweep.seeds)
    cells = sorted(  # configurations with missing runs come last
        Scaling.of(results).cells,
        key=lambda cell: (len(cell.losses) < n_seeds, cell.val_loss.value),
    )
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
    yield f"Train the winner:  {_train_command(sweep, cells[0].config, run)}"
    if len(cells) > 1 and not cells[1].above(cells[0]).is_clear:
        more_seeds = f"--seeds {max(5, 2 * n_seeds)}"
        yield (
            "The lead of 1 over 2 may be chance; train with more seeds:  "
            f"microgpt sweep resume {as_argument(run)} {more_seeds}"
        )
    yield f"Tables and chart:  microgpt analyze {as_argument(run)} --output scaling.svg"


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
        behind = str(cell.above(cells[0])) if place > 1 else ""
        loss, size = str(cell.val_loss), f"{cell.n_params:,}"
        rows.append([str(place), *settings, loss, behind, size, ", ".join(remarks)])
    yield from columns(["", *names, "Held-out loss", "Behind 1", "Params", ""], rows)
    if len(cells) > N_ROWS:
        yield f"… and {len(cells) - N_ROWS} more"


def _train_command(sweep: SweepSettings, config: Genome, run: Path) -> str:
    """Return the command that trains a configuration; its held-out documents are the same."""
    changed = differing([config, Genome()])
    if others := [name for name in changed if name not in OPTIONS]:
        return f"in Python, because train has no option for {describe(values_of(config, others))}"
    path, here = path_from_text(sweep.input), Path.cwd()
    path = path.relative_to(here) if path.is_relative_to(here) else path
    options = f"--data {as_argument(path)} "
    if chosen := sweep.chosen:
        options += "--text stream " if sweep.text == "stream" else ""
        if chosen.vocab_size:
            options += f"--tokenizer bpe --vocab-size {chosen.vocab_size} "
    names = [name for name in OPTIONS if name in {*SHOWN, *changed}]
    for name, value in values_of(config, names).items():
        options += f"{flag(name)} {value} "
    options += f"--val-fraction {sweep.val_fraction} --test-fraction {sweep.test_fraction} "
    options += f"--seed {sweep.seeds[0]} --model {as_argument(Path(f'{run.name}-winner'))}"
    return f"microgpt train --preset karpathy {options}"
