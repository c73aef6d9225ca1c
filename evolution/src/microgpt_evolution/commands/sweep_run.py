"""Run or resume a sweep of `microgpt sweep`, and print its ranking."""

from collections.abc import Sequence
from time import perf_counter
from typing import Any

from microgpt import Given, Split, as_argument, count, duration
from microgpt_cli.terminal.console import note, print_or_discard
from microgpt_evolution.commands.study_run import StudyProgress, open_study
from microgpt_evolution.evolution_errors import NoWinnerError
from microgpt_evolution.genome import Genome, values_of
from microgpt_evolution.objectives.loss_objective import LossObjective
from microgpt_evolution.report.ranking import Ranking, describe_ranking
from microgpt_evolution.strategies.grid import describe, differing
from microgpt_evolution.study import Study
from microgpt_evolution.study_settings import SweepSettings
from microgpt_evolution.trial import TrialRecord
from microgpt_evolution.workers import Workers

N_SAMPLES = 3  # number of samples per model, as in the tables of evolve-rust
N_ROWS = 10  # maximum number of configurations in the ranking


def run_sweep(given: Given, genomes: Sequence[Genome] = (), skipped: Sequence[str] = ()) -> None:
    """Run a new sweep of genomes, or resume a sweep, and print its ranking."""
    for problem in skipped:
        note(f"skipped: {problem}")

    def plan(_: Split, facts: dict[str, Any], n_workers: int) -> SweepSettings:
        return SweepSettings.begin(genomes, given["seeds"], **facts)

    started = perf_counter()
    with open_study(given, SweepSettings, plan) as (study, sets, pool):
        n_known = len(study.records)
        _measure(study, sets, pool)
        n_ok = sum(record.is_ok for record in study.records)
        if not n_ok:
            raise NoWinnerError(study.why_no_winner())
        n_new, took = len(study.records) - n_known, duration(round(perf_counter() - started))
        n_all = count(len(study.settings.trials), "training run")
        print_or_discard(f"{n_ok:,} of {n_all} completed; ran {n_new} in {took}")
        print_or_discard(f"Saved to {study.directory}\n")
        for line in describe_ranking(Ranking(study.settings, study.records), N_ROWS):
            print_or_discard(line)
        print_or_discard(f"\nAll tables:  microgpt analyze {as_argument(study.directory)}")


def _measure(study: Study[SweepSettings], sets: Split, workers: Workers) -> None:
    """Run the trials of a sweep that are not recorded, and show the progress."""
    todo = [trial for trial in study.settings.trials if not study.record_of(trial)]
    if not todo:
        return
    shortest = min(trial.genome.block_size for trial in todo)
    n_long = sum(len(doc) >= shortest for doc in sets.train)  # an end token follows each document
    if n_long:
        long = f"{n_long:,} of {count(len(sets.train), 'document')} are longer than the block size"
        remedy = "for a longer one: microgpt sweep grid --vary block_size=N"
        note(f"{long} of {shortest}, and are split; {remedy}")
    objective = LossObjective(sets, n_samples=N_SAMPLES, text=study.settings.text)
    genomes = {trial.genome for trial in todo}
    n, names = count(len(todo), "training run"), differing(genomes)
    print_or_discard(f"{n} of {count(len(genomes), 'model')}, {workers.n_workers()} in parallel")
    done, total = list[float](), sum(map(objective.flops, todo))
    with StudyProgress() as progress:

        def note_measured(_: int, record: TrialRecord) -> None:
            done.append(record.flops)
            progress.remark(describe(values_of(record.genome, names)) or "the model", record)
            progress.update(sum(done), total - sum(done), f"{len(done):,} of {n}")

        progress.update(0.0, total, f"0 of {n}")
        study.measure(todo, objective, workers, note_measured)
