# /// script
# requires-python = ">=3.11"
# dependencies = ["dehb==0.1.2", "ConfigSpace==1.2.2"]
# ///
"""DEHB contender for search_fight.py and search_real.py: differential evolution with Hyperband.

Default settings. With them, the fidelities are 8/3 points, rounded to 3, and 8. With an eta of 2
(1, 2, 4 and 8 points), the final regret is higher on a made-up table. The training of a promoted
configuration continues from its state.
"""

import tempfile
import warnings

from ConfigSpace import ConfigurationSpace, OrdinalHyperparameter
from dehb import DEHB
from search_job import POINTS, Job, Ledger, Run, answer


def search(job: Job, ledger: Ledger, seed: int) -> None:
    """Search until the budget is spent."""
    space = ConfigurationSpace(seed=seed)
    space.add([OrdinalHyperparameter(gene, values) for gene, values in job.grid.items()])
    runs: dict[int, Run] = {}  # by the number of the configuration
    with tempfile.TemporaryDirectory() as folder:
        dehb = DEHB(
            cs=space,
            min_fidelity=1,
            max_fidelity=POINTS,
            n_workers=1,
            seed=seed,
            save_freq="end",
            output_path=folder,
        )
        while True:
            asked = dehb.ask()
            number, until = asked["config_id"], round(asked["fidelity"])
            if number not in runs:
                runs[number] = ledger.new(job.genome_of(asked["config"]))
            loss = ledger.loss(runs[number], until)
            dehb.tell(asked, {"fitness": loss, "cost": until})


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # of deprecated functions of ConfigSpace
    answer(search)
