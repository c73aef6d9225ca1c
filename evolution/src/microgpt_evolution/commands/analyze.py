"""`microgpt analyze`: scaling of the loss with steps, size and cost."""

from pathlib import Path

from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.help import examples
from microgpt_cli.terminal.options import argument
from microgpt_evolution.commands.options import RUNS, newest_run
from microgpt_evolution.errors import StudyError
from microgpt_evolution.report.ranking import Ranking
from microgpt_evolution.report.scaling import describe_scaling
from microgpt_evolution.study import Study
from microgpt_evolution.study_settings import SweepSettings


@examples("microgpt sweep steps && microgpt analyze")
def analyze(
    runs: list[Path] | None = argument(
        None, f"Directories of sweeps.  [default: the newest in {RUNS}]", "RUN"
    ),
) -> None:
    """Show how the loss scales with steps, model size and cost.

    The tables show held-out losses, averaged over the seeds, with 95% confidence intervals, and the
    gain per 1,000 steps. Sweeps on the same documents are combined.
    """
    paths = runs or [newest_run("sweep_*", "sweep", "sweep steps")]
    sweeps = [Study(path, SweepSettings) for path in paths]
    first = sweeps[0]
    for each in sweeps:
        n_ok, n_all = sum(record.is_ok for record in each.records), len(each.settings.trials)
        if n_ok < n_all:
            note(f"{n_ok} of {n_all} training runs of {each.directory} ended without a failure")
        if each.settings.data_sha256 != first.settings.data_sha256:
            raise StudyError(
                f"{first.directory} and {each.directory} use different documents "
                f"({first.settings.input}, {each.settings.input}), so their losses are not "
                "comparable; analyze them separately"
            )
    records = [record for each in sweeps for record in each.records]
    for line in describe_scaling(Ranking(first.settings, records, name=str(first.directory))):
        print(line)
