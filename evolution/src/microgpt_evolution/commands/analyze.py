"""`microgpt analyze`: scaling of the loss with steps, size and cost."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.help import examples
from microgpt_cli.terminal.options import CHART_HELP, argument, option
from microgpt_evolution.commands.runs import RUNS, newest_run
from microgpt_evolution.errors import StudyError

if TYPE_CHECKING:
    from microgpt_evolution.report.ranking import Ranking
    from microgpt_evolution.study_settings import SweepSettings


@examples("microgpt analyze --output scaling.svg")
def analyze(
    runs: list[Path] | None = argument(
        None, f"Directories of sweeps.  [default: the newest in {RUNS}]", "RUN"
    ),
    output: list[Path] | None = option(None, CHART_HELP, metavar="<path>"),
) -> None:
    """Show how the loss scales with steps, model size and cost.

    The tables show held-out losses, averaged over the seeds, with 95% confidence intervals, and the
    gain per 1,000 steps. Sweeps on the same documents are combined.
    """
    from microgpt_cli.charts.look import check_files, check_plots, write_chart
    from microgpt_evolution.report.scaling import describe_scaling

    if output:
        check_files(output)
        check_plots()
    directories = runs or [newest_run("sweep_*", "sweep", "sweep steps")]
    sweeps = [_read_sweep(path) for path in directories]
    (first, ranking), *_ = sweeps
    for path, (sweep, _) in zip(directories, sweeps, strict=True):
        if sweep.documents != first.documents:
            raise StudyError(
                f"{directories[0]} and {path} use different documents ({first.input}, "
                f"{sweep.input}), so their losses are not comparable; analyze them separately"
            )
    ranking = replace(ranking, records=[each for _, found in sweeps for each in found.records])
    if not ranking.candidates:
        named = ", ".join(map(str, directories))
        raise StudyError(f"no training run of {named} is complete; analyze another sweep")
    if output:
        from microgpt_evolution.report.charts import draw_effects

        write_chart(draw_effects(ranking), output)
        note(f"the charts are in {', '.join(map(str, output))}")
    for line in describe_scaling(ranking):
        print(line)


def _read_sweep(directory: Path) -> "tuple[SweepSettings, Ranking]":
    """Return the settings and the trials of a sweep, and print a note on those that are missing."""
    from microgpt import as_argument
    from microgpt_evolution.report.ranking import read_ranked_study
    from microgpt_evolution.study_settings import SweepSettings

    study = read_ranked_study(directory)
    sweep = study.settings
    if not isinstance(sweep, SweepSettings):
        how = f"see it with: microgpt report {as_argument(directory)}"
        raise StudyError(f"{directory} is a {sweep.kind}, not a sweep; {how}")
    n_ok, n_all = sum(record.is_ok for record in study.records), len(sweep.trials)
    if n_ok < n_all:
        note(f"{n_ok} of {n_all} training runs of {directory} have ended without a failure")
    return sweep, study.rankings[0]
