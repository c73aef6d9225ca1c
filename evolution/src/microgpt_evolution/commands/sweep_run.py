"""Run or resume a sweep of `microgpt sweep`, and print its ranking."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from microgpt import (
    FIELDS,
    NAMES_SHA256,
    Given,
    Split,
    TextKind,
    TimeLimit,
    as_argument,
    count,
    duration,
    explain_settings,
    fingerprint,
    flag,
    path_from_text,
    split,
)
from microgpt_cli.terminal.console import note, print_or_discard
from microgpt_cli.terminal.progress_bar import load_kernels
from microgpt_evolution.commands.progress import StudyProgress
from microgpt_evolution.commands.study import Documents, Plan, limits_of, open_study
from microgpt_evolution.errors import NoWinnerError
from microgpt_evolution.genome import Genome, values_of
from microgpt_evolution.grid_sweep import (
    PlannedGrid,
    objective_of,
    plan_grid,
    results_of,
)
from microgpt_evolution.objectives.loss_objective import LossObjective
from microgpt_evolution.report.ranking import HELD_OUT_LOSS, Candidate, Ranking
from microgpt_evolution.report.tables import Cells, n_params, settings_of, table
from microgpt_evolution.strategies.grid import SETTINGS, describe, differing
from microgpt_evolution.study import Study
from microgpt_evolution.study_settings import HELD_OUT, SweepKind, SweepSettings
from microgpt_evolution.trial import Evaluation, Trial, TrialRecord
from microgpt_evolution.workers import Workers

N_ROWS = 10  # maximum number of configurations in the ranking
COMPUTE = {"steps": "more steps", "batch_size": "larger batches"}
OPTIONS = [name for name in SETTINGS if "panel" in FIELDS[name].metadata]  # `train` has them
# The command of the winner always sets these, so that it shows what is trained.
SHOWN = {"n_embd", "n_head", "n_layer", "block_size", "steps", "lr", "batch_size"}


def start_sweep(kind: SweepKind, genomes: Sequence[Genome], given: Given) -> None:
    """Run a new sweep of Karpathy's settings."""

    def plan(docs: Documents, facts: dict[str, Any], _: int) -> tuple[SweepSettings, Split]:
        parts = split(docs, validation=HELD_OUT, test=HELD_OUT)
        grid = PlannedGrid(genomes, (), parts)
        return grid.settings(n_seeds=given["seeds"], sweep=kind, **facts), parts

    run_sweep(given, plan, "lines")


def start_grid(axes: Mapping[str, Sequence[Any]], given: Given) -> None:
    """Run a new grid around the settings that `train` chooses, or around Karpathy's."""

    def plan(docs: Documents, facts: dict[str, Any], _: int) -> tuple[SweepSettings, Split]:
        limits, limit = limits_of(given), None
        is_karpathys = not isinstance(docs, str) and fingerprint(docs) == NAMES_SHA256
        if minutes := given.get("minutes"):
            limit = TimeLimit(minutes, perf_counter(), load_kernels=load_kernels)
        around = None if is_karpathys and not limits else limits
        grid = plan_grid(docs, axes, around, limit, tell=note)
        for line in explain_settings(grid.choice) if grid.choice else ():
            print_or_discard(line)
        for problem in grid.skipped:
            note(f"skipped: {problem}")
        return grid.settings(n_seeds=given["seeds"], sweep="grid", **facts), grid.parts

    run_sweep(given, plan)


def run_sweep(
    given: Given, plan: Plan[SweepSettings] | None = None, text: TextKind | None = None
) -> None:
    """Run the trials of a new or resumed sweep that are not recorded, and print a summary."""
    started = perf_counter()
    with open_study(given, SweepSettings, plan, text=text) as (study, parts, pool):
        trials = study.settings.trials
        todo = [trial for trial in trials if not study.known(trial)]
        if todo:
            n_models = len({trial.genome for trial in todo})
            print_or_discard(
                f"{count(len(todo), 'training run')} of {count(n_models, 'model')}, "
                f"{pool.n_workers()} in parallel"
            )
            _measure(study, todo, objective_of(parts, study.settings), pool)
        results = results_of(study)
        n_ok = sum(result.is_ok for result in results)
        if not n_ok:
            raise NoWinnerError(study.why_no_winner())
        took = duration(round(perf_counter() - started))
        print_or_discard(
            f"{n_ok:,} of {count(len(trials), 'training run')} completed; ran {len(todo)} in {took}"
        )
        print_or_discard(f"Saved to {study.directory}")
        for line in describe_sweep(study.settings, results, study.directory):
            print_or_discard(line)


def _measure(
    study: Study[SweepSettings], todo: Sequence[Trial], objective: LossObjective, workers: Workers
) -> None:
    """Run the trials, and show the progress."""
    flops, names = [objective.flops(trial) for trial in todo], differing(t.genome for t in todo)
    with StudyProgress() as progress:
        n_done, done, left = 0, 0.0, sum(flops)

        def update() -> None:
            progress.update(done, left, f"{n_done:,} of {count(len(todo), 'training run')}")

        def note_measured(i: int, evaluation: Evaluation) -> None:
            nonlocal n_done, done, left
            n_done, left, done = n_done + 1, left - flops[i], done + flops[i]
            which = describe(values_of(todo[i].genome, names)) or "the model"
            progress.remark(which, evaluation)
            update()

        update()
        study.measure(todo, objective, workers, note_measured)


def describe_sweep(
    sweep: SweepSettings, results: Sequence[TrialRecord], run: Path
) -> Iterator[str]:
    """Yield the summary line by line; at least one training run must have finished."""
    ranked, n_seeds = Ranking(HELD_OUT_LOSS, results).candidates, len(sweep.seeds)
    repeats = f"mean over {n_seeds} seeds ± 95 % interval" if n_seeds > 1 else "1 seed"
    if n_seeds > 1 < len(ranked):
        repeats += "; Behind 1: paired by seed"
    varied = differing(each.genome for each in ranked)
    if sweep.chosen:  # steps that no list gives are as many as the budget allows
        varied = [name for name in varied if name in (*sweep.chosen.swept, "steps")]
    yield ""
    what = "Ranking by held-out loss" if len(ranked) > 1 else "Held-out loss"
    yield f"{what}{sweep.mark()} (nats per token, {repeats})"
    yield from _table(sweep, ranked, varied)
    swept = sweep.chosen.swept if sweep.chosen else varied
    if more := [words for name, words in COMPUTE.items() if name in varied and name in swept]:
        yield f"Runs with {' or '.join(more)} had more compute; the ranking does not correct for it"
    yield ""
    yield f"Train the winner:  {_train_command(sweep, ranked[0].genome, run)}"
    if len(ranked) > 1 and not ranked[1].above(ranked[0]).is_clear:
        more_seeds = f"--seeds {max(5, 2 * n_seeds)}"
        yield (
            "The lead of 1 over 2 may be chance; train with more seeds:  "
            f"microgpt sweep resume {as_argument(run)} {more_seeds}"
        )
    yield f"Tables and chart:  microgpt analyze {as_argument(run)} --output scaling.svg"


def _table(sweep: SweepSettings, ranked: Sequence[Candidate], names: list[str]) -> Iterator[str]:
    def remarks(each: Candidate) -> str:
        found = ["as train chooses"] if sweep.chosen and each.genome == sweep.chosen.base else []
        if len(each.values) < len(sweep.seeds):
            found.append(f"{len(each.values)} of {len(sweep.seeds)} seeds")
        return ", ".join(found)

    first = ranked[0]
    cells: Cells = {
        "": lambda each: ranked.index(each) + 1,
        **settings_of(names),
        "Held-out loss": lambda each: each.mean,
        "Behind 1": lambda each: "" if each is first else each.above(first),
        "Params": n_params,
        " ": remarks,
    }
    yield from table(ranked[:N_ROWS], cells)
    if len(ranked) > N_ROWS:
        yield f"… and {len(ranked) - N_ROWS} more"


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
