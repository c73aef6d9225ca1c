"""`microgpt analyze`: scaling of the loss with steps, size and cost."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from microgpt import ConfigError
from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.help import examples
from microgpt_cli.terminal.options import AS_JSON, CHART_HELP, argument, option
from microgpt_evolution.commands.runs import RUNS, newest_run

if TYPE_CHECKING:
    from microgpt_evolution.scaling.scaling import Scaling


@examples("microgpt analyze --output scaling.svg")
def analyze(
    runs: list[Path] | None = argument(
        None, f"Directories of sweeps.  [default: the newest in {RUNS}]", "RUN"
    ),
    output: list[Path] | None = option(None, CHART_HELP, metavar="<path>"),
    as_json: bool = AS_JSON,
) -> None:
    """Show how the loss scales with steps, model size and cost.

    The tables show held-out losses, averaged over the seeds, with 95% confidence intervals, and the
    gain per 1,000 steps. Sweeps on the same documents are combined.
    """
    from microgpt_cli.charts.results import writer
    from microgpt_evolution.scaling import tables

    write = writer(output) if output else None
    directories = runs or [newest_run("sweep_*", "sweep", "sweep steps")]
    scaling = _read(directories)
    if output and write:
        write(scaling)
        note(f"the charts are in {', '.join(map(str, output))}")
    if as_json:
        print(json.dumps({"runs": list(map(str, directories)), **tables.as_json(scaling)}))
        return
    for line in tables.as_text(scaling):
        print(line)


def _read(directories: Sequence[Path]) -> "Scaling":
    """Return the combined scaling of all sweeps, and print notes on excluded training runs."""
    from microgpt import as_argument
    from microgpt_evolution.scaling.scaling import Scaling
    from microgpt_evolution.scaling.tables import read_sweeps

    sweeps = read_sweeps(directories, "analyze")
    for directory, (sweep, results) in zip(directories, sweeps, strict=True):
        statuses, n_all = [result.status for result in results], len(sweep.tasks)
        n_ok, n_diverged = statuses.count("ok"), statuses.count("diverged")
        if n_diverged:  # resuming would not help, because training would diverge again
            note(f"{n_diverged} of {n_all} training runs of {directory} diverged and are excluded")
        if n_ok + n_diverged < n_all:
            note(
                f"{n_ok} of {n_all} training runs of {directory} are complete; resume with: "
                f"microgpt sweep resume {as_argument(directory)}"
            )
    found = (result for _, results in sweeps for result in results)
    scaling = Scaling.of(found, sweeps[0][0].contamination.get("validation", 0.0))
    if not scaling.cells:
        raise ConfigError(
            f"no training run of {', '.join(map(str, directories))} is complete; analyze another "
            "sweep with microgpt analyze RUN"
        )
    return scaling
