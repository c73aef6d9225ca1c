# /// script
# requires-python = ">=3.11"
# dependencies = ["optuna==5.0.0"]
# ///
"""Optuna contender for search_fight.py and search_real.py: TPE with a pruner.

Reads a job and the name of the pruner. The sampler and the pruners have their default settings;
"median" is the default pruner. A gene is an integer, the index of its value, because Optuna has no
ordered categories. A trial reports each of the eight points; it is not pruned at the last point,
where it is complete.
"""

import math
import sys

import optuna
from search_job import POINTS, Job, Ledger, answer

COMPLETE, PRUNED = optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED


def search(job: Job, ledger: Ledger, seed: int) -> None:
    """Search until the budget is spent."""
    pruner = {
        "median": optuna.pruners.MedianPruner(),
        "hyperband": optuna.pruners.HyperbandPruner(min_resource=1, max_resource=POINTS),
    }[sys.argv[2]]
    study = optuna.create_study(
        study_name=f"search {seed}",  # Hyperband's brackets of trials depend on it
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=pruner,
    )
    if job.first is not None:
        study.enqueue_trial({gene: job.grid[gene].index(job.first[gene]) for gene in job.grid})
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
