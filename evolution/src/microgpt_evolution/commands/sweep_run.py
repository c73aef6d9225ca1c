"""Run or resume a sweep of `microgpt sweep`, and print its ranking."""

from collections.abc import Sequence
from time import perf_counter
from typing import Any

from microgpt import Given, Split, as_argument, count, duration
from microgpt_cli.terminal.console import note, print_or_discard
from microgpt_evolution.commands.progress import StudyProgress
from microgpt_evolution.commands.study import Plan, open_study
from microgpt_evolution.errors import NoWinnerError
from microgpt_evolution.genome import Genome, values_of
from microgpt_evolution.grid_sweep import objective_of, results_of, sweep_settings
from microgpt_evolution.report.ranking import Ranking
from microgpt_evolution.report.tables import describe_ranking
from microgpt_evolution.strategies.grid import describe, differing
from microgpt_evolution.study import Study
from microgpt_evolution.study_settings import SweepSettings
from microgpt_evolution.trial import Evaluation
from microgpt_evolution.workers import Workers

N_ROWS = 10  # maximum number of configurations in the ranking


def start_sweep(genomes: Sequence[Genome], given: Given, skipped: Sequence[str] = ()) -> None:
    """Run a new sweep, and print notes on the combinations that are skipped."""
    for problem in skipped:
        note(f"skipped: {problem}")

    def plan(parts: Split, facts: dict[str, Any], _: int) -> SweepSettings:
        return sweep_settings(genomes, parts, given["seeds"], **facts)

    run_sweep(given, plan)


def run_sweep(given: Given, plan: Plan[SweepSettings] | None = None) -> None:
    """Run the trials of a new or resumed sweep that are not recorded, and print a ranking."""
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
        print_or_discard(f"Saved to {study.directory}\n")
        for line in describe_ranking(Ranking(study.settings, results), N_ROWS):
            print_or_discard(line)
        print_or_discard(f"\nAll tables:  microgpt analyze {as_argument(study.directory)}")


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
