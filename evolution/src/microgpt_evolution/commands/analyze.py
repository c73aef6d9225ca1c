"""`microgpt analyze`: scaling of the loss with steps, size and cost."""

from pathlib import Path

from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.help import examples
from microgpt_cli.terminal.options import argument
from microgpt_evolution.commands.runs import RUNS, newest_run
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
    sweeps = [_read(path) for path in runs or [newest_run("sweep_*", "sweep", "sweep steps")]]
    first = sweeps[0]
    for each in sweeps:
        if each.settings.documents != first.settings.documents:
            raise StudyError(
                f"{first.directory} and {each.directory} use different documents "
                f"({first.settings.input}, {each.settings.input}), so their losses are not "
                "comparable; analyze them separately"
            )
    records = [record for each in sweeps for record in each.records]
    ranking = Ranking(first.settings, records)
    if not ranking.candidates:
        named = ", ".join(str(each.directory) for each in sweeps)
        raise StudyError(f"no training run of {named} is complete; analyze another sweep")
    for line in describe_scaling(ranking):
        print(line)


def _read(path: Path) -> Study[SweepSettings]:
    """Read a sweep, and print a note on the training runs that are missing."""
    study = Study(path, SweepSettings)
    n_ok, n_all = sum(record.is_ok for record in study.records), len(study.settings.trials)
    if n_ok < n_all:
        note(f"{n_ok} of {n_all} training runs of {study.directory} have ended without a failure")
    return study
