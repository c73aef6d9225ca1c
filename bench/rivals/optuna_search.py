# /// script
# requires-python = ">=3.11"
# dependencies = ["optuna==5.0.0"]
# ///
"""Optuna contender for search_fight.py: TPE with the median pruner, with their default settings.

A gene is an integer, the index of its value, because Optuna has no ordered categories. A trial
reports each of the eight points; it is not pruned at the last point, where it is complete.
"""

import math

import optuna
from search_job import POINTS, Job, Ledger, answer

COMPLETE, PRUNED = optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED


def search(job: Job, ledger: Ledger, seed: int) -> None:
    """Search until the budget is spent."""
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=seed), pruner=optuna.pruners.MedianPruner()
    )
    while True:
        trial = study.ask()
        genes = {
            gene: values[trial.suggest_int(gene, 0, len(values) - 1)]
            for gene, values in job.grid.items()
        }
        run = ledger.new(job.genome_of(genes))
        for point in range(1, POINTS + 1):
            loss = ledger.loss(run, point)
            trial.report(loss, point)
            if math.isinf(loss) or (point < POINTS and trial.should_prune()):
                study.tell(trial, state=PRUNED)
                break
        else:
            study.tell(trial, loss, COMPLETE)


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    answer(search)
