# /// script
# requires-python = ">=3.11"
# dependencies = ["smac==2.4.1", "ConfigSpace==1.2.2"]
# ///
"""SMAC3 contender for search_fight.py and search_real.py.

It is the multi-fidelity facade: a random forest with Hyperband.
Default settings, except that eta is 2, so that all budgets are whole points: 1, 2, 4 and 8. The
number of trials, which sets the size of the initial design, is what SMAC3 computes for the budget.
The training of a promoted configuration continues from its state.
"""

import math
import tempfile

from ConfigSpace import Configuration, ConfigurationSpace, OrdinalHyperparameter
from search_job import POINTS, Job, Ledger, Run, answer
from smac import MultiFidelityFacade, Scenario
from smac.intensifier.hyperband_utils import determine_hyperband_for_multifidelity
from smac.runhistory import StatusType, TrialValue

ETA = 2
DIVERGED = 5.0  # cost of a diverged run, more than the loss of an untrained model


def search(job: Job, ledger: Ledger, seed: int) -> None:
    """Search until the budget is spent."""
    space = ConfigurationSpace(seed=seed)
    space.add([OrdinalHyperparameter(gene, values) for gene, values in job.grid.items()])
    plan = determine_hyperband_for_multifidelity(job.budget, 1, POINTS, ETA)
    runs: dict[Configuration, Run] = {}
    with tempfile.TemporaryDirectory() as folder:
        scenario = Scenario(
            space,
            output_directory=folder,
            min_budget=1,
            max_budget=POINTS,
            n_trials=plan["n_trials"],
            seed=seed,
        )
        smac = MultiFidelityFacade(
            scenario,
            intensifier=MultiFidelityFacade.get_intensifier(scenario, eta=ETA),
            logging_level=False,
        )
        while True:
            asked = smac.ask()
            if asked.config not in runs:
                runs[asked.config] = ledger.new(job.genome_of(asked.config))
            loss = ledger.loss(runs[asked.config], round(asked.budget))
            value = (
                TrialValue(DIVERGED, status=StatusType.CRASHED)
                if math.isinf(loss)
                else TrialValue(loss)
            )
            smac.tell(asked, value, save=False)


if __name__ == "__main__":
    answer(search)
