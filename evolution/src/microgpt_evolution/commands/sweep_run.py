"""Run or resume a sweep of `microgpt sweep`, and print its ranking."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from microgpt import (
    FIELDS,
    Given,
    Split,
    as_argument,
    count,
    duration,
    flag,
    path_from_text,
    split,
)
from microgpt_cli.terminal.console import note, print_or_discard
from microgpt_evolution.commands.progress import StudyProgress
from microgpt_evolution.commands.study import Documents, Plan, open_study
from microgpt_evolution.errors import NoWinnerError
from microgpt_evolution.genome import Genome, values_of
from microgpt_evolution.grid_sweep import objective_of, results_of, sweep_settings
from microgpt_evolution.report.ranking import Ranking, measure_of
from microgpt_evolution.report.tables import describe_ranking
from microgpt_evolution.strategies.grid import SETTINGS, describe, differing
from microgpt_evolution.study import Study
from microgpt_evolution.study_settings import HELD_OUT, SweepKind, SweepSettings
from microgpt_evolution.trial import Evaluation, TrialRecord
from microgpt_evolution.workers import Workers

N_ROWS = 10  # maximum number of configurations in the ranking
OPTIONS = [name for name in SETTINGS if "panel" in FIELDS[name].metadata]  # `train` has them


def start_sweep(
    kind: SweepKind, genomes: Sequence[Genome], given: Given, skipped: Sequence[str] = ()
) -> None:
    """Run a new sweep, and print notes on the combinations that are skipped."""

    def plan(docs: Documents, facts: dict[str, Any], _: int) -> tuple[SweepSettings, Split]:
        for problem in skipped:
            note(f"skipped: {problem}")
        parts = split(docs, validation=HELD_OUT, test=HELD_OUT)
        return sweep_settings(genomes, parts, given["seeds"], sweep=kind, **facts), parts

    run_sweep({**given, "text": "lines"}, plan)


def run_sweep(given: Given, plan: Plan[SweepSettings] | None = None) -> None:
    """Run the trials of a new or resumed sweep that are not recorded, and print a summary."""
    started = perf_counter()
    with open_study(given, SweepSettings, plan) as (study, parts, pool):
        n_known = len(study.records)
        _measure(study, parts, pool)
        results, n_all = results_of(study), count(len(study.settings.trials), "training run")
        n_ok = sum(result.is_ok for result in results)
        if not n_ok:
            raise NoWinnerError(study.why_no_winner())
        n_new, took = len(study.records) - n_known, duration(round(perf_counter() - started))
        print_or_discard(f"{n_ok:,} of {n_all} completed; ran {n_new} in {took}")
        print_or_discard(f"Saved to {study.directory}")
        for line in describe_sweep(study.settings, results, study.directory):
            print_or_discard(line)


def _measure(study: Study[SweepSettings], parts: Split, workers: Workers) -> None:
    """Run the trials that are not recorded, and show the progress."""
    todo = [trial for trial in study.settings.trials if not study.known(trial)]
    if not todo:
        return
    objective, genomes = objective_of(parts, study.settings), {trial.genome for trial in todo}
    n, names = count(len(todo), "training run"), differing(genomes)
    models, n_workers = count(len(genomes), "model"), workers.n_workers()
    print_or_discard(f"{n} of {models}, {n_workers} in parallel")
    flops = [objective.flops(trial) for trial in todo]
    n_done, done, total = 0, 0.0, sum(flops)
    with StudyProgress() as progress:

        def note_measured(i: int, evaluation: Evaluation) -> None:
            nonlocal n_done, done
            n_done, done = n_done + 1, done + flops[i]
            which = describe(values_of(todo[i].genome, names)) or "the model"
            progress.remark(which, evaluation)
            progress.update(done, total - done, f"{n_done:,} of {n}")

        progress.update(0.0, total, f"0 of {n}")
        study.measure(todo, objective, workers, note_measured)


def describe_sweep(
    sweep: SweepSettings, results: Sequence[TrialRecord], run: Path
) -> Iterator[str]:
    """Yield the summary line by line; at least one training run must have finished."""
    ranking = Ranking(measure_of(sweep), results)
    first, *others = ranking.candidates
    yield from ("", *describe_ranking(ranking, N_ROWS))
    yield from ("", f"Train the winner:  {_train_command(sweep, first.genome, run)}")
    if others and not others[0].above(first).is_clear:
        yield (
            "The lead of 1 over 2 may be chance; train with more seeds:  "
            f"microgpt sweep resume {as_argument(run)} --seeds {max(5, 2 * len(sweep.seeds))}"
        )
    yield f"Tables and chart:  microgpt analyze {as_argument(run)} --output scaling.svg"


def _train_command(sweep: SweepSettings, config: Genome, run: Path) -> str:
    """Return the command that trains a configuration; its held-out documents are the same."""
    changed = differing([config, Genome()])
    if others := [name for name in changed if name not in OPTIONS]:
        return f"in Python, because train has no option for {describe(values_of(config, others))}"
    path, here = path_from_text(sweep.input), Path.cwd()
    path = path.relative_to(here) if path.is_relative_to(here) else path
    options: dict[str, object] = {"--data": as_argument(path)}
    names = [name for name in OPTIONS if name in {"lr", *changed}]  # the preset has another lr
    options |= {flag(name): value for name, value in values_of(config, names).items()}
    options |= {"--val-fraction": sweep.val_fraction, "--test-fraction": sweep.test_fraction}
    options |= {"--seed": sweep.seeds[0], "--model": as_argument(Path(f"{run.name}-winner"))}
    words = " ".join(f"{option} {value}" for option, value in options.items())
    return f"microgpt train --preset karpathy {words}"
