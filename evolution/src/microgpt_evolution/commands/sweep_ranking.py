"""Summary of a sweep: ranking, command that trains the winner, and suggested next sweeps."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from microgpt import (
    DEFAULT_SEED,
    NAMES_SHA256,
    ReadOptions,
    as_argument,
    bundled,
    flag,
    in_short,
    path_from_text,
)
from microgpt_cli.terminal.options import DEFAULT_CHAT, DEFAULT_TEXT
from microgpt_evolution.commands.sweep import N_SEEDS, SHORT_AXES
from microgpt_evolution.errors import GenomeError
from microgpt_evolution.genome import Genome
from microgpt_evolution.runs.run_directory import TrialRecord
from microgpt_evolution.sweep.config import SETTINGS, differing, show
from microgpt_evolution.sweep.records import SweepSettings
from microgpt_evolution.sweep.scaling import Cell, Scaling, gain
from microgpt_evolution.sweep.scaling_tables import columns, with_interval

N_ROWS = 10  # maximum number of configurations in the ranking
COMPUTE = {"steps": "more steps", "batch_size": "larger batches"}
MAX_RATIO = 4  # between the best value of a sweep and one beyond the edge of its range


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
    yield f"{what} (nats per token, {repeats})"
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


def _as_options(values: Mapping[str, str]) -> str:
    return " ".join(f"{flag(name)} {value}" for name, value in values.items())


def _table(sweep: SweepSettings, cells: Sequence[Cell]) -> Iterator[str]:
    chosen = sweep.chosen
    names = differing(cell.config for cell in cells)
    if chosen:
        names = [name for name in names if name in (*chosen.swept, "steps")]
    rows = [
        [
            str(place),
            *(show(getattr(cell.config, name)) for name in names),
            with_interval(cell.val_loss),
            with_interval(gain(cell, cells[0])) if place > 1 else "",
            f"{cell.n_params:,}",
            ", ".join(_remarks(sweep, cell)),
        ]
        for place, cell in enumerate(cells[:N_ROWS], start=1)
    ]
    yield from columns(["", *names, "Held-out loss", "Behind 1", "Params", ""], rows)
    if len(cells) > N_ROWS:
        yield f"… and {len(cells) - N_ROWS} more"


def _remarks(sweep: SweepSettings, cell: Cell) -> Iterator[str]:
    n_seeds = len(sweep.seeds)
    if sweep.chosen and cell.config == sweep.chosen.base:
        yield "as train chooses"
    if len(cell.losses) < n_seeds:
        yield f"{len(cell.losses)} of {n_seeds} seeds"


def train_command(sweep: SweepSettings, config: Genome, run: Path) -> str:
    """Return the command that trains a configuration; its held-out documents are the same."""
    # The command sets those with short axes always, so that it shows what is trained.
    names = {*SHORT_AXES, *differing([config, Genome()])}
    tokens = ""
    if chosen := sweep.chosen:
        tokens = "--text stream " if sweep.text == "stream" else ""
        if chosen.vocab_size:
            tokens += f"--tokenizer bpe --vocab-size {chosen.vocab_size} "
    fractions = f"--val-fraction {sweep.val_fraction} --test-fraction {sweep.test_fraction}"
    settings = _as_options(
        {name: str(getattr(config, name)) for name in SETTINGS if name in names}
    ).replace(" True", "")  # boolean flags of `train` take no value
    model = as_argument(Path(f"{run.name}-winner"))
    options = f"{_data(sweep)}{tokens}{settings} {fractions}{_seed(sweep)} --model {model}"
    return f"microgpt train --preset karpathy {options}"


def _next_steps(sweep: SweepSettings, cells: Sequence[Cell]) -> Iterator[str]:
    """Yield suggestions for the next sweep: a wider range, and more seeds."""
    best, chosen = cells[0].config, sweep.chosen
    beyond = {
        name: values
        for name in differing(cell.config for cell in cells)
        if (not chosen or name in chosen.swept)
        and (values := _beyond(name, [cell.config for cell in cells]))
    }
    if beyond:
        names = {*beyond, *differing([best, chosen.base if chosen else Genome()])}
        names = names & {*chosen.swept} if chosen else names
        axes = {name: str(getattr(best, name)).lower() for name in SETTINGS if name in names}
        axes |= {name: ",".join(map(str, values)) for name, values in beyond.items()}
        # A grid of other documents than the names is around Karpathy's settings only by request.
        others = "" if sweep.data_sha256 == NAMES_SHA256 else "--preset karpathy "
        if chosen:
            others = f"--budget {in_short(chosen.budget)} "
        seeds = "" if len(sweep.seeds) == N_SEEDS else f" --seeds {len(sweep.seeds)}"
        yield (
            f"the best {' and '.join(beyond)} {'is' if len(beyond) == 1 else 'are'} at the edge of "
            f"the range; extend it: microgpt sweep grid {_data(sweep)}{others}"
            f"{_as_options(axes)}"
            f"{_seed(sweep)}{seeds}"
        )
    if len(cells) > 1:
        lead = gain(cells[1], cells[0])
        if lead.half_width is None or lead.value <= lead.half_width:
            yield (
                "the lead of 1 over 2 may be chance; repeat the sweep with more seeds: "
                f"--seeds {max(5, 2 * len(sweep.seeds))}"
            )


def _beyond(name: str, configs: Sequence[Genome]) -> list[float]:
    """Return a wider range if the best configuration, the first, is at the edge, else []."""
    values = sorted({getattr(config, name) for config in configs})
    best = getattr(configs[0], name)
    if best not in (values[0], values[-1]) or not isinstance(best, int | float) or not best:
        return []
    neighbour = values[1] if best == values[0] else values[-2]
    ratio = best / neighbour if neighbour else 2
    value = best * min(max(ratio, 1 / MAX_RATIO), MAX_RATIO)
    value = round(value) if isinstance(best, int) else float(f"{value:.2g}")
    try:
        changes: dict[str, Any] = {name: value}
        replace(configs[0], **changes)
    except GenomeError:  # the value beyond the edge is invalid
        return []
    return sorted([neighbour, best, value]) if value not in values else []


def data_options(input: str, how: ReadOptions) -> str:
    """Return the options that select the documents, each followed by a space.

    The default data file needs no option. Paths below the working directory become relative.
    """
    path = path_from_text(input)
    default = Path("data", DEFAULT_CHAT if how.chat else DEFAULT_TEXT)
    default = default if os.path.exists(default) else bundled(default.name)
    is_default = str(path) == os.path.abspath(default)
    data = "" if is_default else f"--data {as_argument(from_here(path))} "
    return data + how.as_typed()


def from_here(path: Path) -> Path:
    """Return a path, made relative if it is below the working directory."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _data(sweep: SweepSettings) -> str:
    return data_options(sweep.input, ReadOptions.of(vars(sweep)))


def _seed(sweep: SweepSettings) -> str:
    return "" if sweep.seeds[0] == DEFAULT_SEED else f" --seed {sweep.seeds[0]}"
